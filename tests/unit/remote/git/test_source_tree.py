import io
import tarfile
from pathlib import Path

import pytest

from envbuild.digest import sha256_file
from envbuild.remote.git.source_tree import SourceFile, SourceFiles, SourceTreeError


def archive(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            tar.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def links(**targets: str) -> SourceFiles:
    found = SourceFiles({b"d/f": SourceFile(content=b"x", size=1)})
    for path, target in targets.items():
        found.files[path.replace("_", "/").encode()] = SourceFile(target=target.encode())
    return found


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(links(a="d/f"), id="a file"),
        pytest.param(links(d_x="../d/f"), id="up and down"),
        pytest.param(links(d_x=".."), id="the top"),
        pytest.param(links(a="nothing"), id="nothing"),
        pytest.param(links(a="b", b="d"), id="a link to a link"),
    ],
)
def test_links_inside_are_kept(files: SourceFiles, tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    digest, size = files.write(path)
    assert (sha256_file(path), path.stat().st_size) == (digest, size)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        pytest.param(links(a="/etc"), "a", id="absolute"),
        pytest.param(links(a=".."), "a", id="above the top"),
        pytest.param(links(d_a="../../x"), "d/a", id="out by two"),
        pytest.param(links(d_e_up="../..", d_e_x="up/../y"), "d/e/x", id="out by way of a link"),
        pytest.param(links(a="b", b="a"), "a", id="in a circle"),
        pytest.param(links(a=""), "a", id="to nothing"),
    ],
)
def test_links_out_are_refused(files: SourceFiles, name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceTreeError) as caught:
        files.write(tmp_path / "s.tar")
    assert str(caught.value).startswith(f"`{name}` is a link to ")


def test_nothing_lies_below_a_link(tmp_path: Path) -> None:
    files = links(a="d")
    files.files[b"a/f"] = SourceFile(content=b"x", size=1)
    with pytest.raises(SourceTreeError, match=r"^`a/f` lies below `a`, which is no folder$"):
        files.write(tmp_path / "s.tar")


@pytest.mark.parametrize("name", ["../x", "a/../x", ".git/config", "a/.GIT/hooks/x", "/x", "a//x"])
def test_paths_that_sources_cannot_have_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SourceTreeError, match=r"is no path of sources$"):
        SourceFiles().add_archive(archive(tmp_path / "a.tar", member(name)))


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.LNKTYPE])
def test_other_kinds_of_files_are_refused(kind: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceTreeError, match=r"^`x` is neither a file nor a folder nor a link$"):
        SourceFiles().add_archive(archive(tmp_path / "a.tar", member("x", kind, "y")))


def test_order_and_owners_of_an_archive_do_not_matter(tmp_path: Path) -> None:
    first, second = member("b/x"), member("a")
    first.mtime, first.uid, first.mode = 99, 7, 0o640
    one, two = SourceFiles(), SourceFiles()
    one.add_archive(archive(tmp_path / "one.tar", first, second, content=b"hello"))
    two.add_archive(archive(tmp_path / "two.tar", member("a"), member("b/x"), content=b"hello"))
    assert one.write(tmp_path / "1") == two.write(tmp_path / "2")
    assert one.read(b"b/x", 4) == b"hell"
    assert one.read(b"nothing", 3) is None
