"""Images of the local engine, found and run."""

import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from types import SimpleNamespace

import pytest

from envbuild.cache.use_lock import try_own
from envbuild.errors import EngineError, RunError
from envbuild.formats.compression import codec_of
from envbuild.image.compose import compose_image
from envbuild.image.engine import RunRequest
from envbuild.image.local.engine import LocalEngine
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.layers.store import LayerKey, LayerStore
from tests.rig.locks import sample_lock
from tests.rig.paths import CHECKOUT
from tests.rig.small_root import ENV, make_small_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids"),
]


class CachedLayers:
    def __init__(self, cache):
        self.path = lambda blob: LayerStore(cache).path(blob.digest)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    small = make_small_root(folder / "root")
    (small / "workspace").mkdir()
    os.chown(small / "workspace", 1000, 1000)
    key = LayerKey(kind="test", inputs={}, codec=codec_of("zstd"), comment="small")
    layer = LayerStore(folder).make(
        key, lambda writer: diff_layer(small, (), writer, started=2e9, epoch=1_000_000_000)
    )
    lock = sample_lock()
    ImageStore(folder).put("train:1", compose_image(lock, lock.targets[0], [layer]))
    return folder


@pytest.fixture
def engine(cache):
    return LocalEngine(cache)


def test_an_image_is_found_by_name_and_by_digest(engine):
    facts = engine.find("train:1")
    assert engine.find(facts.identifier) == facts
    assert (facts.user, facts.workdir, facts.command) == ("1000:1000", "/workspace", ("python",))
    assert engine.find("train:2") is None
    with pytest.raises(EngineError, match="the local engine has no image train:2"):
        engine.run(RunRequest(image="train:2", command=("true",)))


def test_a_command_runs_as_the_image_says(engine):
    script = 'id -u; id -g; echo "$PWD $HOME $GREETING"; cat /srv/probe; touch here && ls -l /srv/probe'
    outcome = engine.run(
        RunRequest(image="train:1", command=("sh", "-c", script), files={"/srv/probe": b"fed\n"})
    )
    assert outcome.stderr == b""
    lines = outcome.stdout.decode().splitlines()
    assert lines[:4] == ["1000", "1000", '/workspace /home/app say "hi" for $5\\', "fed"]
    assert lines[4].startswith("-rw-r--r--")
    as_root = engine.run(RunRequest(image="train:1", command=("sh", "-c", "id -u; ls /workspace"), user="0"))
    assert as_root.stdout == b"0\n"


ATTACHED = """
import sys; from pathlib import Path
from envbuild.image.engine import RunRequest
from envbuild.image.local.engine import LocalEngine
status = LocalEngine(Path(sys.argv[1])).run_attached(
    RunRequest(
        image="train:1", command=("sh", "-c", sys.argv[2]), archive=Path(sys.argv[3]).read_bytes(),
        workdir="/workspace", env={"EXTRA": "x"}, stdin=sys.argv[4] == "yes",
    )
)
sys.exit(status)
"""


@pytest.mark.parametrize(("interactive", "read"), [("yes", "typed\n"), ("no", "")])
def test_an_attached_command_has_the_files_streams_and_status(cache, tmp_path, interactive, read):
    with tarfile.open(tmp_path / "feed.tar", "w") as archive:
        entry = tarfile.TarInfo("train.py")
        entry.size, entry.uid, entry.gid = 3, 1000, 1000
        archive.addfile(entry, io.BytesIO(b"abc"))
    script = "stat -c '%n %u %s' train.py; echo $EXTRA; cat; echo err >&2; exit 7"
    done = subprocess.run(
        [sys.executable, "-c", ATTACHED, cache, script, tmp_path / "feed.tar", interactive],
        input="typed\n",
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, f"train.py 1000 3\nx\n{read}", "err\n")


def test_the_command_decides_what_an_interrupt_means(cache, tmp_path):
    tarfile.open(tmp_path / "feed.tar", "w").close()
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"
    child = subprocess.Popen(
        [sys.executable, "-c", ATTACHED, cache, script, tmp_path / "feed.tar", "no"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        start_new_session=True,
    )
    with child:
        assert child.stdout
        assert child.stderr
        assert child.stdout.readline() == "ready\n"
        os.killpg(child.pid, signal.SIGINT)
        assert (child.stdout.read(), child.stderr.read()) == ("caught\n", "")
    assert child.returncode == 9


def test_nothing_is_pruned_until_what_a_run_needs_is_held(engine, cache, monkeypatch):
    was_free = []
    blobs = engine._blobs

    def watched(image):
        found = blobs(image)

        def path(blob):
            with try_own(cache) as is_alone:
                was_free.append(is_alone)
            return found.path(blob)

        return SimpleNamespace(path=path)

    monkeypatch.setattr(engine, "_blobs", watched)
    shutil.rmtree(cache / "unpacked", ignore_errors=True)
    with engine._root("train:1") as (root, _), try_own(cache) as is_alone:
        assert root.run(("sh", "-c", "true"), env=dict(ENV)).exit_status == 0
    assert was_free == [False]
    assert is_alone


@pytest.mark.parametrize("command", ["no-such", "/etc/passwd", "/etc"])
def test_a_command_that_cannot_be_started_is_an_error_as_the_protocol_says(engine, command):
    request = RunRequest(image="train:1", command=(command,))
    with pytest.raises(EngineError, match=f"`{command}` cannot be started"):
        engine.run(request)
    with pytest.raises(RunError, match=f"`{command}` cannot be started"):
        engine.run_attached(request)


def test_an_image_that_is_not_there_runs_nothing(engine):
    with pytest.raises(RunError, match="the local engine has no image train:2"):
        engine.run_attached(RunRequest(image="train:2", command=("true",)))


def test_nothing_is_left_of_a_run(engine, cache):
    engine.run(RunRequest(image="train:1", command=("sh", "-c", "touch /workspace/x")))
    assert list((cache / "roots").iterdir()) == []
    assert len(list((cache / "unpacked").iterdir())) == 1
