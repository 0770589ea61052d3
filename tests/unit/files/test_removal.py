import os

from envbuild.files.removal import remove_folder
from envbuild.files.temporary import temporary_folder


def deepen(folder, levels):
    """Make folders in folders, deeper than a path can name."""
    current = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        name = "a-rather-long-name-of-a-folder"
        os.mkdir(name, dir_fd=current)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=current))
        below = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = below
    os.close(current)


def test_folders_deeper_than_a_path_are_removed(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    deep = tmp_path / "deep"
    (deep / "one").mkdir(parents=True)
    (deep / "two").mkdir()
    (deep / "one/link").symlink_to(kept)
    deepen(deep / "one", 3000)
    deepen(deep / "two", 1500)

    remove_folder(deep)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert (kept / "file").exists()


def test_what_cannot_be_removed_is_no_error(tmp_path):
    (tmp_path / "file").touch()

    remove_folder(tmp_path / "file")
    remove_folder(tmp_path / "none")

    assert (tmp_path / "file").exists()


def test_a_temporary_folder_that_was_made_deep_leaves_nothing(tmp_path):
    with temporary_folder(tmp_path) as folder:
        deepen(folder, 1500)

    assert list(tmp_path.iterdir()) == []
