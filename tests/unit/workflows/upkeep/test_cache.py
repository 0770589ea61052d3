"""The cache folder as a whole: everything that may lie in it can be pruned."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from envbuild.cache.folders import LAYOUT, TAG, USE_LOCK
from envbuild.cache.notes import write_note
from envbuild.cache.prune import Pruned
from envbuild.cache.use_lock import prepare
from envbuild.errors import EngineError, EnvbuildError
from envbuild.files.locks import try_lock
from envbuild.formats.compression import codec_of
from envbuild.image.compose import compose_image
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.file_conflicts import WheelTreeCache
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.push_memory import PushMemory
from envbuild.image.local.roots.private_root import root_folder
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.documents import Document, DocumentFolder
from envbuild.oci.layer import Layer
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.reference import parse_reference
from envbuild.resolve.base.layer_scan import LayerScan
from envbuild.resolve.base.scan_cache import ScanCache
from envbuild.store.stage import workspace
from envbuild.store.store import Store
from envbuild.verify.files.artifacts import TreeCache
from envbuild.workflows.machine import Machine
from envbuild.workflows.upkeep.cache import PruneOptions, cache_info, prune_cache
from tests.rig.locks import digest, hexadecimal, sample_lock

NOTHING_LEFT = {
    "by size": PruneOptions(max_bytes=0),
    "by age": PruneOptions(older_than_days=0),
}

DIGEST = hexadecimal("ab")

KEY = "0123456789abcdef"
"""Of a set of package lists."""

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
    written(cache / f"apt/{KEY}/lists/Packages")
    written(cache / f"apt/{KEY}/lock")
    written(cache / f"apt/{KEY}/srcpkgcache.bin")


def make_partial(cache: Path) -> None:
    with Store(cache).partial(hexadecimal("a")) as partial:
        partial.append(b"12345")
    written(cache / "partial/add-0123")


def make_repodata(cache: Path) -> None:
    written(cache / "conda/01234567.info.json")
    written(cache / "conda/shards-v1/0123.msgpack")


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
    "answers": lambda cache: write_note(cache / f"answers/1/ab/{DIGEST}.json", {}),
    "apt": make_lists,
    "apt-programs": lambda cache: [
        written(cache / "apt-programs" / name) for name in (f"{KEY}/apt-get", f"{KEY}/whole")
    ],
    "architectures": lambda cache: write_note(cache / f"architectures/1/ab/{DIGEST}", {}),
    "builds": lambda cache: write_note(cache / f"builds/1/ab/{DIGEST}.json", {}),
    "bases": lambda cache: [written(cache / "bases" / name) for name in (DIGEST, f"{DIGEST}.partial")],
    "conda": make_repodata,
    "contexts": lambda cache: [written(cache / "contexts" / name) for name in ("0123/file", "0123.lock")],
    "digests": lambda cache: write_note(cache / f"digests/1/ab/{DIGEST}.json", {}),
    "documents": lambda cache: DocumentFolder(cache / "documents").put(
        Document(digest=digest("a"), media_type="", data=b"{}")
    ),
    "images": make_image,
    "layers": make_layer,
    "listings": lambda cache: ListingCache(cache).put(LayerListing(diff_id=digest("a"), size=1, entries=())),
    "metadata": lambda cache: written(cache / f"metadata/ab/{DIGEST}"),
    "partial": make_partial,
    "pushed": lambda cache: PushMemory(cache).note(parse_reference("registry.example.com/a"), [digest("a")]),
    "references": lambda cache: write_note(cache / f"references/1/{DIGEST}.json", {}),
    "roots": lambda cache: [
        written(cache / "roots" / name) for name in ("root-0123/upper/a", "root-0123.lock")
    ],
    "scans": make_scan,
    "sha256": lambda cache: Store(cache).add_bytes(b"12345"),
    "trees": lambda cache: TreeCache(cache / "trees/1").save(DIGEST, {}),
    "unpacked": make_unpacked,
    "wheel-trees": lambda cache: WheelTreeCache(cache).put(
        sample_lock().wheels[0], {}, prefix="/opt/venv", python="3.11.2"
    ),
}
"""Makes what lies in each folder, as far as may be by those who keep it."""

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, or subordinate ids")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    prepare(tmp_path / "cache")
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
        ".hashing-01234567/wheel",
        f"architectures/ab/{DIGEST}",
        f"images/documents/{DIGEST}",
        f"layers/{DIGEST}.1.json",
        f"layers/trees/{DIGEST}",
        f"trees/0/ab/{DIGEST}.json.gz",
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
    unknown = {"notes.txt", "novel/thing", "unpacking/file", f"layers/deep/{DIGEST}.1.json"}
    for name in unknown:
        written(cache / name)
        os.utime(cache / name, YEARS_AGO)

    prune_cache(options, machine)

    assert files_in(cache) == unknown
    shown = {row.kind: row.size for row in cache_info(machine).usage if row.size}
    assert shown == {"novel": 5, "unpacking": 5, "image layers": 5}


FOREIGN = (
    "apt/0.deb",
    "apt/sources/thesis.txt",
    f"architectures/{DIGEST}",
    "architectures/1/ab/thesis.txt",
    "bases/thesis.txt",
    "bases/folder/thesis.txt",
    "bases/folder.partial/thesis.txt",
    "conda/bin/conda",
    "conda/conda-meta/history",
    "conda/pkgs/urls.txt",
    "conda/thesis.json",
    "digests/1/ab/thesis.json",
    "documents/thesis.txt",
    f"documents/mine/{DIGEST}",
    f".hashing-mine/{DIGEST}",
    f"images/documents/{DIGEST}.txt",
    "layers/trees/thesis.txt",
    "layers/thesis.json",
    "listings/1/ab/thesis.json.gz",
    f"listings/{DIGEST}.json.gz",
    "metadata/ab/METADATA",
    "partial/thesis.txt",
    "partial/folder/thesis.txt",
    "partial/add-folder/thesis.txt",
    "pushed/thesis.txt",
    "references/1/thesis.json",
    f"references/{DIGEST}.json",
    "scans/1/thesis.json",
    "trees/1/ab/thesis.json.gz",
    "wheel-trees/1/thesis.txt",
)


@pytest.mark.parametrize("options", NOTHING_LEFT.values(), ids=NOTHING_LEFT)
def test_what_others_keep_in_folders_of_the_layout_is_left_alone_and_shown(
    cache: Path, machine: Machine, options: PruneOptions
) -> None:
    for name in FOREIGN:
        written(cache / name)
        os.utime(cache / name, YEARS_AGO)
    for make in (make_lists, make_repodata, make_scan, make_partial, MAKE["bases"]):
        make(cache)

    prune_cache(options, machine)

    assert files_in(cache) == set(FOREIGN)
    assert sum(row.files for row in cache_info(machine).usage) == len(FOREIGN)


def test_a_folder_on_another_disk_is_followed_and_stays(
    cache: Path, machine: Machine, tmp_path: Path
) -> None:
    for name in ("documents", "conda", "apt", "sha256"):
        (tmp_path / "disk" / name).mkdir(parents=True)
        (cache / name).symlink_to(tmp_path / "disk" / name)
        MAKE[name](cache)
    made = files_in(tmp_path / "disk")
    (cache / "novel").symlink_to(tmp_path)

    assert sum(row.files for row in cache_info(machine).usage) == len(made)
    prune_cache(PruneOptions(max_bytes=0), machine)

    assert files_in(tmp_path / "disk") == set()
    assert all((cache / name).is_symlink() for name in ("documents", "conda", "apt", "sha256"))


@pytest.mark.parametrize(
    "tag", [None, b"Signature: 8a477f597d28d172789f06886806bc55\n# Of another program\n"]
)
def test_a_folder_that_envbuild_did_not_make_is_not_pruned(
    cache: Path, machine: Machine, tag: bytes | None
) -> None:
    MAKE["documents"](cache)
    (cache / TAG).unlink()
    if tag is not None:
        (cache / TAG).write_bytes(tag)
    before = {path: path.stat().st_mtime for path in cache.rglob("*")}

    with pytest.raises(EnvbuildError, match="is not a cache folder of envbuild") as caught:
        prune_cache(PruneOptions(max_bytes=0), machine)

    assert str(cache) in caught.value.message
    assert {path: path.stat().st_mtime for path in cache.rglob("*")} == before


@pytest.mark.parametrize("is_there", [True, False])
def test_a_cache_that_is_not_there_has_nothing_to_prune(
    cache: Path, machine: Machine, is_there: bool
) -> None:
    (cache / TAG).unlink()
    if not is_there:
        cache.rmdir()

    assert prune_cache(PruneOptions(max_bytes=0), machine) == Pruned(files=0, size=0)
    assert cache.exists() == is_there
    assert not is_there or list(cache.iterdir()) == []


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
        descriptor = try_lock(cache / f"apt/{KEY}/lock")
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


@pytest.mark.parametrize(
    ("options", "typed"),
    [
        (PruneOptions(older_than_days=30), "--older-than 30"),
        (PruneOptions(max_bytes=2_500_000_000), "--max-size 2.5"),
        (PruneOptions(older_than_days=0.5, max_bytes=0), "--older-than 0.5 --max-size 0"),
        (PruneOptions(), "--max-size 0"),
    ],
)
def test_a_user_without_the_ids_is_told_what_to_type(
    cache: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, options: PruneOptions, typed: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (cache / "unpacked-0123").mkdir(parents=True)

    with pytest.raises(EngineError) as caught:
        prune_cache(options, machine)

    assert "local engine" not in caught.value.message
    assert caught.value.hint is not None
    command = f"sudo env ENVBUILD_CACHE_DIR={machine.cache} envbuild cache prune {typed}"
    assert caught.value.hint.startswith(f"run `{command}`;")


def test_every_kind_is_shown(machine: Machine) -> None:
    info = cache_info(machine)

    assert info.folder == machine.cache
    labels = {folder.name: folder.label for folder in LAYOUT}
    assert [row.kind for row in info.usage] == [labels[name] for name in sorted(labels)]
