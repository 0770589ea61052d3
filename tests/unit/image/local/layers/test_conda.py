"""conda packages of the local engine: what their layers follow from, and what of them wheels meet."""

import io
import os
import sys
import tarfile
from dataclasses import replace

import pytest
import zstandard

from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError
from envbuild.formats.compression import codec_of
from envbuild.image.local.layers.conda import NOBODY, files_in_the_way, plan_conda
from envbuild.image.local.layers.steps import Steps
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.layers.wheel_layers import make_wheel_layers
from envbuild.image.local.layers.writer import MTIME
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.lock.model import PythonArchive
from envbuild.progress import SILENT
from envbuild.render.layers import WheelLayer
from tests.rig.locks import conda_lock, sample_lock
from tests.rig.progress import RecordedProgress
from tests.rig.small_root import make_small_root
from tests.rig.wheels import layer_builder, locked, write_wheel

pytestmark = pytest.mark.slow

SITE = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

SCRIPTS = dict.fromkeys(("bytecode.py", "clamp.sh", "compile.py", "conda.json", "conda.py"), b"") | {
    "conda.sh": b"""
for layer in 1 2 3; do
    folder=/layers/$layer$2
    mkdir -p $folder/bin
    cat /dev/envbuild/conda/*.conda >$folder/bin/package$layer
    chmod 755 $folder/bin/package$layer
    touch -d @1760000000 $folder/bin/package$layer
done
echo "$1" >/said
ls /dev/envbuild/tools >>/said
""",
}


def test_no_conda_packages_is_nothing_to_do():
    lock = sample_lock()
    assert plan_conda(lock, lock.targets[0]) is None


def test_wheels_and_the_base_have_no_part_in_layers_of_conda_packages():
    lock = conda_lock()
    (target,) = lock.targets
    work = plan_conda(lock, target)
    assert work is not None
    bare = target.model_copy(update={"wheels": (), "env": {}, "workdir": "/elsewhere"})
    assert plan_conda(lock, bare) == work
    fewer = target.model_copy(update={"conda": target.conda[1:]})
    assert plan_conda(lock, fewer) != work


def entries_of(cache, layers):
    """Return what the layers hold together: each entry with its content."""
    found = {}
    for layer in layers:
        data = zstandard.ZstdDecompressor().decompressobj().decompress(b"".join(cache.chunks(layer)))
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                found[member.name] = (member, stream.read() if stream else None)
    return found


# --- laying down --------------------------------------------------------------------------------


@pytest.fixture
def below(tmp_path):
    make_small_root(tmp_path / "root")
    with tarfile.open(tmp_path / "layer.tar", "w") as archive:
        archive.add(tmp_path / "root", arcname=".")
    data = (tmp_path / "layer.tar").read_bytes()
    return PackedLayer(f"sha256:{sha256_bytes(data)}", lambda: [data])


def steps_of(tmp_path, **changes):
    (tmp_path / "package").write_text("content\n")
    options = {
        "cache": LayerStore(tmp_path),
        "trees": LayerTrees(tmp_path),
        "scratch": tmp_path / "roots",
        "codec": codec_of("zstd"),
        "scripts": SCRIPTS,
        "artifact": lambda _: tmp_path / "package",
        "environment": {"PATH": "/bin"},
        "progress": SILENT,
    }
    return Steps(**options | changes)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids")
def test_layers_hold_the_prefix_and_nothing_of_the_builder(tmp_path, below):
    lock = conda_lock()
    work = plan_conda(lock, lock.targets[0])
    assert work is not None
    steps = steps_of(tmp_path)
    layers = steps.conda([below], work)
    assert [layer.comment for layer in layers] == ["python 3.11.9", "numpy 2.3.4", "proj 9.6.0, tqdm 4.67.1"]
    entries = entries_of(steps.cache, layers)
    assert {name: (oct(entry.mode), entry.mtime) for name, (entry, _) in entries.items()} == {
        "opt/conda": ("0o755", MTIME),
        "opt/conda/bin": ("0o755", MTIME),
        **{f"opt/conda/bin/package{number}": ("0o755", 1_760_000_000) for number in (1, 2, 3)},
    }
    assert list((tmp_path / "roots").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids")
def test_packages_are_laid_down_once_and_one_lost_layer_is_made_again(tmp_path, below):
    lock = conda_lock()
    work = plan_conda(lock, lock.targets[0])
    assert work is not None
    progress = RecordedProgress()
    layers = steps_of(tmp_path, progress=progress).conda([below], work)
    other = PackedLayer(f"sha256:{'0' * 64}", list)
    assert steps_of(tmp_path, progress=progress).conda([other], work) == layers
    assert progress.stages == ["laying 4 conda packages down"]
    LayerStore(tmp_path).discard(layers[1].digest)
    assert steps_of(tmp_path, progress=progress).conda([below], work) == layers
    assert len(progress.stages) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids")
def test_a_base_without_python_gets_one_that_stays_in_the_builder(tmp_path, below):
    lock = conda_lock()
    work = plan_conda(lock, lock.targets[0])
    assert work is not None
    archive = PythonArchive(file="cpython-3.11.tar.gz", path="1/cpython-3.11.tar.gz", size=1, sha256="0" * 64)
    scripts = SCRIPTS | {
        "python.sh": b"mkdir -p /opt/python; echo python >/opt/python/python",
        "conda.sh": SCRIPTS["conda.sh"] + b"cat /opt/python/python >/layers/1$2/seen",
    }
    steps = steps_of(tmp_path, scripts=scripts)
    entries = entries_of(steps.cache, steps.conda([below], replace(work, archive=archive)))
    assert entries["opt/conda/seen"][1] == b"python\n"
    assert not [name for name in entries if not name.startswith("opt/conda")]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids")
def test_a_script_of_a_package_may_look_at_the_base(tmp_path, below):
    lock = conda_lock()
    work = plan_conda(lock, lock.targets[0])
    assert work is not None
    progress = RecordedProgress()
    steps = steps_of(tmp_path, progress=progress)
    other = PackedLayer(below.diff_id, below.read)
    running = replace(work, runs_scripts=True)
    assert steps.conda([below], running) == steps.conda([other], running)
    steps_of(tmp_path, progress=progress, environment={"PATH": "/bin", "MARK": "1"}).conda([below], running)
    assert progress.stages == ["laying 4 conda packages down"] * 2


# --- wheels on top ------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path):
    """Return two layers of conda packages unpacked, one record each."""
    made = [tmp_path / "trees/1", tmp_path / "trees/2"]
    for number, folder in enumerate(made, start=1):
        records = folder / "opt/venv/conda-meta"
        records.mkdir(parents=True)
        files = f'["{SITE}/same.py", "{SITE}/tool"]' if number == 1 else f'["{SITE}/link"]'
        (records / f"package{number}-1.0-0.json").write_text(f'{{"files": {files}}}')
        (folder / "opt/venv" / SITE).mkdir(parents=True)
    site = made[0] / "opt/venv" / SITE
    (site / "same.py").write_text("x = 1\n")
    (site / "tool").write_text("tool")
    (site / "tool").chmod(0o755)
    (site / "nobody.txt").write_text("left by a script")
    (made[1] / "opt/venv" / SITE / "link").symlink_to("elsewhere")
    return made


def test_only_what_wheels_meet_is_looked_at_and_named_by_its_package(folders):
    names = {f"{SITE}/{name}" for name in ("same.py", "nobody.txt", "new.py", "link/inside.py", "new/x.py")}
    assert files_in_the_way(names, folders, prefix="/opt/venv") == (
        ("package1-1.0-0", {f"{SITE}/same.py": (sha256_bytes(b"x = 1\n"), False)}),
        ("package2-1.0-0", {f"{SITE}/link": ("no file", False)}),
        (NOBODY, {f"{SITE}/nobody.txt": (sha256_bytes(b"left by a script"), False)}),
    )
    assert files_in_the_way({f"{SITE}/new.py"}, folders, prefix="/opt/venv") == ()


def laid_on(tmp_path, folders, files):
    wheel = write_wheel(tmp_path / "wheels", "demo", files)
    builder = layer_builder(tmp_path / "wheels", tmp_path / "cache")
    layers = make_wheel_layers(
        [WheelLayer((locked(wheel),))],
        builder,
        occupied=lambda names: files_in_the_way(names, folders, prefix="/opt/venv"),
    )
    return {
        name: (entry.mode, content) for name, (entry, content) in entries_of(builder.cache, layers).items()
    }


def test_a_file_both_bring_stays_executable_when_one_says_so(tmp_path, folders):
    entries = laid_on(tmp_path, folders, {"tool": b"tool", "same.py": b"x = 1\n"})
    assert entries[f"opt/venv/{SITE}/tool"] == (0o755, b"tool")
    assert entries[f"opt/venv/{SITE}/same.py"] == (0o644, b"x = 1\n")


def test_a_wheel_that_contradicts_conda_packages_is_refused_with_each_file(tmp_path, folders):
    with pytest.raises(IntegrityError) as caught:
        laid_on(tmp_path, folders, {"tool": b"another", "link/inside.py": b"", "new.py": b""})
    wheel = "demo-1.0-py3-none-any.whl"
    assert sorted(map(str, caught.value.problems)) == [
        f"{wheel}: it and package1-1.0-0 both bring /opt/venv/{SITE}/tool, with different content",
        f"{wheel}: it and package2-1.0-0 both bring /opt/venv/{SITE}/link, a file and a folder",
    ]
