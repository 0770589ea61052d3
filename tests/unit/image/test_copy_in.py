"""What `run --copy` takes along."""

import io
import tarfile
from pathlib import Path

import pytest

from envbuild.errors import UsageError
from envbuild.image.copy_in import tar_of


def test_everything_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    with pytest.raises(UsageError) as raised:
        tar_of([Path("no-such-file"), tmp_path / "there", Path("nor-this")], uid=0, gid=0)
    assert raised.value.message == "there is no `no-such-file`, `nor-this` to copy"


def entries(paths: list[Path], left_out: list[str] | None = None) -> dict[str, str]:
    packed = tar_of(paths, uid=0, gid=0, on_left_out=(left_out if left_out is not None else []).append)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {
            entry.name: f"-> {entry.linkname}"
            if entry.issym()
            else "folder"
            if entry.isdir()
            else archive.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in archive
        }


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with data in it, beside the current one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_text("content")
    return tmp_path / "data"


@pytest.mark.parametrize("target", ["../data", "{folder}/data"])
@pytest.mark.parametrize("named", ["cur", "cur/"])
def test_a_link_that_is_named_stands_for_its_content(data: Path, target: str, named: str):
    Path("cur").symlink_to(target.format(folder=data.parent))

    assert entries([Path(named)]) == {"cur": "folder", "cur/x": "content"}


def test_a_link_to_a_file_too(data: Path):
    Path("cfg").symlink_to("../data/x")

    assert entries([Path("cfg")]) == {"cfg": "content"}


def test_a_folder_above_has_its_own_name(data: Path):
    assert entries([Path("../data"), Path("../here/../data")]) == {"data": "folder", "data/x": "content"}
    assert set(entries([Path("..")])) >= {data.parent.name, f"{data.parent.name}/data/x"}


def test_links_below_that_lead_out_are_left_out_and_told(data: Path):
    Path("sub").mkdir()
    for name, target in {
        "out": "../data",
        "sub/out": "../../data",
        "sub/in": "../file",
        "file-too": "file",
        "dots": "..data/x",
        "absolute": "/usr/bin/python3",
    }.items():
        Path(name).symlink_to(target)
    Path("file").write_text("f")
    left_out: list[str] = []

    found = entries([Path()], left_out)

    assert found == {
        ".": "folder",
        "./absolute": "-> /usr/bin/python3",
        "./dots": "-> ..data/x",
        "./file": "f",
        "./file-too": "-> file",
        "./sub": "folder",
        "./sub/in": "-> ../file",
    }
    assert sorted(left_out) == ["./out -> ../data", "./sub/out -> ../../data"]
    assert data.is_dir()
