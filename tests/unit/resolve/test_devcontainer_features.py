import io
import json
import tarfile

import pytest

from envbuild.errors import EnvbuildError, NetworkError
from envbuild.progress import SILENT
from envbuild.remote.registry.client import RegistryClient
from envbuild.render.devcontainer.features_lock import LockedFeature, dumps, loads
from envbuild.resolve.devcontainer_features import MEDIA_TYPE, METADATA, pin_features
from tests.rig.loopback_registry import MANIFEST, digest_of, loopback_registry
from tests.rig.progress import RecordedProgress


@pytest.fixture
def registry():
    with loopback_registry() as running:
        yield running


def publish(registry, name, tag, *, metadata=None, annotated=True, config=MEDIA_TYPE, file=None):
    """Put a feature into the registry and return the digest of its manifest."""
    metadata = json.dumps(metadata or {"id": name, "version": "1.0.0"})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(file or "./devcontainer-feature.json")
        entry.size = len(metadata)
        archive.addfile(entry, io.BytesIO(metadata.encode()))
    layer = buffer.getvalue()
    registry.blobs[f"f/{name}", digest_of(layer)] = layer
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": config, "digest": digest_of(b"{}"), "size": 2},
            "layers": [{"mediaType": "application/x-tar", "digest": digest_of(layer), "size": len(layer)}],
            "annotations": {METADATA: metadata} if annotated else {},
        }
    ).encode()
    for reference in (tag, digest_of(manifest)):
        registry.manifests[f"f/{name}", reference] = (MANIFEST, manifest)
    return digest_of(manifest)


def pin(registry, *names, locked=None, folder=None, progress=SILENT):
    return pin_features(
        [name if name[0] == "." or "://" in name else f"{registry.host}/f/{name}" for name in names],
        locked=locked or {},
        registry=RegistryClient(environment={}),
        folder=folder,
        progress=progress,
    )


def test_a_tag_is_pinned_to_what_it_names(registry):
    digest = publish(registry, "git", "1", metadata={"id": "git", "version": "1.3.2"})
    pinned, unpinned = pin(registry, "git:1")
    assert unpinned == ()
    assert pinned == {
        f"{registry.host}/f/git:1": LockedFeature(
            version="1.3.2", resolved=f"{registry.host}/f/git@{digest}", integrity=digest
        )
    }


def test_what_a_feature_needs_is_pinned_too(registry):
    needs: dict[str, dict[str, str]] = {f"{registry.host}/f/b:1": {}, f"{registry.host}/f/c": {}}
    publish(registry, "a", "1", metadata={"id": "a", "version": "1.0.0", "dependsOn": needs})
    publish(
        registry,
        "b",
        "1",
        metadata={"id": "b", "version": "2.0.0", "dependsOn": {f"{registry.host}/f/a:1": {}}},
    )
    publish(registry, "c", "latest")
    pinned, _ = pin(registry, "a:1")
    assert [name.rpartition("/")[2] for name in sorted(pinned)] == ["a:1", "b:1", "c"]
    assert pinned[f"{registry.host}/f/a:1"].depends_on == tuple(needs)


def test_what_is_pinned_stays_and_nobody_is_asked(registry):
    publish(registry, "git", "1")
    first, _ = pin(registry, "git:1")
    publish(registry, "git", "1", metadata={"id": "git", "version": "1.9.0"})
    registry.seen.clear()
    progress = RecordedProgress()
    assert pin(registry, "git:1", locked=first, progress=progress)[0] == first
    assert (registry.seen, progress.stages) == ([], [])
    assert pin(registry, "git:1")[0] != first


def test_one_published_without_an_annotation_is_read(registry):
    publish(registry, "old", "1", metadata={"id": "old", "version": "0.1.0"}, annotated=False)
    assert pin(registry, "old:1")[0][f"{registry.host}/f/old:1"].version == "0.1.0"


def test_a_folder_is_not_pinned_but_what_it_needs_is(registry, tmp_path):
    digest = publish(registry, "git", "1")
    (tmp_path / "tools").mkdir()
    metadata = {"id": "tools", "version": "1.0.0", "dependsOn": {f"{registry.host}/f/git:1": {}}}
    (tmp_path / "tools/devcontainer-feature.json").write_text(json.dumps(metadata))
    pinned, unpinned = pin(registry, "./tools", "https://example.com/x.tgz", folder=tmp_path)
    assert [feature.integrity for feature in pinned.values()] == [digest]
    assert unpinned == ("https://example.com/x.tgz",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"config": "application/vnd.oci.image.config.v1+json"}, "is something else"),
        ({"metadata": {"id": "x"}}, "its metadata has no version"),
        ({"metadata": ["x"]}, "its metadata is not a JSON object"),
        ({"metadata": {"id": "x", "version": "1", "dependsOn": []}, "annotated": True}, None),
        (
            {"metadata": {"id": "x", "version": "1", "dependsOn": [1]}},
            "`dependsOn` in its metadata is no object",
        ),
        ({"annotated": False, "file": "README.md"}, "its archive has no devcontainer-feature.json"),
    ],
)
def test_what_is_no_feature_is_named(registry, options, message):
    publish(registry, "x", "1", **options)
    if message is None:
        assert pin(registry, "x:1")
        return
    with pytest.raises(EnvbuildError) as raised:
        pin(registry, "x:1")
    assert raised.value.message.startswith(f"`{registry.host}/f/x:1` is no dev container feature: ")
    assert message in raised.value.message


@pytest.mark.parametrize("text", ["{", "[" * 100_000], ids=["cut", "deep"])
def test_metadata_of_a_folder_that_is_not_json_is_named(registry, tmp_path, text):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/devcontainer-feature.json").write_text(text)
    with pytest.raises(EnvbuildError, match="its metadata is not JSON"):
        pin(registry, "./tools", folder=tmp_path)


def test_a_feature_that_is_not_there_is_named_with_its_registry(registry):
    with pytest.raises(NetworkError):
        pin(registry, "none:1")


def test_the_lock_reads_what_it_writes_in_the_order_of_the_cli():
    feature = LockedFeature(
        version="1.0.0", resolved="r@sha256:0", integrity="sha256:0", depends_on=("b", "a")
    )
    plain = LockedFeature(version="1.0.0", resolved="r@sha256:0", integrity="sha256:0")
    # String.prototype.localeCompare: `_` before `-` before `.` before `/`, then digits, then letters
    names = ["h/a_b/x", "h/a-b/x", "h/a.b/x", "h/a/x:1", "h/a1/x", "h/ab/x"]
    text = dumps({name: feature if name == "h/a/x:1" else plain for name in reversed(names)})
    assert list(json.loads(text)["features"]) == names
    assert list(json.loads(text)["features"]["h/a/x:1"]) == ["version", "resolved", "integrity", "dependsOn"]
    assert text.endswith("  }\n}\n")
    assert dumps(loads(text, "x")) == text


def _lock_of(**changed):
    return json.dumps({"features": {"a": {"version": "1", "resolved": "r", "integrity": "i", **changed}}})


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[" * 100_000,
        '{"features": []}',
        '{"features": {"a": 1}}',
        '{"features": {"a": {}}}',
        _lock_of(version=None),
        _lock_of(resolved=["r"]),
        _lock_of(dependsOn="ghcr.io/a/b"),
        _lock_of(dependsOn=[1]),
        _lock_of(version="\ud800"),
    ],
    ids=lambda text: text[:60],
)
def test_a_lock_that_is_none_is_refused(text):
    with pytest.raises(EnvbuildError, match="is not a lock of dev container features"):
        loads(text, "devcontainer-lock.json")


def test_an_empty_lock_asks_to_be_made():
    assert loads("\n", "x") == {}
