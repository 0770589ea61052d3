import os

import pytest

from envbuild import atomic


def test_unchanged_content_is_left_alone(tmp_path):
    path = tmp_path / "deep" / "file"
    assert atomic.write_text(path, "a\n")
    os.utime(path, (1, 1))
    assert not atomic.write_text(path, "a\n")
    assert path.stat().st_mtime == 1
    assert atomic.write_text(path, "b\n")


def test_the_mode_does_not_depend_on_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        atomic.write_bytes(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic.write_text(path, "old")

    def fail(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_text(path, "new")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
