"""A live environment, read without running anything of it."""

import json
from pathlib import Path
from typing import Any

import pytest

from envbuild.discovery.content import FileContent
from envbuild.discovery.environment import read_environment

SITE = "lib/python3.11/site-packages"
COMMIT = "0123456789" * 4


def install(
    root: Path, name: str, version: str, *, requires: str = "", origin: dict[str, Any] | str | None = None
) -> None:
    folder = root / SITE / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    required = f"Requires-Dist: {requires}\n" if requires else ""
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}\nText\n"
    )
    if origin is not None:
        text = origin if isinstance(origin, str) else json.dumps(origin)
        (folder / "direct_url.json").write_text(text)


def record(root: Path, name: str, **fields: Any) -> None:
    folder = root / "conda-meta"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"name": name, **fields}))


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


def packages(content: FileContent) -> Any:
    return content.tables.get("pip", {}).get("packages", [])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    environment = tmp_path / "venv"
    (environment / SITE).mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text("home = /usr\nversion = 3.11.4\n")
    return environment


def test_what_is_installed_is_pinned(root: Path):
    install(root, "NumPy", "1.26.4")
    install(root, "six", "1.16.0")
    for name in ("pip", "setuptools", "wheel"):
        install(root, name, "1")
    content = read_environment(root)
    assert content.tables == {"pip": {"packages": ["numpy==1.26.4", "six==1.16.0"]}}
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "pyvenv.cfg")]
    assert [(taken.file, taken.what) for taken in content.taken] == [
        ("venv", "2 requirements, pinned as installed")
    ]
    assert left(content) == []


def test_the_python_may_be_named_in_place_of_its_environment(root: Path):
    install(root, "six", "1")
    (root / "bin").mkdir()
    (root / "bin" / "python").write_text("")
    assert packages(read_environment(root / "bin" / "python")) == ["six==1"]


def test_setuptools_is_taken_when_something_requires_it(root: Path):
    install(root, "setuptools", "70")
    install(root, "a", "1", requires="setuptools>=60")
    assert packages(read_environment(root)) == ["a==1", "setuptools==70"]


def test_setuptools_of_an_extra_is_not_required(root: Path):
    install(root, "setuptools", "70")
    install(root, "a", "1", requires="setuptools; extra == 'dev'")
    assert packages(read_environment(root)) == ["a==1"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (
            {"url": "https://git.example.com/a/b.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"a @ git+https://git.example.com/a/b.git@{COMMIT}",
        ),
        (
            {
                "url": "https://git.example.com/a/b",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT},
                "subdirectory": "py",
            },
            f"a @ git+https://git.example.com/a/b@{COMMIT}#subdirectory=py",
        ),
        (
            {"url": "https://h.example.com/a-1.tar.gz", "archive_info": {"hashes": {"sha256": "a" * 64}}},
            f"a @ https://h.example.com/a-1.tar.gz#sha256={'a' * 64}",
        ),
    ],
)
def test_what_comes_from_an_address_keeps_it(root: Path, origin, expected):
    install(root, "a", "1", origin=origin)
    content = read_environment(root)
    assert (packages(content), left(content)) == ([expected], [])


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ({"url": "file:///home/me/a", "dir_info": {"editable": True}}, "a 1 is installed as editable"),
        ({"url": "file:///home/me/a", "dir_info": {}}, "a 1 is installed from a folder or file"),
        ({"url": 3}, "a is not from an index, and its origin does not say from where"),
        ({"url": "https://h.example.com/a", "vcs_info": {"vcs": "hg"}}, "a is from a repository of `hg`"),
    ],
)
def test_what_only_this_machine_has_is_reported(root: Path, origin, message):
    install(root, "a", "1", origin=origin)
    content = read_environment(root)
    assert (packages(content), left(content)) == ([], [f"{SITE}/a-1.dist-info: {message}"])


def test_an_origin_that_cannot_be_read_is_said(root: Path):
    install(root, "a", "1", origin="{")
    content = read_environment(root)
    assert packages(content) == ["a==1"]
    assert left(content) == [f"{SITE}/a-1.dist-info/direct_url.json: is not JSON"]


def test_a_build_of_an_index_of_its_own_is_reported(root: Path):
    install(root, "torch", "2.1.0+cu121")
    assert left(read_environment(root)) == [
        (
            f"{SITE}/torch-2.1.0+cu121.dist-info: "
            "`torch==2.1.0+cu121` is a build that only an index of its own has"
        )
    ]


def test_two_versions_of_one_distribution_are_reported(root: Path):
    install(root, "a", "1")
    install(root, "A", "2")
    assert left(read_environment(root)) == [f"{SITE}/a-1.dist-info: a 1 is there beside 2"]


def test_metadata_without_a_name_is_reported(root: Path):
    (root / SITE / "x-1.dist-info").mkdir()
    (root / SITE / "x-1.dist-info" / "METADATA").write_bytes(b"\xff\x00")
    assert left(read_environment(root)) == [
        f"{SITE}/x-1.dist-info: says neither name nor version of what is installed"
    ]


def test_packages_of_conda_keep_build_and_channel_and_are_not_asked_of_pip(root: Path):
    (root / "pyvenv.cfg").unlink()
    install(root, "numpy", "1.26.4")
    install(root, "six", "1.16.0")
    record(
        root,
        "numpy",
        version="1.26.4",
        build="py311_0",
        channel="https://conda.example.com/conda-forge/linux-64",
        subdir="linux-64",
        files=[f"{SITE}/numpy-1.26.4.dist-info/METADATA"],
    )
    record(root, "python", version="3.11.8", build="h_0", channel="conda-forge", subdir="linux-64", files=[])
    record(root, "lost", version="1")
    content = read_environment(root)
    assert content.tables == {
        "conda": {"channels": ["conda-forge"], "packages": ["numpy ==1.26.4 py311_0", "python ==3.11.8 h_0"]},
        "pip": {"packages": ["six==1.16.0"]},
    }
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "lib/python3.11")]
    assert len(content.left) == 1
    assert content.left[0].where == "conda-meta/lost.json"


def test_a_folder_that_is_no_environment_is_said(tmp_path: Path):
    assert left(read_environment(tmp_path / "nope")) == [f"{tmp_path}/nope: is no folder of an environment"]
    assert left(read_environment(tmp_path)) == [f"{tmp_path}: has no Python in it"]
