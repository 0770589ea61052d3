"""What an engine is sent of an image, and what happens when it refuses."""

import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from envbuild.errors import EngineError
from envbuild.image.compose import compose_image
from envbuild.image.docker import load
from envbuild.image.docker.load import Holdings, LoadingEngine, load_image
from envbuild.image.facts import ImageFacts
from envbuild.image.local.images import facts_of
from envbuild.oci.image import OciImage
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock

REFERENCE = "train:0123456789ab"


@dataclass
class FakeEngine:
    """An engine with a memory; `refuses` are the ways it does not take."""

    image: OciImage
    held: Holdings
    refuses: frozenset[str] = frozenset()
    has: bool = False
    calls: list[str] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)

    def find(self, reference: str) -> ImageFacts | None:
        return facts_of(self.image) if self.has else None

    def holdings(self) -> Holdings:
        return self.held

    def load(self, chunks: Iterable[bytes]) -> None:
        data = b"".join(chunks)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            names = archive.getnames()
            manifest = archive.extractfile("manifest.json")
            layers = json.loads(manifest.read() if manifest else b"")[0]["Layers"]
        self.archived = [name for name in layers if name in names]
        way = "archive" if len(self.archived) == len(layers) else "partial archive"
        self._take(way)

    def pull_as(self, name: str, digest: str, reference: str) -> None:
        self._take("pull")

    def discard(self, reference: str) -> None:
        self.calls.append("discard")

    def _take(self, way: str) -> None:
        self.calls.append(way)
        if way in self.refuses:
            raise EngineError("the engine refused", detail="content digest not found")
        self.has = True


_: type[LoadingEngine] = FakeEngine


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "blobs").mkdir()
    return LayerFolder(tmp_path / "blobs")


@pytest.fixture
def image(blobs):
    lock = sample_lock()
    return compose_image(lock, lock.targets[0], [blobs.make({name: name.encode()}) for name in "abc"])


def loaded(image, blobs, *, chains=(), by_digest=True, is_here=True, refuses=(), has=False):
    engine = FakeEngine(
        image,
        Holdings(chains=tuple(chains), by_digest=by_digest, is_here=is_here),
        refuses=frozenset(refuses),
        has=has,
    )
    return load_image(engine, image, REFERENCE, blobs=blobs), engine


def test_engine_that_has_it_is_sent_nothing(image, blobs):
    outcome, engine = loaded(image, blobs, has=True)
    assert (outcome.way, outcome.size, engine.calls) == ("there", 0, [])


def test_empty_engine_is_sent_all(image, blobs):
    outcome, engine = loaded(image, blobs)
    assert (outcome.way, outcome.size) == ("archive", image.size)
    assert len(engine.archived) == 3


def test_store_by_digest_is_not_sent_what_it_has_anywhere(image, blobs):
    outcome, engine = loaded(image, blobs, chains=[("sha256:other", image.diff_ids[2])])
    assert outcome.way == "partial archive"
    assert outcome.size == image.layers[0].size + image.layers[1].size
    assert len(engine.archived) == 2


def test_store_by_chain_is_not_sent_what_it_has_at_the_bottom(image, blobs):
    chains = [image.diff_ids[:1], (*image.diff_ids[:2], "sha256:other"), ("sha256:other", image.diff_ids[0])]
    outcome, engine = loaded(image, blobs, chains=chains, by_digest=False)
    assert (outcome.way, outcome.size) == ("partial archive", image.layers[2].size)
    nothing, engine = loaded(image, blobs, chains=[image.diff_ids[1:]], by_digest=False)
    assert (nothing.way, len(engine.archived)) == ("archive", 3)


def test_much_data_is_pulled_where_that_is_possible(image, blobs, monkeypatch):
    monkeypatch.setattr(load, "PULL_FROM_BYTES", 1)
    assert loaded(image, blobs)[0].way == "pull"
    assert loaded(image, blobs, is_here=False)[0].way == "archive"
    assert loaded(image, blobs, by_digest=False)[0].way == "archive"


def test_refused_part_is_followed_by_a_pull_and_then_by_all(image, blobs):
    chains = [image.diff_ids[:2]]
    outcome, engine = loaded(image, blobs, chains=chains, refuses={"partial archive"})
    assert (outcome.way, engine.calls) == ("pull", ["partial archive", "discard", "pull"])
    outcome, engine = loaded(image, blobs, chains=chains, refuses={"partial archive", "pull"})
    assert outcome.way == "archive"
    assert engine.calls == ["partial archive", "discard", "pull", "discard", "archive"]
    assert outcome.size == image.size


def test_engine_that_takes_nothing_leaves_no_name_behind(image, blobs):
    with pytest.raises(EngineError) as caught:
        loaded(image, blobs, refuses={"archive"})
    assert caught.value.message == f"the engine does not take {REFERENCE}"
    assert caught.value.detail == "content digest not found"
