import io
import os
import subprocess
import tarfile

import pytest

from envbuild.errors import IntegrityError
from envbuild.formats.deb_seed import write_seed
from tests.rig.archive import make_deb

EPOCH = 1_790_000_000


@pytest.fixture
def debs(tmp_path):
    folder = tmp_path / "debs"
    folder.mkdir()
    return [
        make_deb(folder, "tool", "1.0", files={"bin/tool": "old", "etc/tool.conf": "a"}),
        make_deb(folder, "other", "1.0", files={"usr/bin/other": "b", "lib/x86_64-linux-gnu/libo.so": "c"}),
    ]


def seed_bytes(debs, path):
    write_seed(debs, path, epoch=EPOCH)
    return path.read_bytes()


def test_files_go_through_the_merged_folders(debs, tmp_path):
    with tarfile.open(fileobj=io.BytesIO(seed_bytes(debs, tmp_path / "seed.tar"))) as archive:
        names = archive.getnames()
        assert archive.getmember("bin").linkname == "usr/bin"
        assert archive.getmember("lib").linkname == "usr/lib"
        assert "usr/bin/tool" in names
        assert "bin/tool" not in names
        assert names == sorted(names)
        assert {member.uname for member in archive} == {""}
        assert all(member.mtime <= EPOCH for member in archive)


def test_neither_order_nor_umask_matters(debs, tmp_path):
    first = seed_bytes(debs, tmp_path / "one.tar")
    before = os.umask(0o077)
    try:
        second = seed_bytes(reversed(debs), tmp_path / "two.tar")
    finally:
        os.umask(before)
    assert first == second


def test_a_broken_package_is_named(tmp_path):
    broken = tmp_path / "broken_1_all.deb"
    broken.write_bytes(b"!<arch>\nnot a package")
    with pytest.raises(IntegrityError) as caught:
        write_seed([broken], tmp_path / "seed.tar", epoch=EPOCH)
    assert caught.value.message == "broken_1_all.deb cannot be unpacked"


def test_a_path_outside_the_root_is_refused(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("./../../etc/evil"))
    (tmp_path / "data.tar.xz").write_bytes(data.getvalue())
    (tmp_path / "debian-binary").write_bytes(b"2.0\n")
    control = io.BytesIO()
    with tarfile.open(fileobj=control, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("./control"))
    (tmp_path / "control.tar.gz").write_bytes(control.getvalue())
    subprocess.run(
        ["ar", "rc", "evil.deb", "debian-binary", "control.tar.gz", "data.tar.xz"], cwd=tmp_path, check=True
    )
    with pytest.raises(IntegrityError) as caught:
        write_seed([tmp_path / "evil.deb"], tmp_path / "seed.tar", epoch=EPOCH)
    assert "outside the root" in caught.value.message
