import asyncio
import hashlib
import zipfile

import pytest
from rattler import RepoDataRecord, Subdir, install

from envbuild.errors import IntegrityError
from envbuild.formats.conda_package import CondaArchive, Replacement
from envbuild.formats.conda_prefix import CondaPython, prefix_files, replaced
from tests.rig.conda import (
    PLACEHOLDER,
    PYTHON_VERSION,
    SUBDIR,
    File,
    Package,
    standard_channel,
    text,
    write_package,
)


def archive(package, tmp_path):
    path = write_package(package, tmp_path / "channel")
    return CondaArchive(path, name=path.name)


def brought(package, tmp_path):
    files = prefix_files(archive(package, tmp_path), prefix="/opt/conda", python=CondaPython.of("3.11.2"))
    return {file.path: file for file in files}


@pytest.mark.parametrize("extension", [".conda", ".tar.bz2"])
def test_text_and_binaries_get_the_prefix(tmp_path, extension):
    packed = b"\x7fELF\0" + PLACEHOLDER.encode() + b"/lib:" + PLACEHOLDER.encode() + b"/lib64\0rest\0"
    files = brought(
        Package(
            name="demo",
            extension=extension,
            files={
                "bin/demo": File(content=packed, executable=True, placeholder=PLACEHOLDER, binary=True),
                "etc/demo.conf": text(f"at {PLACEHOLDER}\n", placeholder=PLACEHOLDER),
                "etc/link": File(link="demo.conf"),
                "lib/__pycache__/a.pyc": text("x"),
            },
        ),
        tmp_path,
    )
    assert sorted(files) == ["bin/demo", "etc/demo.conf", "etc/link"]
    assert files["etc/demo.conf"].content == b"at /opt/conda\n"
    assert (files["etc/demo.conf"].mode, files["bin/demo"].mode) == (0o644, 0o755)
    content = files["bin/demo"].content
    assert len(content) == len(packed)
    assert content.startswith(b"\x7fELF\0/opt/conda/lib:/opt/conda/lib64\0\0")
    assert content.endswith(b"\0rest\0")
    assert files["etc/link"].target == "demo.conf"


def test_a_prefix_that_does_not_fit_is_refused():
    with pytest.raises(IntegrityError):
        replaced(b"/short\0", Replacement("/short", "binary"), "/opt/conda")


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "lib/../../outside"])
def test_paths_outside_the_prefix_are_refused(tmp_path, path):
    with pytest.raises(IntegrityError, match="lies outside the prefix"):
        brought(Package(name="demo", files={path: text("x")}), tmp_path)


def test_a_path_below_a_link_of_the_package_is_refused(tmp_path):
    package = Package(name="demo", files={"lib/etc": File(link="/etc"), "lib/etc/passwd": text("x")})
    with pytest.raises(IntegrityError, match="lies below a link"):
        brought(package, tmp_path)


def test_what_is_no_package_is_named(tmp_path):
    broken = tmp_path / "x"
    broken.write_bytes(b"no zip")
    for name in ("demo-1-0.conda", "demo-1-0.tar.bz2"):
        with pytest.raises(IntegrityError, match=f"{name} is not a conda package that can be read"):
            CondaArchive(broken, name=name).info()
    with zipfile.ZipFile(tmp_path / "empty", "w") as empty:
        empty.writestr("metadata.json", "{}")
    with pytest.raises(IntegrityError):
        CondaArchive(tmp_path / "empty", name="demo-1-0.conda").info()


@pytest.mark.slow
@pytest.mark.slow
def test_py_rattler_puts_the_same_files_into_a_prefix(tmp_path):
    channel = standard_channel().folder
    prefix = tmp_path / "prefix"
    paths = sorted(
        path
        for path in channel.glob("*/*")
        if path.name.startswith(("frames", "greet", "python", "old", "arrays-1.26"))
        and path.suffix != ".json"
    )

    async def lay_down():
        records = [await RepoDataRecord.from_package_archive(path) for path in paths]
        await install(
            records,
            prefix,
            cache_dir=tmp_path / "cache",
            platform=Subdir(SUBDIR),
            show_progress=False,
            alternative_target_prefix="/opt/conda",
        )

    asyncio.run(lay_down())
    compared = 0
    for path in paths:
        package = CondaArchive(path, name=path.name)
        for file in prefix_files(package, prefix="/opt/conda", python=CondaPython.of(PYTHON_VERSION)):
            there = prefix / file.path
            compared += 1
            if file.kind == "link":
                assert str(there.readlink()) == file.target, file.path
                continue
            assert hashlib.sha256(there.read_bytes()).digest() == hashlib.sha256(file.content).digest(), (
                file.path
            )
            assert bool(there.stat().st_mode & 0o111) == (file.mode == 0o755), file.path
    assert compared > 600
