"""What options come to: where a command starts, what it is given and whom it runs as."""

import os
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import UsageError
from envbuild.image.container_options import Mount
from envbuild.workflows.containers.options import RunOptions, container_options, start_folder, variables
from envbuild.workflows.project import Project


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project in the current folder, which has a folder."""
    (tmp_path / "sub/deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path / "envbuild.toml")


def test_the_folder_is_mounted_and_a_command_starts_in_the_one_that_is_current(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert start_folder(RunOptions(), here, "/workspace") == ("/workspace", here.folder.resolve())
    monkeypatch.chdir(here.folder / "sub/deep")
    assert start_folder(RunOptions(), here, "/workspace") == ("/workspace/sub/deep", here.folder.resolve())
    monkeypatch.chdir(here.folder.parent)
    assert start_folder(RunOptions(), here, "/workspace") == ("/workspace", here.folder.resolve())


def test_a_folder_that_is_reached_through_a_link_is_the_same(
    here: Project, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(here.folder)
    monkeypatch.chdir(link / "sub")
    project = Project(link / "envbuild.toml")
    assert start_folder(RunOptions(), project, "/workspace") == ("/workspace/sub", here.folder.resolve())


@pytest.mark.parametrize(
    ("options", "start", "mounted"),
    [
        ({"mount": False}, "/workspace", False),
        ({"copies": ("envbuild.toml",)}, "/workspace", False),
        ({"workdir": "/data"}, "/data", True),
    ],
)
def test_other_starts(here: Project, options: dict[str, Any], start: str, mounted: bool) -> None:
    expected = here.folder.resolve() if mounted else None
    assert start_folder(RunOptions(**options), here, "/workspace") == (start, expected)


def test_nothing_is_mounted_at_the_root(here: Project) -> None:
    with pytest.raises(UsageError, match="the working directory of the image is /") as raised:
        start_folder(RunOptions(), here, "/")
    assert "--no-mount" in str(raised.value.hint)
    assert start_folder(RunOptions(mount=False), here, "/") == ("/", None)


def test_mounts_decide_who_runs(here: Project) -> None:
    def options(folder: Path | None = None, **given: Any) -> Any:
        return container_options(RunOptions(**given), folder, "/workspace", "/workspace", tty=False)

    mounted = options(here.folder)
    assert mounted.mounts == (Mount(target="/workspace", source=here.folder),)
    assert mounted.caller.uid == os.geteuid()
    assert options().caller is None
    assert options(mounts=["sub:/data"]).caller is not None
    assert options(mounts=["type=tmpfs,target=/data"]).caller is None
    named = options(here.folder, user="1234")
    assert (named.caller, named.account.uid) == (None, 1234)
    assert options(here.folder, user="app").account is None


def test_a_mount_at_the_working_directory_takes_the_place_of_the_folder(here: Project) -> None:
    options = RunOptions(mounts=("sub:/workspace",))
    found = container_options(options, here.folder, "/workspace", "/workspace", tty=False)
    assert found.mounts == (Mount(target="/workspace", source=here.folder.resolve() / "sub"),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mounts": ["none:/data"]}, "there is no none"),
        ({"mounts": ["sub:/data", ".:/data"]}, "two mounts are to be at /data"),
        ({"mounts": "sub:/data"}, "`mounts` cannot be 'sub:/data'"),
        ({"ports": [80]}, "`ports` holds something that is not text"),
        ({"ports": ["80"], "network": "none"}, "--publish needs a network"),
        ({"ports": ["8080:80"], "network": "host"}, "with --network host the port stays 80"),
        ({"memory": "much"}, "--memory: `much` is no size"),
        ({"shm_size": "0"}, "--shm-size: `0` is no size"),
        ({"cpus": "0"}, "--cpus: `0` is no number"),
        ({"workdir": "data"}, "--workdir: `data` is no absolute path"),
        ({"copy_out": [""]}, "--copy-out: `` is not understood"),
    ],
)
@pytest.mark.usefixtures("here")
def test_what_cannot_be_is_refused_when_it_is_made(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RunOptions(**options)


def test_variables_in_the_order_of_their_weight(here: Project) -> None:
    (here.folder / "env").write_text("TERM=file\nA=file\nB=file\nHOME_HERE\n")
    options = RunOptions(env={"A": "option"}, env_files=(Path("env"),))
    found = variables(options, {"TERM": "xterm-kitty", "HOME_HERE": "x", "COLORTERM": "truecolor"}, tty=True)
    assert found == {"A": "option", "B": "file", "COLORTERM": "truecolor", "HOME_HERE": "x", "TERM": "file"}
    assert variables(RunOptions(), {"TERM": "xterm-kitty"}, tty=True) == {"TERM": "xterm-256color"}
    assert variables(RunOptions(), {"TERM": "screen-256color"}, tty=True) == {"TERM": "screen-256color"}
    assert variables(RunOptions(), {"TERM": "xterm"}, tty=False) == {}


def test_files_that_a_command_does_not_see(here: Project) -> None:
    for name in ("train.py", "-c", "data.csv"):
        (here.folder / name).write_text("")
    words = ("train.py", "train.py", "-c", "/etc/passwd", "none", "sub", "data.csv", "x" * 5000, "a\0b")
    assert RunOptions().unseen(words, here.folder.resolve()) == ()
    assert RunOptions(mount=False).unseen(words, None) == ("train.py", "data.csv")
    assert RunOptions(copies=(Path("data.csv"),)).unseen(words, None) == ("train.py",)
    assert RunOptions(copies=(Path(),)).unseen(words, None) == ()
