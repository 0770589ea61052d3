import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats.source_archive import (
    LARGEST_MEMBER,
    SETUPTOOLS,
    SourceArchiveError,
    SourceDescription,
    describe,
    read_source_archive,
    requirements_of_egg,
)

OLD = b"Metadata-Version: 1.2\nName: demo\nVersion: 1.0\n"
STATIC = b"Metadata-Version: 2.2\nName: demo\nVersion: 1.0\nRequires-Dist: six\nRequires-Python: >=3.8\n"


def described(**files: bytes) -> SourceDescription:
    names = {"info": "PKG-INFO", "pyproject": "pyproject.toml", "requires": "requires.txt"}
    return describe({names[key]: content for key, content in files.items()})


@pytest.mark.parametrize(
    ("info", "final"),
    [
        (STATIC, True),
        (STATIC + b"Dynamic: Version\n", True),
        (STATIC + b"Dynamic: Requires-Dist\n", False),
        (STATIC + b"Dynamic: requires-python\n", False),
        (STATIC.replace(b"2.2", b"2.1"), False),
        (OLD, False),
        (b"", False),
        (b"Metadata-Version: nonsense\n", False),
    ],
    ids=["static", "version alone", "requires", "python", "2.1", "1.2", "none", "nonsense"],
)
def test_what_a_build_may_change_is_not_final(info: bytes, final: bool) -> None:
    assert described(info=info).is_final is final


def test_a_project_table_that_says_all_is_final() -> None:
    found = described(
        info=OLD,
        pyproject=b'[project]\nname = "demo"\nversion = "1.0"\nrequires-python = ">=3.9"\n'
        b'dependencies = ["six>=1"]\n[project.optional-dependencies]\n'
        b"fast = [\"numpy; python_version>'3'\"]\n",
    )

    assert found.is_final
    assert found.requires == ("six>=1", 'numpy; (python_version > "3") and extra == "fast"')
    assert found.requires_python == ">=3.9"


@pytest.mark.parametrize("field", ["dependencies", "optional-dependencies", "requires-python"])
def test_a_project_table_that_leaves_it_to_the_build_is_not(field: str) -> None:
    text = f'[project]\nname = "demo"\nversion = "1.0"\ndynamic = ["{field}"]\n'

    assert not described(info=OLD, pyproject=text.encode()).is_final


def test_what_the_author_s_own_build_had_is_a_guess() -> None:
    found = described(info=OLD, requires=b"six\n\n[fast]\nnumpy>=2\n[:python_version<'3']\nfutures\n")

    assert not found.is_final
    assert found.requires == ("six", 'numpy>=2; extra == "fast"', "futures; (python_version<'3')")


def test_a_line_that_is_no_requirement_is_left_out_of_a_guess() -> None:
    assert list(requirements_of_egg("six\n???\n[fast]\n???\n")) == ["six"]


@pytest.mark.parametrize(
    ("text", "requires", "backend", "path"),
    [
        ("", SETUPTOOLS, None, ()),
        ("[build-system]\nrequires = []\n", (), None, ()),
        (
            '[build-system]\nrequires = ["flit_core>=3"]\nbuild-backend = "flit_core.buildapi"\n',
            ("flit_core>=3",),
            "flit_core.buildapi",
            (),
        ),
        (
            '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["tools"]\n',
            (),
            "own",
            ("tools",),
        ),
        ("[build-system]\nrequires = 3\n", SETUPTOOLS, None, ()),
    ],
    ids=["none", "nothing", "flit", "its own", "nonsense"],
)
def test_what_builds_it_is_read(
    text: str, requires: tuple[str, ...], backend: str | None, path: tuple[str, ...]
) -> None:
    found = described(info=OLD, pyproject=text.encode())

    assert (found.build_requires, found.backend, found.backend_path) == (requires, backend, path)


@pytest.mark.parametrize("text", [b"[build-system\n", b"build-system = 3\n", b"\xff"])
def test_a_project_file_that_is_none_is_an_error(text: bytes) -> None:
    with pytest.raises(SourceArchiveError):
        described(info=OLD, pyproject=text)


def tar_of(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_every_kind_of_archive_is_read(tmp_path: Path, mode: str) -> None:
    path = tar_of(tmp_path / "demo", {"demo-1.0/PKG-INFO": STATIC, "demo-1.0/setup.py": b""}, mode)

    assert read_source_archive(path).requires == ("six",)


def test_a_zip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "demo.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("demo-1.0/PKG-INFO", STATIC)

    assert read_source_archive(path).version == "1.0"


def test_only_the_project_s_own_files_count(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "demo",
        {
            "demo-1.0/vendored/PKG-INFO": OLD.replace(b"demo", b"other"),
            "demo-1.0/PKG-INFO": STATIC,
            "demo-1.0/tests/pyproject.toml": b"[broken",
        },
    )

    assert read_source_archive(path).name == "demo"


def test_a_project_in_a_folder_of_a_tree_is_found(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "tree", {"python/pyproject.toml": b"[build-system]\nrequires = []\n"}, "w")

    assert read_source_archive(path, subdirectory="python", is_tree=True).build_requires == ()
    assert read_source_archive(path, is_tree=True).build_requires == SETUPTOOLS


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "demo", {"demo-1.0/PKG-INFO": b"a" * (LARGEST_MEMBER + 1)})

    with pytest.raises(SourceArchiveError, match="has more than"):
        read_source_archive(path)


@given(st.binary(max_size=300))
def test_bytes_that_are_no_archive_are_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("random") / "demo.tar.gz"
    path.write_bytes(data)

    with contextlib.suppress(SourceArchiveError):
        read_source_archive(path)


@given(
    st.dictionaries(st.sampled_from(["PKG-INFO", "pyproject.toml", "requires.txt"]), st.binary(max_size=200))
)
def test_files_that_say_anything_are_read_or_refused(files: dict[str, bytes]) -> None:
    with contextlib.suppress(SourceArchiveError):
        describe(files)
