"""The cache folder as a whole: everything that may lie in it can be pruned."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from envbuild.cache.folders import LAYOUT, TAG, USE_LOCK
from envbuild.cache.notes import write_note
from envbuild.errors import EngineError
from envbuild.files.locks import try_lock
from envbuild.formats.compression import codec_of
from envbuild.image.compose import compose_image
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.file_conflicts import WheelTreeCache
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.push_memory import PushMemory
from envbuild.image.local.roots.private_root import root_folder
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.layer import Layer
from envbuild.oci.reference import parse_reference
from envbuild.resolve.base.layer_scan import LayerScan
from envbuild.resolve.base.scan_cache import ScanCache
from envbuild.store.stage import workspace
from envbuild.store.store import Store
from envbuild.verify.expected import TreeCache
from envbuild.workflows.machine import Machine
from envbuild.workflows.upkeep.cache import PruneOptions, cache_info, prune_cache
from tests.rig.locks import digest, hexadecimal, sample_lock

NOTHING_LEFT = {
    "by size": PruneOptions(max_bytes=0),
    "by age": PruneOptions(older_than_days=0),
}

YEARS_AGO = (1_600_000_000, 1_600_000_000)


def written(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_bytes(b"12345")


def make_layer(cache: Path) -> Layer:
    key = LayerKey(kind="test", inputs={}, codec=codec_of("zstd"), comment="")
    return LayerStore(cache).make(key, lambda writer: writer.add_file("a", 1, [b"a"]))


def make_image(cache: Path) -> None:
    lock = sample_lock()
    ImageStore(cache).put("train:1", compose_image(lock, lock.targets[0], [make_layer(cache)]))


def make_lists(cache: Path) -> None:
    written(cache / "apt/0123/lists/Packages")
    written(cache / "apt/0123/lock")
    written(cache / "apt/0123/srcpkgcache.bin")


def make_partial(cache: Path) -> None:
    with Store(cache).partial(hexadecimal("a")) as partial:
        partial.append(b"12345")
    written(cache / "partial/add-0123")


def make_repodata(cache: Path) -> None:
    written(cache / "conda/0123.info.json")
    written(cache / "conda/shards-cache/0123.msgpack")


def make_unpacked(cache: Path) -> None:
    layer = make_layer(cache)
    packed = PackedLayer(layer.diff_id, lambda: LayerStore(cache).chunks(layer))
    with LayerTrees(cache).held([packed]):
        pass
    # of another user's namespace
    written(cache / "unpacked-0123/cd01/extent")
    written(cache / "unpacked-0123/cd01/tree/file")


def make_scan(cache: Path) -> None:
    scan = LayerScan(
        digest=digest("a"), newest=1, whiteouts=(), opaques=(), journal=b"", contents={}, programs={}
    )
    ScanCache(cache).put(scan)


MAKE: dict[str, Callable[[Path], object]] = {
    "apt": make_lists,
    "architectures": lambda cache: write_note(cache / "architectures/1/ab/ab01", {}),
    "bases": lambda cache: [written(cache / "bases" / name) for name in ("ab01", "cd01.partial")],
    "conda": make_repodata,
    "contexts": lambda cache: [written(cache / "contexts" / name) for name in ("0123/file", "0123.lock")],
    "documents": lambda cache: DocumentFolder(cache / "documents").put(
        Document(digest=digest("a"), media_type="", data=b"{}")
    ),
    "images": make_image,
    "layers": make_layer,
    "metadata": lambda cache: written(cache / "metadata/ab/ab01"),
    "partial": make_partial,
    "pushed": lambda cache: PushMemory(cache).note(parse_reference("registry.example.com/a"), [digest("a")]),
    "roots": lambda cache: [
        written(cache / "roots" / name) for name in ("root-0123/upper/a", "root-0123.lock")
    ],
    "scans": make_scan,
    "sha256": lambda cache: Store(cache).add_bytes(b"12345"),
    "trees": lambda cache: TreeCache(cache / "trees/1").save("ab01", {}),
    "unpacked": make_unpacked,
    "wheel-trees": lambda cache: WheelTreeCache(cache).put(
        sample_lock().wheels[0], {}, prefix="/opt/venv", python="3.11.2"
    ),
}
"""Makes what lies in each folder, as far as may be by those who keep it."""

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or subordinate ids")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def machine(cache: Path) -> Machine:
    return Machine(environment={"ENVBUILD_CACHE_DIR": str(cache)})


def files_in(cache: Path) -> set[str]:
    files = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
    return files - {USE_LOCK, TAG}


def test_every_folder_of_the_cache_has_a_row_here() -> None:
    assert MAKE.keys() == {folder.name for folder in LAYOUT}


@pytest.mark.parametrize("options", NOTHING_LEFT.values(), ids=NOTHING_LEFT)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=AS_ROOT if name == "unpacked" else ()) for name in MAKE]
)
def test_nothing_is_left_of_what_may_be_pruned(
    cache: Path, machine: Machine, name: str, options: PruneOptions
) -> None:
    MAKE[name](cache)
    assert any(file.startswith(name) for file in files_in(cache))

    prune_cache(options, machine)

    assert files_in(cache) == set()


@pytest.mark.parametrize(
    "former",
    [
        ".hashing-0123/wheel",
        "architectures/ab/ab01",
        "images/documents/ab01",
        "layers/ab01.1.json",
        "layers/trees/ab01",
        "trees/0/ab/ab01.json.gz",
    ],
)
def test_what_earlier_releases_left_goes_by_its_last_use(cache: Path, machine: Machine, former: str) -> None:
    make_image(cache)
    before = files_in(cache)
    written(cache / former)
    prune_cache(PruneOptions(older_than_days=1), machine)
    assert files_in(cache) == before | {former}
    os.utime(cache / former, YEARS_AGO)

    prune_cache(PruneOptions(older_than_days=1), machine)

    assert files_in(cache) == before


@pytest.mark.parametrize("options", NOTHING_LEFT.values(), ids=NOTHING_LEFT)
def test_what_is_unknown_is_left_alone_and_shown(
    cache: Path, machine: Machine, options: PruneOptions
) -> None:
    unknown = {"notes.txt", "novel/thing", "unpacking/file", "layers/deep/ab01.1.json"}
    for name in unknown:
        written(cache / name)
        os.utime(cache / name, YEARS_AGO)

    prune_cache(options, machine)

    assert files_in(cache) == unknown
    shown = {row.kind: row.size for row in cache_info(machine).usage if row.size}
    assert shown == {"novel": 5, "unpacking": 5, "image layers": 5}


@pytest.mark.parametrize("options", NOTHING_LEFT.values(), ids=NOTHING_LEFT)
@AS_ROOT
def test_what_is_in_use_stays(cache: Path, machine: Machine, options: PruneOptions) -> None:
    layer = make_layer(cache)
    packed = PackedLayer(layer.diff_id, lambda: LayerStore(cache).chunks(layer))
    make_lists(cache)
    with ExitStack() as users:
        (tree,) = users.enter_context(LayerTrees(cache).held([packed]))
        root = users.enter_context(root_folder(cache / "roots"))
        folder = users.enter_context(workspace(Store(cache)))
        partial = users.enter_context(Store(cache).partial(hexadecimal("a")))
        partial.append(b"12345")
        descriptor = try_lock(cache / "apt/0123/lock")
        assert descriptor is not None
        users.callback(os.close, descriptor)
        kept = files_in(cache) - {f"layers/sha256/{layer.digest[7:]}"}

        prune_cache(options, machine)

        assert (tree / "a").read_bytes() == b"a"
        assert root.is_dir()
        assert folder.is_dir()
        assert {file for file in kept if not file.startswith("layers/index")} == files_in(cache)
    prune_cache(options, machine)
    assert files_in(cache) == set()


def test_an_image_goes_with_its_layers_even_where_there_is_room(cache: Path, machine: Machine) -> None:
    make_image(cache)
    (layer,) = (cache / "layers/sha256").iterdir()
    prune_cache(PruneOptions(max_bytes=1_000_000), machine)
    assert ImageStore(cache).get("train:1") is not None
    layer.unlink()

    prune_cache(PruneOptions(max_bytes=1_000_000), machine)

    assert files_in(cache) == set()


def test_listing_images_is_no_use_of_them(cache: Path, machine: Machine) -> None:
    make_image(cache)
    for path in (*(cache / "images").rglob("*"), *(cache / "documents").iterdir()):
        os.utime(path, YEARS_AGO)

    assert len(list(ImageStore(cache).images())) == 1
    prune_cache(PruneOptions(older_than_days=1), machine)

    assert ImageStore(cache).get("train:1") is None
    assert {file.partition("/")[0] for file in files_in(cache)} == {"layers"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root needs no ids")
def test_without_root_unpacked_layers_need_it(cache: Path, machine: Machine) -> None:
    (cache / "unpacked-0123").mkdir(parents=True)

    with pytest.raises(EngineError):
        prune_cache(PruneOptions(max_bytes=0), machine)


def test_every_kind_is_shown(machine: Machine) -> None:
    info = cache_info(machine)

    assert info.folder == machine.cache
    labels = {folder.name: folder.label for folder in LAYOUT}
    assert [row.kind for row in info.usage] == [labels[name] for name in sorted(labels)]
