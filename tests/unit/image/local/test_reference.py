"""The reference of a lock: kept, made as root, and made by a process that is root of a user namespace."""

import base64
import importlib.util
import io
import json
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envbuild import process
from envbuild.errors import BuildFailedError, EngineError, EnvbuildError, IntegrityError, NetworkError
from envbuild.image.engine import BuildRequest
from envbuild.image.local import reference as module
from envbuild.image.local import reference_worker, user_namespace
from envbuild.image.local.reference import WORKER, Reference, kept_reference, make_reference
from envbuild.image.local.user_namespace import NEEDED_IDS, UNSHARE
from envbuild.image.stored.listings import ListingCache
from envbuild.lock.codec import loads
from envbuild.oci.layer_listing import LayerListing
from envbuild.progress import SilentProgress
from envbuild.store.store import Store
from envbuild.store.target_artifacts import TargetArtifacts
from tests.rig.locks import sample_lock
from tests.rig.stored_images import SmallImage
from tests.rig.tar_layers import file, folder, listing

Listings = tuple[LayerListing, ...]

ONE, TWO = (folder("usr"), file("usr/a", "1")), (file("usr/b", "2"),)
IMAGE = SmallImage([ONE, TWO])
LISTINGS = (listing(*ONE), listing(*TWO))
MADE = Reference(config=IMAGE.config, listings=LISTINGS)
ENVIRONMENT = {"PATH": "/usr/bin", "HOME": "/nowhere"}


class Items(SilentProgress):
    def __init__(self) -> None:
        self.items: list[str] = []

    def on_item(self, text: str) -> None:
        self.items.append(text)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def request_for(cache: Path) -> Callable[..., BuildRequest]:
    def make(probe: bytes = b"probe\xff", **changes: Any) -> BuildRequest:
        lock = sample_lock()
        target = lock.targets[0].model_copy(update=changes)
        lock = lock.model_copy(update={"targets": (target,)})
        artifacts = TargetArtifacts(
            lock, target, store=Store(cache), progress=Items(), offline=True, environment={}
        )
        return BuildRequest(lock=lock, target=target, artifacts=artifacts, probe=lambda: probe)

    return make


class Programs:
    """Plays the programs that are started: `cat` of the map of ids, and the worker."""

    def __init__(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = cache
        self._patch = monkeypatch
        self.ids = NEEDED_IDS
        self.status = 0
        self.output = IMAGE.config
        self.errors = b""
        self.listings: Listings = LISTINGS
        self.started: list[tuple[str, ...]] = []
        self.order: dict[str, Any] = {}

    def pretend(self, *, uid: int | None = None, machine: str | None = None) -> None:
        """Have the system say that this is another user, or another processor."""
        if uid is not None:
            self._patch.setattr(os, "geteuid", lambda: uid)
        if machine is not None:
            self._patch.setattr(platform, "machine", lambda: machine)

    def run(
        self,
        arguments: tuple[str | Path, ...],
        *,
        environment: dict[str, str],
        standard_input: bytes | None = None,
        on_stderr_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
    ) -> process.ProcessResult:
        words = tuple(map(str, arguments))
        self.started.append(words)
        assert environment == ENVIRONMENT
        assert words[: len(UNSHARE)] == UNSHARE
        if words[len(UNSHARE)] == "cat":
            assert timeout is not None
            return process.ProcessResult(
                arguments=words, exit_status=0, stdout_bytes=f"0 1000 1\n1 100000 {self.ids}\n".encode()
            )
        self.order = json.loads(standard_input or b"")
        # another process, which shares nothing but the cache folder
        kept = ListingCache(self.cache)
        for item in self.listings:
            kept.put(item)
        for line in self.errors.decode().splitlines():
            assert on_stderr_line is not None
            on_stderr_line(line)
        return process.ProcessResult(
            arguments=words,
            exit_status=self.status,
            stdout_bytes=b"" if self.status else self.output,
            stderr_bytes=self.errors,
        )


@pytest.fixture
def programs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return the programs of a machine of the sample's processor whose user is not root."""
    programs = Programs(cache, monkeypatch)
    monkeypatch.setattr(process, "run", programs.run)
    programs.pretend(uid=1000, machine="x86_64")
    return programs


Make = Callable[..., Reference]


@pytest.fixture
def make(cache: Path, programs: Programs, request_for: Callable[..., BuildRequest]) -> Make:
    def make(request: BuildRequest | None = None) -> Reference:
        return make_reference(
            request or request_for(), ListingCache(cache), cache=cache, environment=ENVIRONMENT
        )

    return make


def test_who_is_not_root_has_a_process_make_it_that_is(
    make: Make, programs: Programs, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    request = request_for()
    programs.errors = b"unpacking\nlaying down wheels\n"
    assert make(request) == MADE
    assert programs.started[-1] == (*UNSHARE, sys.executable, "-P", "-m", WORKER)
    assert importlib.util.find_spec(WORKER) is not None
    assert loads(programs.order.pop("lock")) == request.lock
    assert base64.b64decode(programs.order.pop("probe")) == request.probe()
    assert programs.order == {
        "variant": "default",
        "platform": "linux/amd64",
        "cache": str(cache),
        "offline": True,
        "compression": "zstd",
        "use-cache": True,
    }
    progress = request.artifacts.progress
    assert isinstance(progress, Items)
    assert progress.items == ["unpacking", "laying down wheels"]


def test_the_process_makes_what_it_was_told_to(
    make: Make, programs: Programs, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any,
    request_for: Callable[..., BuildRequest],
) -> None:  # fmt: skip
    """The order that the one writes is the one that the other reads."""
    wanted = request_for()
    make(wanted)
    seen: list[tuple[BuildRequest, Path]] = []

    def assemble(request: BuildRequest, listings: ListingCache, *, cache: Path) -> bytes:
        assert isinstance(listings, ListingCache)
        seen.append((request, cache))
        return IMAGE.config

    monkeypatch.setattr(reference_worker, "assemble_reference", assemble)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(programs.order)))
    assert reference_worker.main() == 0
    assert capsysbinary.readouterr().out == IMAGE.config
    ((request, cache),) = seen
    assert (request.lock, request.target) == (wanted.lock, wanted.target)
    assert (request.probe(), request.compression) == (wanted.probe(), wanted.compression)
    assert (request.artifacts.offline, cache) == (True, programs.cache)


@pytest.mark.parametrize(
    "error",
    [
        EngineError("no mounts"),
        NetworkError("out of reach"),
        IntegrityError("a wheel is not what the lock says"),
        BuildFailedError("a script failed", detail="why"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_the_process_is_the_same_error_here(
    make: Make, programs: Programs, monkeypatch: pytest.MonkeyPatch, capsysbinary: Any, error: EnvbuildError
) -> None:
    make()

    def fail(*_: Any, **__: Any) -> bytes:
        raise error

    monkeypatch.setattr(reference_worker, "assemble_reference", fail)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(programs.order)))
    programs.status = reference_worker.main()
    written = capsysbinary.readouterr()
    assert written.out == b""
    programs.errors = written.err
    with pytest.raises(type(error), match=f"^{re.escape(error.message)}$"):
        make()


def test_a_process_that_ends_in_any_other_way_is_a_failed_build(make: Make, programs: Programs) -> None:
    programs.status, programs.errors = 1, b"".join(b"line %d\n" % number for number in range(50))
    with pytest.raises(BuildFailedError) as caught:
        make()
    assert (caught.value.detail or "").splitlines()[::19] == ["line 30", "line 49"]


def test_who_has_too_few_ids_makes_none(make: Make, programs: Programs) -> None:
    programs.ids = 1000
    with pytest.raises(EngineError, match="needs root, or subordinate user ids"):
        make()
    assert len(programs.started) == 1


@pytest.mark.parametrize(
    ("machine", "target"),
    [("aarch64", "linux/amd64"), ("x86_64", "linux/arm64"), ("riscv64", "linux/amd64"), ("", "linux/amd64")],
)
def test_an_image_for_another_processor_is_not_made(
    make: Make, programs: Programs, request_for: Callable[..., BuildRequest], machine: str, target: str
) -> None:
    programs.pretend(machine=machine)
    with pytest.raises(EngineError, match=rf"^this machine cannot assemble an image for {target}$"):
        make(request_for(platform=target))
    assert programs.started == []


def test_root_makes_it_in_this_process(
    make: Make, programs: Programs, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def assemble(request: BuildRequest, listings: ListingCache, *, cache: Path) -> bytes:
        for item in LISTINGS:
            listings.put(item)
        return IMAGE.config

    ids = tmp_path / "uid_map"
    ids.write_text(f"0 0 {NEEDED_IDS}\n")
    programs.pretend(uid=0)
    monkeypatch.setattr(user_namespace, "_MAP", ids)
    monkeypatch.setattr(module, "assemble_reference", assemble)
    assert make() == MADE
    assert programs.started == []
    ids.write_text("0 1000 1\n")
    with pytest.raises(EngineError, match="this root has 1"):
        make()


def test_a_reference_is_kept_and_found_again(
    make: Make, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    assert kept_reference(request_for(), ListingCache(cache), cache=cache) is None
    make()
    assert kept_reference(request_for(), ListingCache(cache), cache=cache) == MADE


def test_another_target_or_probe_has_another_reference(
    make: Make, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    make()
    for other in (request_for(b"another"), request_for(workdir="/elsewhere"), request_for(env={"A": "1"})):
        assert kept_reference(other, ListingCache(cache), cache=cache) is None


def test_how_layers_are_compressed_makes_no_other_reference(
    make: Make, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    make()
    other = replace(request_for(), compression="gzip", use_cache=False, any_engine=True)
    assert kept_reference(other, ListingCache(cache), cache=cache) == MADE


@pytest.mark.parametrize("position", [0, 1])
def test_a_reference_one_of_whose_listings_is_lost_is_made_again(
    make: Make, cache: Path, programs: Programs, request_for: Callable[..., BuildRequest], position: int
) -> None:
    make()
    name = LISTINGS[position].diff_id.removeprefix("sha256:")
    (kept,) = cache.rglob(f"{name}.json.gz")
    kept.unlink()
    assert kept_reference(request_for(), ListingCache(cache), cache=cache) is None
    assert make() == MADE
    assert kept_reference(request_for(), ListingCache(cache), cache=cache) == MADE


def test_a_damaged_note_is_as_good_as_none(
    make: Make, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    make()
    (note,) = (path for path in cache.rglob("*.json") if path.is_file())
    note.write_bytes(note.read_bytes().replace(b"amd64", b"arm64"))
    assert kept_reference(request_for(), ListingCache(cache), cache=cache) is None


def test_listings_that_were_not_kept_are_an_error(make: Make, programs: Programs) -> None:
    programs.listings = LISTINGS[:1]
    with pytest.raises(EngineError, match="its file lists could not be kept"):
        make()


def test_the_process_reads_anew_what_this_one_does_not_believe(
    programs: Programs, cache: Path, request_for: Callable[..., BuildRequest]
) -> None:
    """What is kept is not used, but what the process keeps now is what it has just read."""
    request = replace(request_for(), use_cache=False)
    listings = ListingCache(cache, rereads=True)
    assert make_reference(request, listings, cache=cache, environment=ENVIRONMENT) == MADE
    assert programs.order["use-cache"] is False
