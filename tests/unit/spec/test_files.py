"""Which files are read at all, and that nothing of others is told."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envbuild.errors import Problem
from envbuild.spec.files import MOST_BYTES, find_files, read_text
from envbuild.spec.problems import RefusedError

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Refuse

OUTSIDE = "is outside the folder of the spec"
HINT = (
    "a spec takes files of its own folder alone: copy the file there, or move the spec to the folder that "
    "holds both"
)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("root:s3cret\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "link", "linked/secret"])
def test_a_file_outside_is_refused(folder: Path, secret: Path, name: str) -> None:
    (folder / "a").mkdir()
    (folder / "link").symlink_to(secret)
    (folder / "linked").symlink_to(secret.parent)
    with pytest.raises(RefusedError) as caught:
        read_text(folder / name, shown=name, inside=folder)

    assert (caught.value.message, caught.value.hint) == (f"`{name}` {OUTSIDE}", HINT)


def test_an_absolute_path_is_refused(folder: Path, secret: Path) -> None:
    with pytest.raises(RefusedError, match=OUTSIDE):
        read_text(folder / str(secret), shown=str(secret), inside=folder)


def test_a_link_inside_and_a_file_the_user_named_are_read(folder: Path, secret: Path) -> None:
    (folder / "a.txt").write_text("six\n")
    (folder / "b.txt").symlink_to("a.txt")

    assert read_text(folder / "b.txt", inside=folder) == "six\n"
    assert read_text(secret) == "root:s3cret\n"


def test_what_is_no_regular_file_is_refused_at_once(folder: Path) -> None:
    os.mkfifo(folder / "pipe")

    with pytest.raises(RefusedError, match="`pipe` is not a regular file"):
        read_text(folder / "pipe", inside=folder)
    with pytest.raises(RefusedError, match="`null` is not a regular file"):
        read_text(Path("/dev/null"))
    with pytest.raises(RefusedError, match="is a folder"):
        read_text(folder)


def test_a_file_of_many_megabytes_is_refused(folder: Path) -> None:
    with (folder / "large.txt").open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)

    with pytest.raises(RefusedError, match=r"`large\.txt` is larger than 16 MiB"):
        read_text(folder / "large.txt", inside=folder)


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ('[pip]\nrequirements = ["../secret"]', "pip.requirements[0]"),
        ('[pip]\nconstraints = ["../secret"]', "pip.constraints[0]"),
        ('[pip]\nlocks = ["../secret"]', "pip.locks[0]"),
        ('[system]\nfiles = ["../secret"]', "system.files[0]"),
        ('[conda]\nchannels = ["conda-forge"]\nfiles = ["../secret"]', "conda.files[0]"),
    ],
)
def test_a_spec_takes_files_of_its_folder_alone(
    refuse: "Refuse", tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, spec: str, where: str
) -> None:
    (tmp_path.parent / "secret").write_text("root:s3cret\n")

    assert refuse(spec) == (Problem(where, f"`../secret` {OUTSIDE}", HINT),)


def test_an_include_does_not_lead_out(refuse: "Refuse") -> None:
    (problem,) = refuse('[pip]\nrequirements = ["r.txt"]', {"r.txt": "-r ../../etc/passwd\n"})

    assert problem == Problem("r.txt:1", f"`../../etc/passwd` {OUTSIDE}", HINT)


def test_patterns_find_files_of_the_folder_alone(folder: Path, secret: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a" / "x").touch()

    assert find_files(folder, ["*/x", "../*", str(secret)]) == ["a/x"]
