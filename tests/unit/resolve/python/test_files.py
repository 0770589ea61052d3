from datetime import UTC, date, datetime

import pytest

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.files import choose_file, fits
from envbuild.resolve.python.shortage import what_there_is
from envbuild.resolve.python.target import TargetPython

TARGET = TargetPython(AMD64, Libc(family="glibc", version="2.36"), "3.11.2")
MUSL = TargetPython(AMD64, Libc(family="musl", version="1.2"), "3.11.2")
DAY = date(2026, 3, 1)


def file(
    tag: str,
    *,
    build: str = "",
    yanked: str | None = None,
    requires_python: str | None = None,
    uploaded: datetime | None = None,
) -> IndexFile:
    name = tag if tag.endswith(".tar.gz") else f"demo-1.0{build}-{tag}.whl"
    return IndexFile(
        filename=name,
        url=f"https://files.example.com/{name}",
        yanked=yanked,
        requires_python=requires_python,
        uploaded=uploaded,
    )


SDIST = file("demo-1.0.tar.gz")


def chosen(*files: IndexFile, snapshot: date | None = None, keep: str | None = None) -> str | None:
    found = choose_file(files, TARGET, snapshot=snapshot, keep=keep)
    return found.filename.removeprefix("demo-1.0-").removesuffix(".whl") if found else None


@pytest.mark.parametrize(
    ("tags", "best"),
    [
        pytest.param(["py3-none-any", "cp311-cp311-manylinux_2_17_x86_64"], 1, id="own ABI before any"),
        pytest.param(
            ["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_28_x86_64"], 1, id="newer libc"
        ),
        pytest.param(
            ["cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_39_x86_64"], 0, id="not too new"
        ),
        pytest.param(
            ["cp38-abi3-manylinux_2_28_x86_64", "cp311-abi3-manylinux_2_17_x86_64"], 1, id="newer stable ABI"
        ),
        pytest.param(
            ["cp312-abi3-manylinux_2_28_x86_64", "cp310-abi3-manylinux_2_17_x86_64"],
            1,
            id="ABI of the future",
        ),
        pytest.param(["py2.py3-none-any", "py311-none-any"], 1, id="specific Python"),
        pytest.param(
            ["cp311-cp311-linux_x86_64", "cp311-cp311-manylinux2010_x86_64"], 1, id="stated libc before none"
        ),
        pytest.param(
            ["cp311-cp311-musllinux_1_2_x86_64", "cp311-cp311-manylinux2014_aarch64", "py3-none-any"],
            2,
            id="other libc, other machine",
        ),
        pytest.param(
            ["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux1_x86_64.manylinux_2_28_x86_64"],
            1,
            id="the better of two tags counts",
        ),
    ],
)
def test_the_most_specific_tag_wins(tags: list[str], best: int) -> None:
    assert chosen(*map(file, tags)) == tags[best]


def test_of_two_builds_the_higher_wins() -> None:
    builds = ["-2", "-10", "-10b", "-10a", ""]
    files = [file("py3-none-any", build=build) for build in builds]
    assert chosen(*files) == "10b-py3-none-any"


def test_a_better_tag_beats_a_higher_build() -> None:
    assert chosen(file("py3-none-any", build="-9"), file("cp311-none-any")) == "cp311-none-any"


def test_a_file_that_is_not_yanked_beats_a_better_one_that_is() -> None:
    assert chosen(file("cp311-none-any", yanked=""), file("py3-none-any")) == "py3-none-any"
    assert chosen(file("cp311-none-any", yanked="")) == "cp311-none-any"


def test_requires_python_of_a_file_is_respected() -> None:
    assert chosen(file("cp311-none-any", requires_python=">=3.12"), file("py3-none-any")) == "py3-none-any"
    assert fits(file("py3-none-any", requires_python=">=3.11.2"), TARGET)
    assert not fits(file("py3-none-any", requires_python=">=3.11.3"), TARGET)


def test_requires_python_that_cannot_be_read_forbids_nothing() -> None:
    assert fits(file("py3-none-any", requires_python=">=2.7.*"), TARGET)


def test_a_source_archive_is_never_chosen() -> None:
    assert chosen(SDIST) is None


def test_a_snapshot_ends_with_its_day() -> None:
    last = file("py3-none-any", uploaded=datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC))
    late = file("cp311-none-any", uploaded=datetime(2026, 3, 2, tzinfo=UTC))
    undated = file("cp311-abi3-manylinux_2_17_x86_64")
    assert chosen(late, last, undated, snapshot=DAY) == "py3-none-any"
    assert chosen(late, undated, snapshot=DAY) is None


def test_a_locked_file_stays_while_it_fits() -> None:
    better, locked = file("cp311-none-any"), file("py3-none-any")
    assert chosen(better, locked, keep=locked.filename) == "py3-none-any"
    assert chosen(better, keep=locked.filename) == "cp311-none-any"
    withdrawn = file("py3-none-any", yanked="broken")
    assert chosen(better, withdrawn, keep=locked.filename) == "cp311-none-any"


@pytest.mark.parametrize(
    ("files", "target", "expected"),
    [
        pytest.param([], TARGET, "no file of it", id="nothing"),
        pytest.param([SDIST], TARGET, "only a source archive of it", id="source"),
        pytest.param(
            [file("cp311-cp311-win_amd64"), file("cp311-cp311-macosx_11_0_arm64"), SDIST],
            TARGET,
            "only wheels of it for macosx_11_0_arm64, win_amd64, not for x86_64 with glibc 2.36",
            id="other systems",
        ),
        pytest.param(
            [file("cp311-cp311-manylinux_2_39_x86_64"), file("cp311-cp311-manylinux_2_38_x86_64")],
            TARGET,
            "only wheels of it that need glibc 2.38 or newer; the base has 2.36",
            id="newer libc",
        ),
        pytest.param(
            [file("cp311-cp311-manylinux2014_x86_64")],
            TargetPython(AMD64, Libc(family="glibc", version="2.12"), "3.11.2"),
            "only wheels of it that need glibc 2.17 or newer; the base has 2.12",
            id="newer libc by an old name",
        ),
        pytest.param(
            [file("cp311-cp311-manylinux_2_17_x86_64")],
            MUSL,
            "only wheels of it for manylinux_2_17_x86_64, not for x86_64 with musl 1.2",
            id="other libc",
        ),
        pytest.param(
            [file("cp312-cp312-manylinux_2_17_x86_64"), file("cp313-cp313-manylinux_2_17_x86_64")],
            TARGET,
            "only wheels of it for cp312-cp312, cp313-cp313, not for CPython 3.11",
            id="other Pythons",
        ),
        pytest.param(
            [file("py3-none-any", requires_python=">=3.12")],
            TARGET,
            "only wheels of it for Python >=3.12, not 3.11.2",
            id="Requires-Python",
        ),
        pytest.param(
            [file(f"cp311-cp311-macosx_{version}_0_arm64") for version in range(11, 20)],
            TARGET,
            "only wheels of it for macosx_11_0_arm64, macosx_12_0_arm64, macosx_13_0_arm64, "
            "macosx_14_0_arm64, macosx_15_0_arm64, macosx_16_0_arm64 and 3 more, "
            "not for x86_64 with glibc 2.36",
            id="a long list is cut",
        ),
    ],
)
def test_why_nothing_fits(files: list[IndexFile], target: TargetPython, expected: str) -> None:
    assert choose_file(files, target) is None
    assert what_there_is(files, target) == expected


def test_why_nothing_fits_a_snapshot() -> None:
    late = file("py3-none-any", uploaded=datetime(2026, 3, 2, tzinfo=UTC))
    assert what_there_is([late], TARGET, snapshot=DAY) == "no file of it from before the end of 2026-03-01"
    undated = file("py3-none-any")
    assert (
        what_there_is([undated], TARGET, snapshot=DAY) == "no upload times, so a snapshot cannot be kept to"
    )
