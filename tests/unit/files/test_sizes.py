import pytest

from envbuild.files.sizes import counted, readable_size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5_300_000, "5.3 MB"),
        (2_700_000_000, "2.7 GB"),
        (12_000_000_000_000_000, "12000 TB"),
    ],
)
def test_sizes_read_well(size: int, text: str) -> None:
    assert readable_size(size) == text


def test_only_one_thing_is_singular() -> None:
    assert [counted(number, "file") for number in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
