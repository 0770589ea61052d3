import os
import resource

import pytest

from envbuild.files import atomic


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


def test_what_a_full_disk_takes_of_the_bytes_is_not_taken_for_all(tmp_path):
    """A file size limit stands in for a full disk: the last bytes that fit are written without an error."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    descriptor = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic.write_all(descriptor, b"x" * 1500)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        os.close(descriptor)
    assert (tmp_path / "file").stat().st_size == 1000


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
