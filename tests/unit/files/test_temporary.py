"""Temporary folders: found again by their lock for as long as there is something of them."""

import shutil

from envbuild.files.temporary import sweep_folders, temporary_folder


def test_what_cannot_be_removed_is_found_again(tmp_path, monkeypatch):
    """As files of subordinate ids are, outside the namespace they were made in."""
    with monkeypatch.context() as refusing:
        refusing.setattr(shutil, "rmtree", lambda *_, **__: None)
        with temporary_folder(tmp_path, prefix="x-") as folder:
            (folder / "file").touch()
        sweep_folders(tmp_path, prefix="x-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, f"{folder.name}.lock"]
    sweep_folders(tmp_path, prefix="x-")
    assert list(tmp_path.iterdir()) == []
