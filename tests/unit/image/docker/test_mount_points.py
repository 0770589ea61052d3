from pathlib import Path

import pytest

from envbuild.image.container_options import Mount
from envbuild.image.docker.mount_points import make_mount_points


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def below(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): "folder" if path.is_dir() else "file"
        for path in folder.rglob("*")
    }


def test_what_mounts_and_the_working_directory_need_is_made(project: Path, tmp_path: Path):
    (tmp_path / "one.txt").write_text("1")
    (tmp_path / "data").mkdir()
    mounts = (
        Mount(target="/workspace", source=project),
        Mount(target="/workspace/sub/x", source=tmp_path / "one.txt"),
        Mount(target="/workspace/data", source=tmp_path / "data"),
        Mount(target="/workspace/memory"),
        Mount(target="/elsewhere", source=tmp_path / "data"),
    )

    make_mount_points(mounts, "/workspace/new/deep")

    assert below(project) == {
        "sub": "folder",
        "sub/x": "file",
        "data": "folder",
        "memory": "folder",
        "new": "folder",
        "new/deep": "folder",
    }
    assert below(tmp_path / "data") == {}


def test_what_is_there_stays_as_it_is(project: Path):
    (project / "file").write_text("content")
    before = (project / "file").stat()

    make_mount_points([Mount(target="/workspace", source=project)], "/workspace/file/below")

    assert (project / "file").stat() == before
    assert below(project) == {"file": "file"}


@pytest.mark.parametrize(
    "mounts",
    [
        pytest.param(lambda project: [Mount(target="/w", source=project, read_only=True)], id="read-only"),
        pytest.param(lambda project: [Mount(target="/other", source=project)], id="elsewhere"),
        pytest.param(
            lambda project: [Mount(target="/w", source=project), Mount(target="/w/m")], id="memory between"
        ),
        pytest.param(lambda _: [], id="none"),
    ],
)
def test_nothing_is_made_where_it_is_not_this_user_s(project: Path, mounts):
    (project / "m").mkdir()

    make_mount_points(mounts(project), "/w/m/new")

    assert below(project) == {"m": "folder"}


def test_no_link_is_followed(project: Path, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    (project / "link").symlink_to("../outside")

    make_mount_points([Mount(target="/workspace", source=project)], "/workspace/link/new")

    assert below(tmp_path / "outside") == {}
