"""apt in containers: a double of an engine whose containers are this machine."""

import io
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild import process
from envbuild.errors import EngineError, IntegrityError, ToolMissingError
from envbuild.platforms import AMD64, ARM64, Platform
from envbuild.process import ProcessResult
from envbuild.remote.apt import AptSettings
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.container import EngineApt, apt_ways
from envbuild.resolve.apt.system import resolve_system
from envbuild.resolve.apt.unpacked import AptTrees
from envbuild.store.store import Store
from tests.rig.archive import DebianArchive, make_deb

IMAGE = "registry.example/base@sha256:0123"


class Here:
    """Runs this machine's apt, since what is copied lies at the same paths; remembers what was copied."""

    def __init__(self, platform: Platform = AMD64, lie: tuple[str, str] = ("", "")) -> None:
        self._platform = platform
        self._lie = lie
        self.refused = False
        self.images: list[str] = []
        self.held: list[str] = []
        self.removed: list[str] = []
        self.copied: list[str] = []
        self.closed = False

    def platform(self) -> Platform:
        return self._platform

    def describe(self) -> str:
        return "1.0"

    def close(self) -> None:
        self.closed = True

    def provide_base(self, reference: str) -> None:
        if self.refused:
            raise EngineError("no such image")
        self.images.append(reference)

    def provide_import(self, name: str, make: Callable[[], Iterator[bytes]]) -> None:
        raise AssertionError(name, make)

    @contextmanager
    def hold(self, image: str, command: Sequence[str]) -> Iterator["Here"]:
        assert tuple(command) == ("sleep", "21600")
        self.held.append(image)
        yield self
        self.removed.append(image)

    def put(self, archive: Iterator[bytes]) -> None:
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as opened:
            for entry in opened:
                path = Path("/", entry.name)
                assert entry.isdir() or path.read_bytes() == opened.extractfile(entry).read()  # type: ignore[union-attr]
                self.copied.append(path.name)

    def execute(
        self, command: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> ProcessResult:
        done = process.run(command, environment=environment, timeout=timeout)
        told = done.stdout_bytes.replace(self._lie[0].encode() or b"\0", self._lie[1].encode())
        return replace(done, stdout_bytes=told)


def apt_in(containers: Here, folder: Path) -> Apt:
    trees = AptTrees(folder=folder / "programs", store=Store(folder), settings=AptSettings)
    environment = {"PATH": "/nonexistent", "ENVBUILD_APT": "engine"}
    return Apt(folder / "apt", environment=environment, ways=apt_ways(trees, containers))


@pytest.fixture
def base(rig: AptArchives, debian_archive: DebianArchive, apt: Apt) -> AptArchives:
    make_deb(debian_archive.folder, "tool", "1", depends="lib")
    make_deb(debian_archive.folder, "lib", "2")
    return replace(rig, image=IMAGE, image_platform="linux/amd64")


@pytest.mark.slow
def test_an_image_base_decides_with_its_own_apt(base: AptArchives, apt: Apt, tmp_path: Path) -> None:
    containers = Here()
    inside = apt_in(containers, tmp_path)

    first = resolve_system(inside, base, ["tool"], installed="")
    lists = [name for name in containers.copied if name.endswith("Packages")]
    second = resolve_system(inside, base, ["lib"], installed="")
    inside.close()

    assert first == resolve_system(apt, base, ["tool"], installed="")
    assert [deb.name for deb in second] == ["lib"]
    # one container for all, and the lists copied once
    assert containers.held == containers.removed == [IMAGE]
    assert len(lists) == len([name for name in containers.copied if name.endswith("Packages")]) == 1
    assert containers.closed


@pytest.mark.slow
@pytest.mark.parametrize("lie", [("Filename: pool/lib", "Filename: pool/bad"), ("SHA256: ", "SHA256: 0")])
def test_an_image_whose_apt_lies_is_noticed(base: AptArchives, tmp_path: Path, lie: tuple[str, str]) -> None:
    with pytest.raises(IntegrityError, match="the image's apt says of `lib` what no signed list says"):
        resolve_system(apt_in(Here(lie=lie), tmp_path), base, ["lib"], installed="")


def test_an_image_for_another_machine_cannot_decide(rig: AptArchives, tmp_path: Path) -> None:
    trees = AptTrees(folder=tmp_path, store=Store(tmp_path), settings=AptSettings)
    way = EngineApt(Here(ARM64), trees)

    with pytest.raises(ToolMissingError, match="no mirror of debian:trixie"):
        way.prepare(replace(rig, image=IMAGE, image_platform="linux/amd64"))


@pytest.mark.slow
def test_an_image_that_cannot_be_pulled(base: AptArchives, tmp_path: Path) -> None:
    containers = Here()
    containers.refused = True

    with pytest.raises(EngineError, match="no such image"):
        resolve_system(apt_in(containers, tmp_path), base, ["lib"], installed="")
