"""Several layers at a time, and giving up half way."""

import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError
from envbuild.oci.manifest import BEGINNING, Descriptor, ImageConfig
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.progress import SilentProgress
from envbuild.remote.registry.client import ResolvedImage
from envbuild.resolve.base.layer_reader import AT_A_TIME, BlobSource, LayerReader
from envbuild.resolve.base.scan_cache import ScanCache
from tests.rig.layer_items import file, in_chunks, tar_of
from tests.rig.loopback_registry import LAYER, digest_of

CONFIG = ImageConfig(
    os="linux",
    architecture="amd64",
    created=BEGINNING,
    environment={},
    user="",
    workdir="",
    diff_ids=(),
    document=b"{}",
)


class FakeSource:
    """Layers by digest; those of `endless` never end, those of `damaged` end in an error."""

    def __init__(self, *layers: bytes) -> None:
        self.layers = {digest_of(layer): layer for layer in layers}
        self.endless: set[str] = set()
        self.damaged: set[str] = set()
        self.open = 0
        self.most_open = 0
        self.lock = threading.Lock()

    def read_blob(self, reference: ImageReference, blob: Descriptor) -> Generator[bytes, None, None]:
        with self.lock:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
        try:
            yield from in_chunks(self.layers[blob.digest], 4096)
            while blob.digest in self.endless:
                time.sleep(0.001)
                yield bytes(4096)
            if blob.digest in self.damaged:
                raise IntegrityError("damaged")
            time.sleep(0.05)
        finally:
            with self.lock:
                self.open -= 1

    def image(self) -> ResolvedImage:
        digest = "sha256:" + "0" * 64
        return ResolvedImage(
            reference=parse_reference("registry.example.com/a:1"),
            index=None,
            digest=digest,
            config_digest=digest,
            config=CONFIG,
            layers=tuple(
                Descriptor(media_type=LAYER, digest=digest, size=len(layer))
                for digest, layer in self.layers.items()
            ),
        )


_: type[BlobSource] = FakeSource


def reader(source: FakeSource, cache: Path, progress: SilentProgress | None = None) -> LayerReader:
    return LayerReader(
        source.image(), source=source, cache=ScanCache(cache), progress=progress or SilentProgress()
    )


def layers(count: int) -> list[bytes]:
    return [tar_of(file("etc/passwd", f"user{number}")) for number in range(count)]


def all_closed(source: FakeSource) -> bool:
    until = time.monotonic() + 5
    while source.open and time.monotonic() < until:
        time.sleep(0.01)
    return source.open == 0


def test_scans_come_in_the_order_of_the_layers(tmp_path: Path) -> None:
    source = FakeSource(*layers(8))

    scans = reader(source, tmp_path).read_all()

    assert [scan.contents["etc/passwd"] for scan in scans] == [b"user%d" % number for number in range(8)]
    assert 1 < source.most_open <= AT_A_TIME


def test_a_damaged_layer_stops_the_others_and_keeps_what_is_whole(tmp_path: Path) -> None:
    whole, damaged, endless = layers(3)
    source = FakeSource(whole, damaged, endless)
    source.endless, source.damaged = {digest_of(endless)}, {digest_of(damaged)}

    with pytest.raises(IntegrityError):
        reader(source, tmp_path).read_all()

    assert all_closed(source)
    kept = {path.name.partition(".")[0] for path in tmp_path.rglob("*.json")}
    assert kept <= {digest_of(whole)[7:]}


def test_interrupt_stops_reading_at_once_and_keeps_nothing_unfinished(tmp_path: Path) -> None:
    class Impatient(SilentProgress):
        def on_bytes(self, done: int, total: int) -> None:
            raise KeyboardInterrupt

    (endless,) = layers(1)
    source = FakeSource(endless)
    source.endless = {digest_of(endless)}

    with pytest.raises(KeyboardInterrupt):
        reader(source, tmp_path, Impatient()).read_all()

    assert all_closed(source)
    assert not list(tmp_path.rglob("*.json"))
