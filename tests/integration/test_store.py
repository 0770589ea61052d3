"""The store under faults of real systems: a small disk, processes killed anywhere; and real mirrors."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from envbuild.cache.prune import prune
from envbuild.remote.apt import read_settings
from envbuild.remote.index.client import PythonIndex
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import ArchiveLocator, IndexLocator
from envbuild.store.store import Store
from tests.rig.artifacts import content_of
from tests.rig.faulty_server import FaultyServer, Turn, serving
from tests.rig.locks import deb, wheel

pytestmark = pytest.mark.slow

PREAMBLE = """
import sys
from pathlib import Path
from envbuild.errors import EnvbuildError
from envbuild.progress import SilentProgress
from envbuild.store.fetch import fetch_all
from envbuild.store.stage import staged
from envbuild.store.store import Store
from tests.rig.artifacts import artifact_of, content_of
"""

FILLING = """
folder = Path(sys.argv[1])

class Filler(SilentProgress):
    def on_bytes(self, done, total):
        (folder / "filler").write_bytes(bytes(700_000))

try:
    fetch_all([artifact_of(content_of(1, 500_000), sys.argv[2])], store=Store(folder), progress=Filler())
except (EnvbuildError, OSError) as error:
    print(type(error).__name__, str(error))
"""

SURVIVING = """
urls = sys.argv[2:]
artifacts = [
    artifact_of(content_of(seed, 400_000), url, filename=f"{seed}.whl") for seed, url in enumerate(urls)
]
store = Store(Path(sys.argv[1]))
with staged(
    {f"wheels/{one.filename}": one for one in artifacts},
    store=store,
    fetch=lambda some: fetch_all(some, store=store, workers=3),
) as folder:
    print(sorted(path.name for path in folder.glob("wheels/*")))
"""


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


def program(text: str, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", PREAMBLE + text, *map(str, arguments)]


def test_a_real_full_disk_names_folder_and_need(server: FaultyServer, tmp_path: Path) -> None:
    """A file system of one mebibyte, in a mount namespace of its own that ends with the process.

    There is room when the fetch begins; then somebody else takes it.
    """
    url = server.put("demo.whl", content_of(1, 500_000))
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting, str(disk)]

    done = subprocess.run(
        [*namespace, *program(FILLING, disk, url)], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    said = re.fullmatch(
        rf"DiskFullError no room left in the cache folder {disk}: (\d+) kB more are needed\n", done.stdout
    )
    assert said, done.stdout
    assert 150 <= int(said[1]) <= 250


def test_a_folder_without_write_permission_is_named(server: FaultyServer, tmp_path: Path) -> None:
    """A read-only bind mount refuses root too."""
    url = server.put("demo.whl", content_of(1, 500_000))
    mounting = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting, str(tmp_path)]

    done = subprocess.run(
        [*namespace, *program(FILLING, tmp_path / "cache", url)], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.stdout == (
        f"EnvbuildError the cache folder {tmp_path / 'cache'} cannot be used: "
        f"Read-only file system ({tmp_path / 'cache'})\n"
    )


def test_a_cache_that_may_only_be_read_serves(tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    store.add_bytes(content_of(0, 400_000))
    reading = (
        "one = artifact_of(content_of(0, 400_000))\n"
        "store = Store(Path(sys.argv[1]))\n"
        "fetch_all([one], store=store, offline=True)\n"
        "print(len(store.open_verified(one.sha256).read()))\n"
    )
    mounting = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting, str(tmp_path)]

    done = subprocess.run(
        [*namespace, *program(reading, store.folder)], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("400000\n", "")


def test_processes_killed_anywhere_lose_nothing_and_leave_nothing(
    server: FaultyServer, tmp_path: Path
) -> None:
    """Two at a time, killed after ever longer, until both come through."""
    size, count = 400_000, 8
    slow = Turn(before=lambda: time.sleep(0.05))
    urls = [server.put(f"{seed}.whl", content_of(seed, size), slow) for seed in range(count)]
    store = Store(tmp_path / "cache")
    expected = f"{sorted(f'{seed}.whl' for seed in range(count))}\n"
    chance = random.Random(7)  # noqa: S311 - repeatable
    killed = 0
    for patience in range(40):
        children = [
            subprocess.Popen(program(SURVIVING, store.folder, *urls), stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        # a busy machine takes seconds to start them
        time.sleep(0.25 + patience * chance.uniform(0.0, 0.1) * 1.05**patience)
        for child in children:
            child.send_signal(signal.SIGKILL)
        outputs = [child.communicate(timeout=30)[0] for child in children]
        codes = [child.returncode for child in children]
        killed += codes.count(-signal.SIGKILL)
        assert set(codes) <= {0, -signal.SIGKILL}
        assert store.damaged(store.digests()) == ()
        if codes == [0, 0]:
            assert outputs == [expected, expected]
            break
    else:
        pytest.fail("they never came through")

    assert killed > 2
    assert len(store.digests()) == count
    # one request per file, and one more for each that a killed process had begun
    assert len(server.seen) <= count + 3 * killed
    store.sweep()
    prune(store.folder, [store])
    assert list(store.partials_folder.iterdir()) == []
    assert list(store.contexts_folder.iterdir()) == []


def test_ctrl_c_leaves_no_staged_folder(server: FaultyServer, tmp_path: Path) -> None:
    url = server.put("0.whl", content_of(0, 400_000), Turn(pause_after=100_000))
    store = Store(tmp_path / "cache")
    child = subprocess.Popen(program(SURVIVING, store.folder, url), stderr=subprocess.PIPE, text=True)
    assert server.paused.wait(30)
    assert len(list(store.contexts_folder.iterdir())) == 2

    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=10)

    assert errors.endswith("KeyboardInterrupt\n")
    assert list(store.contexts_folder.iterdir()) == []


@pytest.mark.network
def test_wheels_come_from_the_index_of_this_machine(tmp_path: Path) -> None:
    index = PythonIndex.of_this_machine()
    locator = IndexLocator(lambda: index)
    artifacts = []
    for project, file in (
        ("installer", "installer-1.0.0-py3-none-any.whl"),
        ("iniconfig", "iniconfig-2.0.0-py3-none-any.whl"),
    ):
        found = index.locate(project, file)
        assert found.sha256
        locked = wheel(project).model_copy(update={"file": file})
        artifacts.append(
            Artifact(
                kind="wheel",
                name=project,
                filename=file,
                sha256=found.sha256,
                size=index.size(found),
                locate=partial(locator.locate, locked),
            )
        )
    store = Store(tmp_path)

    fetch_all(artifacts, store=store)

    assert store.damaged(artifact.sha256 for artifact in artifacts) == ()
    locator.close()


@pytest.mark.network
def test_debs_come_from_the_archives_of_this_machine(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["apt-cache", "show", "--no-all-versions", "hostname"], capture_output=True, text=True, check=True
    )
    fields = dict(line.split(": ", 1) for line in shown.stdout.splitlines() if ": " in line)
    locked = deb("hostname", fields["Version"]).model_copy(
        update={"path": fields["Filename"], "sha256": fields["SHA256"], "size": int(fields["Size"])}
    )
    locator = ArchiveLocator(lambda: read_settings(os.environ))
    artifact = Artifact(
        kind="deb",
        name="hostname",
        filename=locked.file,
        sha256=locked.sha256,
        size=locked.size,
        locate=partial(locator.locate, locked),
    )
    store = Store(tmp_path)

    fetch_all([artifact], store=store)

    assert store.verify(locked.sha256)
