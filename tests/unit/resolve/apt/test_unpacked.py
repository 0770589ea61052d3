"""apt from packages: which are taken, what of them is written, and what is refused."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from envbuild.catalog.distributions import distributions
from envbuild.errors import IntegrityError, NetworkError, ToolMissingError
from envbuild.formats.apt_sources_list import parse_lines
from envbuild.platforms import AMD64, ARM64
from envbuild.progress import SILENT
from envbuild.remote.apt import AptSettings, Keyring
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.lists import require_listed, update_lists
from envbuild.resolve.apt.root import AptRoot, write_root
from envbuild.resolve.apt.unpacked import AptTree, AptTrees, flat_name
from envbuild.store.store import Store
from tests.rig.archive import make_deb
from tests.rig.signed_archive import SignedArchive, new_key, public, stanza

BOOKWORM = distributions()["debian:bookworm"]
PROGRAMS = ("apt-get", "apt-cache", "apt-config", "sleep")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("usr/bin/apt-get", "apt-get"),
        ("bin/sleep", "sleep"),
        ("lib/x86_64-linux-gnu/libc.so.6", "libc.so.6"),
        ("usr/lib/aarch64-linux-gnu/libstdc++.so.6.0.30", "libstdc++.so.6.0.30"),
        ("usr/lib/apt/methods/file", "file"),
        ("usr/share/dpkg/cputable", "cputable"),
        ("usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", None),
        ("usr/lib/x86_64-linux-gnu/../../etc/x.so", None),
        ("usr/bin/apt", None),
        ("etc/passwd", None),
    ],
)
def test_what_is_taken_of_a_package(path: str, name: str | None) -> None:
    assert flat_name(path) == name


def test_the_words_that_start_a_program() -> None:
    tree = AptTree(folder=Path("/t/0123"), platform=AMD64)

    here, there = tree.command("apt-get"), tree.command("apt-get", folder="/apt")

    assert here[:5] == (
        "/t/0123/ld-linux-x86-64.so.2",
        "--inhibit-cache",
        "--library-path",
        "/t/0123",
        "/t/0123/apt-get",
    )
    assert "Dir::Bin::Methods::http=/t/0123/method-copy" in here
    assert "Dir::Bin::Methods::http=/apt/copy" in there
    assert tree.holder(folder="/apt")[-1] == "/apt/sleep"
    assert AptTree(folder=Path("/t"), platform=ARM64).loader == "ld-linux-aarch64.so.1"


class Tools:
    """A signed archive that holds what bookworm's apt is made of, in name only."""

    def __init__(self, archive: SignedArchive, folder: Path) -> None:
        self.archive = archive
        self.folder = folder
        self.keyring = folder / "keyring.pgp"
        self.keyring.write_bytes(public(archive.key))
        packages = []
        for name in BOOKWORM.apt_packages:
            files = {}
            if name == "apt":
                files = {f"usr/bin/{program}": f"{program} 1" for program in PROGRAMS}
                files |= {f"usr/share/dpkg/{table}": table for table in ("cputable", "tupletable")}
                files |= {f"usr/lib/apt/methods/{method}": method for method in ("copy", "file")}
                files |= {"usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": "loader", "etc/x": "not taken"}
            deb = make_deb(folder, name, "1", architecture="amd64", files=files)
            content = deb.read_bytes()
            self.archive.files[f"/pool/{deb.name}"] = content
            packages.append(self.of(deb))
        self.packages = tuple(packages)

    def of(self, deb: Path) -> str:
        name, version, _ = deb.name.split("_")
        content = deb.read_bytes()
        return stanza(
            name,
            version,
            architecture="amd64",
            path=f"pool/{deb.name}",
            Size=str(len(content)),
            SHA256=hashlib.sha256(content).hexdigest(),
        )

    def publish(self, *packages: str) -> None:
        files = {path: data for path, data in self.archive.files.items() if path.startswith("/pool/")}
        self.archive.publish(
            *(packages or self.packages), suite="bookworm", date=datetime.now(UTC).replace(microsecond=0)
        )
        self.archive.files |= files

    def trees(self) -> AptTrees:
        settings = AptSettings(keyring=self.keyring)
        return AptTrees(
            folder=self.folder / "programs", store=Store(self.folder / "cache"), settings=lambda: settings
        )

    def archives(self) -> AptArchives:
        return AptArchives(
            name="image",
            architecture="amd64",
            sources=parse_lines(f"deb {self.archive.url} bookworm main"),
            keyrings=(Keyring(path="/k.pgp", content=public(self.archive.key)),),
        )

    @contextmanager
    def tree(self) -> Iterator[AptTree]:
        archives = self.archives()
        folder = self.folder / f"root-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        root = AptRoot(folder=folder, lists=self.folder / "lists", source_cache=self.folder / "cache.bin")
        write_root(root, archives, ca_bundle=None)
        update_lists(archives, root, SILENT)
        with self.trees().open(archives, root, AMD64, _no_lists) as tree:
            yield tree


@contextmanager
def _no_lists(archives: AptArchives) -> Iterator[AptRoot]:
    raise AssertionError(f"the lists of {archives.name} are there")
    yield


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    with SignedArchive() as archive:
        made = Tools(archive, tmp_path)
        made.publish()
        yield made


def test_a_tree_is_made_once_of_signed_packages(tools: Tools) -> None:
    with tools.tree() as tree:
        names = {path.name for path in tree.folder.iterdir()}
        assert (tree.folder / "apt-get").read_text() == "apt-get 1"
        assert (tree.folder / "method-copy").read_text().startswith("#!/bin/sh\n")
    asked = len(tools.archive.requests)
    with tools.tree() as again:
        assert again == tree

    assert names >= {*PROGRAMS, "cputable", "tupletable", "copy", "file", "ld-linux-x86-64.so.2"}
    assert "x" not in names
    # the Release file alone
    assert len(tools.archive.requests) == asked + 1


def test_the_newest_version_is_taken(tools: Tools) -> None:
    newer = make_deb(tools.folder, "apt", "1.10", architecture="amd64", files={"usr/bin/apt-get": "newer"})
    tools.archive.files[f"/pool/{newer.name}"] = newer.read_bytes()
    tools.publish(*tools.packages, tools.of(newer))

    with pytest.raises(ToolMissingError, match="have no apt-cache"), tools.tree():
        pass


def test_a_package_that_is_not_the_signed_one_is_refused(tools: Tools) -> None:
    name = "/pool/apt_1_amd64.deb"
    tools.archive.files[name] = tools.archive.files[name][:-1] + b"x"

    with pytest.raises(IntegrityError), tools.tree():
        pass
    assert not [path for path in (tools.folder / "programs").glob("*") if path.name[0] != "."]


def test_keys_that_an_image_brings_do_not_count(tools: Tools) -> None:
    # the image trusts the archive; the distribution's keys did not sign it
    tools.keyring.write_bytes(public(new_key()))

    with pytest.raises(ToolMissingError, match="in a list signed by its keys"), tools.tree():
        pass


def test_archives_of_no_known_distribution_need_a_mirror_of_one(tmp_path: Path) -> None:
    trees = AptTrees(folder=tmp_path, store=Store(tmp_path), settings=AptSettings)
    archives = AptArchives(
        name="other:1", architecture="amd64", sources=parse_lines("deb http://m.example x main")
    )

    with pytest.raises(ToolMissingError) as caught:
        trees.tools_of(archives, AMD64)

    assert caught.value.hint
    assert "`ENVBUILD_APT_MIRROR=ADDRESS envbuild lock`" in caught.value.hint
    assert isinstance(caught.value.__cause__, NetworkError)


def test_a_record_that_is_in_no_signed_list_is_refused(tools: Tools) -> None:
    archives = tools.archives()
    root = AptRoot(folder=tools.folder / "r", lists=tools.folder / "l", source_cache=tools.folder / "c")
    root.folder.mkdir()
    write_root(root, archives, ca_bundle=None)
    update_lists(archives, root, SILENT)
    (fields,) = [dict(line.split(": ", 1) for line in tools.packages[0].splitlines())]

    require_listed([fields, {"Package": "virtual"}], root)
    for change in ({"Version": "2"}, {"SHA256": "0" * 64}, {"Filename": "pool/x.deb"}, {"Depends": "more"}):
        with pytest.raises(IntegrityError, match="the image's apt says of"):
            require_listed([fields | change], root)
