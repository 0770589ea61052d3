"""Steps of a recipe as layers, with scripts made for the purpose; the real ones run in tests/integration."""

import hashlib
import os
import resource
import tarfile

import pytest

from envbuild.errors import BuildFailedError
from envbuild.files.disk import DiskFullError
from envbuild.formats.compression import codec_of
from envbuild.image.local.layers.steps import Steps
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.lock.model import User
from envbuild.progress import SILENT
from tests.rig.archive import make_deb
from tests.rig.locks import deb
from tests.rig.progress import RecordedProgress
from tests.rig.small_root import make_small_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids"),
]

SCRIPTS = {
    "clamp.sh": b"",
    "finish.sh": b'cat /dev/envbuild/self/lock.json >/lock; echo "$* $SOURCE_DATE_EPOCH $MARK $HOME" >/said',
    "system.sh": b'for file in /dev/envbuild/debs/*; do echo "$file $1"; cat $file; done >/installed',
    "venv.sh": b"echo out; echo err >&2; exit 3",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    make_small_root(folder / "root")
    with tarfile.open(folder / "layer.tar", "w") as archive:
        archive.add(folder / "root", arcname=".")
    data = (folder / "layer.tar").read_bytes()
    return PackedLayer(f"sha256:{hashlib.sha256(data).hexdigest()}", lambda: [data])


@pytest.fixture
def make_steps(tmp_path):
    (tmp_path / "package").write_text("content of a package\n")

    def make(**changes):
        options = {
            "cache": LayerStore(tmp_path),
            "trees": LayerTrees(tmp_path),
            "scratch": tmp_path / "roots",
            "codec": codec_of("zstd"),
            "scripts": SCRIPTS,
            "artifact": lambda _: tmp_path / "package",
            "environment": {"PATH": "/bin", "MARK": "set by the base"},
            "progress": SILENT,
        }
        return Steps(**options | changes)

    return make


def finish(steps, small, **changes):
    options = {
        "user": User(name="app", uid=1, gid=2),
        "workdir": "/w",
        "files": {"lock.json": b"{}"},
        "epoch": 9,
    }
    return steps.finish([small], **options | changes)


def read(tmp_path, layer):
    packed = PackedLayer(layer.diff_id, lambda: LayerStore(tmp_path).chunks(layer))
    with LayerTrees(tmp_path).held([packed]) as (tree,):
        return {path.name: path.read_text() for path in tree.iterdir()}


def test_a_script_gets_its_arguments_files_and_environment(make_steps, small, tmp_path):
    layer = finish(make_steps(), small)
    assert read(tmp_path, layer) == {"lock": "{}", "said": "app 1 2 /w 9 set by the base /root\n"}
    assert list((tmp_path / "roots").iterdir()) == []


def test_packages_are_shown_under_the_archives_names(make_steps, small, tmp_path):
    layer = make_steps().install([small], [deb("git", "1:2.0-1")], epoch=7)
    assert read(tmp_path, layer) == {
        "installed": "/dev/envbuild/debs/git_1%3a2.0-1_amd64.deb 7\ncontent of a package\n"
    }
    assert layer.comment == "system packages: git"


def test_people_are_told_how_many_packages_are_installed(make_steps, small):
    progress = RecordedProgress()
    for debs in ([deb("git", "1:2.0-1")], [deb("git", "1:2.0-1"), deb("less", "1")]):
        make_steps(progress=progress).install([small], debs, epoch=7)
    assert progress.stages == ["installing 1 system package", "installing 2 system packages"]


def test_a_script_that_fails_is_named_with_what_it_said(make_steps, small, tmp_path):
    with pytest.raises(BuildFailedError) as failed:
        make_steps().environment_of([small], interpreter="/bin/python", prefix="/opt/venv")
    assert failed.value.message == "the build failed at: venv.sh (status 3)"
    assert failed.value.detail == "out\nerr"
    assert not list(tmp_path.glob("layers/partial/*"))


def test_a_script_that_finds_no_room_is_told_from_one_that_fails(make_steps, small, tmp_path):
    """The root's own /dev stands in for a full disk: it is small."""
    filling = {**SCRIPTS, "venv.sh": b"cat /dev/zero >/dev/file"}
    with pytest.raises(DiskFullError) as failed:
        make_steps(scripts=filling).environment_of([small], interpreter="/bin/python", prefix="/opt/venv")
    assert failed.value.message == f"no room left in the cache folder {tmp_path / 'roots'}"
    assert failed.value.detail is not None
    assert "No space left on device" in failed.value.detail


def test_a_disk_that_fills_up_while_packages_are_unpacked_is_said_to_be_full(make_steps, tmp_path):
    """A file size limit stands in for a full disk."""
    package = make_deb(tmp_path, "large", "1", files={"/usr/share/large": "x" * 300_000})
    (tmp_path / "tree").mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(DiskFullError):
            make_steps(artifact=lambda _: package).unpack([deb("large", "1")], tmp_path / "tree", epoch=7)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_step_is_run_once_for_the_same_inputs_and_again_for_others(make_steps, small):
    layer = finish(make_steps(), small)
    broken = {**SCRIPTS, "venv.sh": b"exit 1", "system.sh": b"exit 1"}
    assert finish(make_steps(scripts=broken), small) == layer
    changed = {
        finish(make_steps(), small, workdir="/x").diff_id,
        finish(make_steps(), small, epoch=10).diff_id,
        finish(make_steps(), small, files={"lock.json": b"[]"}).diff_id,
        finish(make_steps(environment={"PATH": "/bin"}), small).diff_id,
        finish(make_steps(scripts={**SCRIPTS, "finish.sh": b"echo other >/other"}), small).diff_id,
    }
    assert len(changed | {layer.diff_id}) == 6
