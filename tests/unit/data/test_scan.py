import os
import socket
from pathlib import Path

import pytest

from envbuild.data import scan
from envbuild.data.scan import DataUnusableError, scan_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "b").mkdir(parents=True)
    (tmp_path / "data" / "empty").mkdir()
    (tmp_path / "data" / "b" / "one").write_text("1")
    (tmp_path / "data" / "b-two").write_text("22")
    return tmp_path / "data"


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(DataUnusableError) as caught:
        scan_data(folder)
    return list(map(str, caught.value.problems))


def test_files_are_found_in_the_order_of_their_paths(folder: Path) -> None:
    found = scan_data(folder)

    assert [(file.path, file.identity.size) for file in found] == [("b-two", 2), ("b/one", 1)]


def test_a_file_is_an_entry_by_its_name(folder: Path) -> None:
    assert [file.path for file in scan_data(folder / "b-two")] == ["b-two"]


def test_a_link_to_a_file_inside_counts_as_the_file(folder: Path) -> None:
    (folder / "link").symlink_to("b/one")
    (folder / "b" / "absolute").symlink_to(folder / "b-two")

    sizes = {file.path: file.identity.size for file in scan_data(folder)}

    assert sizes == {"b-two": 2, "b/absolute": 2, "b/one": 1, "link": 1}


def test_the_entry_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    (folder / "inner").symlink_to(tmp_path / "link" / "b-two")

    assert [file.path for file in scan_data(tmp_path / "link")] == ["b-two", "b/one", "inner"]


def test_a_link_that_leads_out_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data-secret").write_text("secret")
    (folder / "near").symlink_to(tmp_path / "data-secret")
    (folder / "b" / "far").symlink_to("../../../../../../etc/passwd")

    assert problems_of(folder) == [
        "b/far: is a link that leads out of the folder",
        "near: is a link that leads out of the folder",
    ]


def test_links_that_lead_nowhere_in_circles_or_to_folders_are_refused(folder: Path) -> None:
    (folder / "nowhere").symlink_to("b/none")
    (folder / "circle").symlink_to("circle")
    (folder / "folder").symlink_to("b")
    (folder / "b" / "up").symlink_to("..")

    assert problems_of(folder) == [
        "b/up: is a link that leads out of the folder",
        "circle: is a link that leads nowhere",
        "folder: is a link to a folder",
        "nowhere: is a link that leads nowhere",
    ]


def test_pipes_and_sockets_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")

    assert problems_of(folder) == [
        "pipe: is neither a file nor a folder",
        "socket: is neither a file nor a folder",
    ]
    with pytest.raises(DataUnusableError, match="neither a file nor a folder"):
        scan_data(folder / "pipe")


def test_a_name_that_is_not_text_is_refused_and_shown_with_escapes(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/b/\xff\x1b")).write_text("x")

    assert problems_of(folder) == [r"'b/\udcff\x1b': is not UTF-8"]


def test_a_few_of_many_problems_are_named(folder: Path) -> None:
    for number in range(50):
        (folder / f"{number:02}").symlink_to("/etc/passwd")

    assert len(problems_of(folder)) == scan.MOST_PROBLEMS + 1


def test_a_folder_with_too_many_files_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "MOST_FILES", 1)

    with pytest.raises(DataUnusableError, match="more than 1 files"):
        scan_data(folder)


def test_nothing_there_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan_data(tmp_path / "none")
