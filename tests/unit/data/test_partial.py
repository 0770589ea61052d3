import errno
from pathlib import Path

import pytest

from envbuild.data.partial import NoRoomError, PartialFolder, placing_errors
from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError


def test_bytes_are_kept_and_placed_under_their_name(tmp_path: Path) -> None:
    folder = PartialFolder.beside(tmp_path / "images")
    with folder.receiving("name") as partial:
        partial.append(b"first ")
    assert folder.received("name") == 6

    with folder.receiving("name") as partial:
        assert (partial.position, partial.sha256) == (6, sha256_bytes(b"first "))
        partial.append(b"second")
        assert partial.sha256 == sha256_bytes(b"first second")
        partial.place(tmp_path / "images" / "deep" / "file")
    folder.remove_if_empty()

    assert (tmp_path / "images/deep/file").read_bytes() == b"first second"
    assert (tmp_path / "images/deep/file").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_files_arrive_beside_what_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "disk" / "images").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "images")

    assert PartialFolder.beside(tmp_path / "link").folder == tmp_path / "disk" / ".images.partial"


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    folder = PartialFolder.beside(tmp_path / "images")
    with folder.receiving("name") as partial:
        partial.append(b"wrong")
        partial.restart()
        assert (partial.position, partial.content()) == (0, b"")
    folder.remove_if_empty()
    assert folder.folder.exists()
    assert folder.received("none") == 0


def test_a_link_in_place_of_a_partial_file_is_not_followed(tmp_path: Path) -> None:
    folder = PartialFolder.beside(tmp_path / "images")
    folder.folder.mkdir()
    (tmp_path / "victim").write_text("precious")
    (folder.folder / "name").symlink_to(tmp_path / "victim")

    with pytest.raises(OSError, match="symbolic links"), folder.receiving("name"):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, NoRoomError), (errno.EACCES, EnvbuildError)])
def test_what_the_disk_refuses_names_the_place(
    tmp_path: Path, number: int, kind: type[EnvbuildError]
) -> None:
    with pytest.raises(kind, match="images cannot be written"), placing_errors(tmp_path / "images"):
        raise OSError(number, "refused", "file")
