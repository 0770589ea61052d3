from hypothesis import given
from hypothesis import strategies as st

from envbuild.data.names import _PLAIN, LONGEST_NAME, clashing, fault_of


@given(st.from_regex(_PLAIN, fullmatch=True))
def test_a_plain_path_has_no_fault(path: str) -> None:
    names = path.split("/")

    assert all(name not in {"", ".", ".."} and len(name) <= LONGEST_NAME for name in names)
    assert fault_of(path) is None


@given(st.lists(st.sampled_from(["a", ".", "..", "", "é", "b c", "\0", "x" * 255, "é" * 128]), max_size=4))
def test_a_fault_is_found_wherever_it_is(names: list[str]) -> None:
    path = "/".join(names)
    # as it is split again: an empty list and a list of one empty name are one path
    is_safe = all(
        name not in {"", ".", ".."} and "\0" not in name and len(name.encode()) <= 255
        for name in path.split("/")
    )

    assert (fault_of(path) is None) is is_safe


@given(st.sets(st.lists(st.sampled_from("ab-"), min_size=1, max_size=4).map("/".join), max_size=6))
def test_a_file_that_is_a_folder_is_found(paths: set[str]) -> None:
    clashes = {one for one in paths for other in paths if other.startswith(f"{one}/")}

    assert clashing(paths) == min(clashes, default=None)
