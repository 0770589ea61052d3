import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError
from envbuild.files.disk import DiskFullError
from envbuild.remote.address import Address
from envbuild.remote.download import Downloader
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.store import Store
from tests.rig.artifacts import artifact_of, content_of, sha256_of
from tests.rig.faulty_server import FaultyServer, Turn
from tests.rig.progress import RecordedProgress

CONTENT = content_of(1)
DIGEST = sha256_of(CONTENT)
NAME = "demo-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def without_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Downloads of these tests try again at once."""
    defaults = {"delays": (0.0, 0.0, 0.0, 0.0), "timeout": (5.0, 5.0)}
    monkeypatch.setattr(Downloader.__init__, "__kwdefaults__", defaults)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leftovers(store: Store) -> list[str]:
    return sorted(path.name for path in store.partials_folder.iterdir())


def test_what_lacks_is_fetched_once_and_what_is_there_is_not_asked_for(
    server: FaultyServer, store: Store
) -> None:
    contents = [content_of(seed, 1000 + seed) for seed in range(20)]
    artifacts = [
        artifact_of(content, server.put(f"{number}.whl", content), filename=f"{number}.whl")
        for number, content in enumerate(contents)
    ]
    store.add_bytes(contents[3])
    progress = RecordedProgress()

    fetch_all([*artifacts, *artifacts], store=store, progress=progress)
    fetch_all(artifacts, store=store)

    assert store.damaged(artifact.sha256 for artifact in artifacts) == ()
    assert sorted(seen.path for seen in server.seen) == sorted(f"/{n}.whl" for n in range(20) if n != 3)
    lacking = sum(map(len, contents)) - 1003
    assert (progress.bytes[0], progress.bytes[-1]) == ((0, lacking), (lacking, lacking))
    assert leftovers(store) == []


def test_a_stored_file_of_another_size_is_fetched_anew(server: FaultyServer, store: Store) -> None:
    artifact = artifact_of(CONTENT, server.put(NAME, CONTENT))
    store.add_bytes(CONTENT)
    store.place_of(DIGEST).write_bytes(CONTENT[:-1])

    fetch_all([artifact], store=store)

    assert store.verify(DIGEST)


@pytest.mark.slow
def test_nothing_missing_asks_nobody_and_imports_nothing_slow(store: Store) -> None:
    store.add_bytes(CONTENT)
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from envbuild.store.artifact import Artifact\n"
        "from envbuild.store.fetch import fetch_all\n"
        "from envbuild.store.stage import stage\n"
        "from envbuild.store.store import Store\n"
        "from envbuild.store.locators import ArchiveLocator, IndexLocator\n"
        "from envbuild.store.plan import artifacts_of\n"
        f"one = Artifact(kind='wheel', name='d', filename='d', sha256={DIGEST!r}, size={len(CONTENT)},\n"
        "    locate=lambda: sys.exit('asked'))\n"
        f"fetch_all([one], store=Store(Path({str(store.folder)!r})))\n"
        "print([name for name in ('requests', 'urllib3', 'pypi_simple', 'debian') if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_addresses_are_tried_in_order_each_once(server: FaultyServer, store: Store) -> None:
    gone = server.url("gone.whl")
    wrong = server.put("wrong.whl", CONTENT, Turn(body=content_of(2)))
    broken = server.put("broken.whl", CONTENT, Turn(drop_after=100_000), Turn(status=500))
    right = server.put("right.whl", CONTENT)

    fetch_all([artifact_of(CONTENT, gone, wrong, gone, broken, right, server.url("unused"))], store=store)

    assert store.verify(DIGEST)
    assert len(server.asked("gone.whl")) == 1
    assert len(server.asked("wrong.whl")) == 1
    # what one address gave is not asked of the next
    assert [seen.range for seen in server.asked("right.whl")] == ["bytes=100000-"]
    assert server.asked("unused") == []


def test_the_next_address_is_not_looked_for_before_it_is_needed(server: FaultyServer, store: Store) -> None:
    url = server.put(NAME, CONTENT)

    def locate() -> Iterator[Address]:
        yield Address.of(url)
        pytest.fail("asked for more")

    fetch_all([relocated(artifact_of(CONTENT), locate)], store=store)

    assert store.verify(DIGEST)


def relocated(artifact: Artifact, locate: Callable[[], Iterable[Address]]) -> Artifact:
    return replace(artifact, locate=locate)


def test_wrong_bytes_everywhere_are_an_integrity_error(server: FaultyServer, store: Store) -> None:
    other = content_of(2)
    wrong = server.put("wrong.whl", CONTENT, Turn(body=other))
    gone = server.url("gone.whl")
    with_password = wrong.replace("http://", "http://user:secret@")

    with pytest.raises(IntegrityError) as caught:
        fetch_all([artifact_of(CONTENT, with_password, gone)], store=store)

    assert caught.value.message == f"`{NAME}` cannot be had as it was locked"
    assert [str(problem) for problem in caught.value.problems] == [
        f"`{NAME}` from {wrong} is not the locked file: sha256 expected {DIGEST}, got {sha256_of(other)}",
        f"{gone} does not exist (HTTP 404)",
    ]
    assert caught.value.hint == (
        "do not use such a mirror before you know why; if the file was replaced on purpose, "
        "lock demo again with --upgrade-package"
    )
    assert store.digests() == ()
    assert leftovers(store) == []


def test_a_file_that_vanished_is_said_to_have(server: FaultyServer, store: Store) -> None:
    with pytest.raises(NotFoundError) as caught:
        fetch_all([artifact_of(CONTENT, server.url("a"), server.url("b"))], store=store)

    assert caught.value.message == f"`{NAME}` is no longer where it was when it was locked"
    assert [problem.message for problem in caught.value.problems] == [
        f"{server.url('a')} does not exist (HTTP 404)",
        f"{server.url('b')} does not exist (HTTP 404)",
    ]


def test_every_address_is_listed_with_its_reason(server: FaultyServer, store: Store) -> None:
    def locate() -> Iterator[Address]:
        yield Address.of("http://127.0.0.1:9/demo.whl")
        yield Address.of(server.put("busy", CONTENT, Turn(status=503)))
        raise NetworkError("the index cannot be reached")

    with pytest.raises(NetworkError) as caught:
        fetch_all([relocated(artifact_of(CONTENT), locate)], store=store)

    assert caught.value.message == f"cannot fetch `{NAME}`"
    assert [problem.message for problem in caught.value.problems] == [
        "cannot reach http://127.0.0.1:9/demo.whl (ConnectionRefusedError: [Errno 111] Connection refused)",
        f"{server.url('busy')} answered HTTP 503",
        "the index cannot be reached",
    ]


def test_no_address_at_all(store: Store) -> None:
    with pytest.raises(NetworkError) as caught:
        fetch_all([artifact_of(CONTENT)], store=store)

    assert [problem.message for problem in caught.value.problems] == ["no address is known for it"]


def test_the_first_failure_ends_the_others_and_keeps_what_they_have(
    server: FaultyServer, store: Store
) -> None:
    slow = server.put("slow.whl", CONTENT, Turn(pause_after=50_000))
    small = content_of(2, 10)

    def locate() -> Iterable[Address]:
        wait_until(lambda: store.received(DIGEST) == 50_000)
        return ()

    with pytest.raises(NetworkError, match="cannot fetch `small"):
        fetch_all(
            [artifact_of(CONTENT, slow), relocated(artifact_of(small, filename="small.whl"), locate)],
            store=store,
            workers=2,
        )

    # nobody waited until it was tried again
    assert [seen.path for seen in server.seen].count("/slow.whl") == 1
    assert store.received(DIGEST) == 50_000
    server.turns["/slow.whl"] = []
    fetch_all([artifact_of(CONTENT, slow)], store=store)
    assert server.asked("slow.whl")[-1].range == "bytes=50000-"
    assert store.verify(DIGEST)


class TestOffline:
    def test_everything_missing_is_said_at_once(self, server: FaultyServer, store: Store) -> None:
        contents = [content_of(seed, 1000) for seed in range(13)]
        artifacts = [
            artifact_of(content, server.url("x"), filename=f"{number:02}.whl")
            for number, content in enumerate(contents)
        ]
        store.add_bytes(contents[0])

        with pytest.raises(NetworkError) as caught:
            fetch_all(artifacts, store=store, offline=True)

        assert caught.value.message == "12 artifacts are missing and --offline forbids fetching"
        assert [str(problem) for problem in caught.value.problems] == [
            *(f"{number:02}.whl: 1.0 kB, not in the store" for number in range(1, 11)),
            "and 2 more",
        ]
        assert server.seen == []

    def test_what_is_there_suffices(self, store: Store) -> None:
        store.add_bytes(CONTENT)

        fetch_all([artifact_of(CONTENT)], store=store, offline=True)

    def test_the_vendored_folder_counts(self, store: Store, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(CONTENT)
        wrong = artifact_of(content_of(2, 5), filename="wrong.whl")
        (tmp_path / "wrong.whl").write_bytes(b"12345")

        with pytest.raises(NetworkError) as caught:
            fetch_all([artifact_of(CONTENT), wrong], store=store, offline=True, vendor=tmp_path)

        assert store.verify(DIGEST)
        assert caught.value.message == "1 artifact is missing and --offline forbids fetching"
        assert [str(problem) for problem in caught.value.problems] == [
            (
                f"wrong.whl: {tmp_path / 'wrong.whl'} is not the locked file: "
                f"sha256 expected {wrong.sha256}, got {sha256_of(b'12345')}"
            )
        ]


class TestVendored:
    def test_it_comes_before_any_address(self, server: FaultyServer, store: Store, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(CONTENT)
        progress = RecordedProgress()

        fetch_all(
            [artifact_of(CONTENT, server.put(NAME, CONTENT))], store=store, vendor=tmp_path, progress=progress
        )

        assert store.verify(DIGEST)
        assert server.seen == []
        assert progress.bytes[-1] == (len(CONTENT), len(CONTENT))
        assert not store.place_of(DIGEST).samefile(tmp_path / NAME)

    def test_what_it_has_wrong_is_fetched(self, server: FaultyServer, store: Store, tmp_path: Path) -> None:
        (tmp_path / NAME).write_bytes(content_of(2))

        fetch_all([artifact_of(CONTENT, server.put(NAME, CONTENT))], store=store, vendor=tmp_path)

        assert store.verify(DIGEST)

    def test_what_it_has_wrong_is_told_when_nothing_else_serves(
        self, server: FaultyServer, store: Store, tmp_path: Path
    ) -> None:
        (tmp_path / NAME).write_bytes(b"x")

        with pytest.raises(IntegrityError) as caught:
            fetch_all([artifact_of(CONTENT, server.url("gone"))], store=store, vendor=tmp_path)

        assert [problem.message for problem in caught.value.problems] == [
            f"{tmp_path / NAME} is not the locked file: sha256 expected {DIGEST}, got {sha256_of(b'x')}",
            f"{server.url('gone')} does not exist (HTTP 404)",
        ]


class TestDisk:
    def test_too_little_room_is_said_before_the_first_byte(self, server: FaultyServer, store: Store) -> None:
        huge = replace(artifact_of(CONTENT, server.put(NAME, CONTENT)), size=10**18)

        with pytest.raises(DiskFullError) as caught:
            fetch_all([huge], store=store)

        assert caught.value.message.startswith(
            f"no room left in the cache folder {store.folder}: 1000000 TB more are needed, "
        )
        assert server.seen == []

    @pytest.mark.slow
    def test_a_disk_that_fills_up_meanwhile(self, server: FaultyServer, tmp_path: Path) -> None:
        """A file size limit stands in for a full disk: it needs no mount, hence no root."""
        url = server.put(NAME, CONTENT)
        program = (
            "import resource\n"
            "from pathlib import Path\n"
            "from envbuild.errors import EnvbuildError\n"
            "from envbuild.store.fetch import fetch_all\n"
            "from envbuild.store.store import Store\n"
            "from tests.rig.artifacts import artifact_of, content_of\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try:\n"
            f"    fetch_all([artifact_of(content_of(1), {url!r})], store=Store(Path({str(tmp_path)!r})))\n"
            "except EnvbuildError as error:\n"
            "    print(type(error).__name__, error.message)\n"
        )

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr) == (
            f"DiskFullError no room left in the cache folder {tmp_path}: 100 kB more are needed\n",
            "",
        )
        assert Store(tmp_path).received(DIGEST) == 100_000

    def test_a_folder_that_may_not_be_written(self, server: FaultyServer, store: Store) -> None:
        store.prepare()
        # a folder in the way refuses root too, whom permissions do not
        (store.partials_folder / DIGEST).mkdir()

        with pytest.raises(EnvbuildError) as caught:
            fetch_all([artifact_of(CONTENT, server.put(NAME, CONTENT))], store=store)

        assert caught.value.message == (
            f"the cache folder {store.folder} cannot be used: "
            f"Is a directory ({store.partials_folder / DIGEST})"
        )


def fetch_in_child(folder: Path, urls: list[str], size: int, barrier: threading.Barrier) -> None:
    barrier.wait(30)
    artifacts = [
        artifact_of(content_of(seed, size), url, filename=f"{seed}.whl") for seed, url in enumerate(urls)
    ]
    fetch_all(artifacts, store=Store(folder), workers=2)


@pytest.mark.slow
def test_processes_at_once_download_each_file_once(server: FaultyServer, store: Store) -> None:
    size = 300_000
    slow = Turn(before=lambda: time.sleep(0.2))
    urls = [server.put(f"{seed}.whl", content_of(seed, size), slow) for seed in range(6)]
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    children = [
        context.Process(target=fetch_in_child, args=(store.folder, urls, size, barrier)) for _ in range(3)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(60)

    assert [child.exitcode for child in children] == [0, 0, 0]
    assert sorted(seen.path for seen in server.seen) == sorted(f"/{seed}.whl" for seed in range(6))
    assert len(store.digests()) == 6
    assert store.damaged(store.digests()) == ()
    assert leftovers(store) == []


@pytest.fixture
def child_program(tmp_path: Path) -> Path:
    program = tmp_path / "child.py"
    program.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from envbuild.store.fetch import fetch_all\n"
        "from envbuild.store.store import Store\n"
        "from tests.rig.artifacts import artifact_of, content_of\n"
        "try:\n"
        "    fetch_all([artifact_of(content_of(1), sys.argv[2])], store=Store(Path(sys.argv[1])))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n"
    )
    return program


@pytest.mark.slow
@pytest.mark.parametrize(("signal", "code"), [("KILL", -9), ("INT", 130)])
def test_a_process_that_is_stopped_leaves_what_the_next_resumes(
    server: FaultyServer, store: Store, child_program: Path, signal: str, code: int
) -> None:
    url = server.put(NAME, CONTENT, Turn(pause_after=120_000), Turn())
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    child = subprocess.Popen([sys.executable, child_program, store.folder, url], env=environment)
    wait_until(lambda: store.received(DIGEST) == 120_000)
    kill = shutil.which("kill")
    assert kill
    subprocess.run([kill, f"-{signal}", str(child.pid)], check=True)

    assert child.wait(30) == code
    assert store.digests() == ()
    assert leftovers(store) == [DIGEST]

    fetch_all([artifact_of(CONTENT, url)], store=store)

    assert [seen.range for seen in server.asked(NAME)] == [None, "bytes=120000-"]
    assert store.verify(DIGEST)
    assert leftovers(store) == []


def test_what_envbuild_carries_is_taken_from_it_without_a_network(store: Store) -> None:
    def unreachable() -> Iterable[Address]:
        raise AssertionError("no address is asked for")

    artifact = replace(artifact_of(CONTENT, "http://h/x"), locate=unreachable, carried=lambda: CONTENT)
    fetch_all([artifact], store=store, offline=True)
    assert store.verify(artifact.sha256)


def test_what_envbuild_carries_is_not_taken_for_something_else(store: Store) -> None:
    artifact = replace(artifact_of(CONTENT, "http://h/x"), carried=lambda: b"other")
    with pytest.raises(IntegrityError):
        fetch_all([artifact], store=store, offline=True)
    assert not store.holds(artifact.sha256, artifact.size)
