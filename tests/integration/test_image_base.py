"""Reading bases from Debian's own registry, and an engine's word on what layers amount to."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from envbuild.errors import ImageError, NetworkError, NotFoundError, SpecError
from envbuild.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from envbuild.oci.reference import parse_reference
from envbuild.platforms import AMD64, ARM64
from envbuild.progress import SilentProgress
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from envbuild.resolve.base.image import ImageBaseFacts, read_image_base
from envbuild.resolve.base.image_files import ImageFiles
from envbuild.resolve.base.layer_reader import LayerReader
from envbuild.resolve.base.scan_cache import ScanCache
from tests.rig.bases import PushedImage, debian_base, push_base
from tests.rig.engine import docker
from tests.rig.registry import Registry

pytestmark = pytest.mark.network
"""The bases are made of Debian packages."""

DEBIAN_PACKAGES = {"apt", "base-files", "dpkg", "libc6", "python3-minimal", "python3.11-minimal"}


def read(image: PushedImage, cache: Path, **more: object) -> ImageBaseFacts:
    arguments: dict[str, object] = {"registry": RegistryClient(environment={}), "cache": cache, **more}
    return read_image_base(image.reference, AMD64, "3.11", **arguments)  # type: ignore[arg-type]


def test_debian_base_is_read(debian_image: PushedImage, tmp_path: Path) -> None:
    facts = read(debian_image, tmp_path)

    base, interpreter = facts.base, facts.interpreter
    assert (base.os.id, base.os.version_id, base.os.codename) == ("debian", "12", "bookworm")
    assert (base.libc.family, base.libc.version) == ("glibc", "2.36")
    assert {deb.partition("=")[0] for deb in base.debs} >= DEBIAN_PACKAGES
    assert interpreter is not None
    assert interpreter.path == "/usr/bin/python3.11"
    assert interpreter.provider == "deb python3.11-minimal"
    assert interpreter.version == debian_base().python_version
    assert base.image is not None
    assert (base.image.index, base.image.digest) == (None, debian_image.digest)
    assert base.created.isoformat() == "2023-11-14T22:13:20+00:00"
    assert "-/usr/share/man/*" in base.excludes
    assert facts.apt_sources
    assert all(
        "PUBLIC KEY" in data.decode(errors="replace") or data[0] & 0x80
        for data in facts.apt_keyrings.values()
    )
    assert facts.can_install


def test_official_shaped_base_has_its_python_outside_dpkg(python_image: PushedImage, tmp_path: Path) -> None:
    facts = read(python_image, tmp_path)

    interpreter = facts.interpreter
    assert interpreter is not None
    assert interpreter.path == "/usr/local/bin/python3.11"
    assert interpreter.provider == "image"
    assert facts.base.image is not None
    assert facts.base.image.index == python_image.digest
    assert facts.base.image.digest == python_image.manifests["linux/amd64"]
    assert not any(deb.startswith("python3") for deb in facts.base.debs)


def test_both_platforms_of_an_index_resolve(python_image: PushedImage) -> None:
    client = RegistryClient(environment={})
    reference = parse_reference(python_image.reference)

    for platform in (AMD64, ARM64):
        image = client.resolve(reference, platform)
        assert image.digest == python_image.manifests[platform.name]
        assert image.config.architecture == platform.architecture


def test_single_platform_base_is_refused_for_another(debian_image: PushedImage) -> None:
    with pytest.raises(ImageError, match=r"it is an image for linux/amd64, not for linux/arm64"):
        RegistryClient(environment={}).resolve(parse_reference(debian_image.reference), ARM64)


def test_dockers_media_types_read_the_same(
    registry: Registry, debian_image: PushedImage, tmp_path: Path
) -> None:
    docker = push_base(
        debian_base(), registry, "docker/debian", "1", media="docker", architectures=("amd64",)
    )

    facts, expected = read(docker, tmp_path), read(debian_image, tmp_path)

    assert facts.base.debs == expected.base.debs
    assert facts.interpreter == expected.interpreter
    assert facts.base.image is not None
    assert facts.base.image.index == docker.digest


def test_second_reading_takes_no_layer(debian_image: PushedImage, tmp_path: Path) -> None:
    class Silent(RegistryClient):
        def read_blob(self, reference: object, blob: object) -> object:  # type: ignore[override]
            raise AssertionError(f"{blob} is read again")

    first = read(
        debian_image, tmp_path / "cache", registry=RegistryClient(environment={}, documents=tmp_path)
    )

    again = read(debian_image, tmp_path / "cache", registry=Silent(environment={}, documents=tmp_path))

    assert again == first


def test_guarded_registry_wants_the_configured_login(guarded_registry: Registry, tmp_path: Path) -> None:
    image = push_base(debian_base(), guarded_registry, "team/debian", "1")
    (tmp_path / "config.json").write_text(
        json.dumps({"auths": {guarded_registry.host: {"username": "reader", "password": "pass:word"}}})
    )
    client = RegistryClient(environment={"DOCKER_CONFIG": str(tmp_path)})

    assert read(image, tmp_path / "cache", registry=client).base.os.id == "debian"

    with pytest.raises(NetworkError) as caught:
        read(image, tmp_path / "other")
    assert caught.value.hint == f"log in with `docker login {guarded_registry.host}`"


def test_missing_tag_and_repository_are_named(debian_image: PushedImage) -> None:
    client = RegistryClient(environment={})
    name = debian_image.reference.rpartition(":")[0]

    with pytest.raises(NotFoundError) as caught:
        client.resolve(parse_reference(f"{name}:bokworm"), AMD64)
    assert (caught.value.message, caught.value.hint) == (
        f"`{name}` has no tag `bokworm`",
        "it has `bookworm`",
    )
    with pytest.raises(NotFoundError, match="has no repository `library/debain`"):
        client.resolve(parse_reference(f"{name.replace('debian', 'debain')}:1"), AMD64)


def test_missing_python_is_a_spec_error(debian_image: PushedImage, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_image_base(
            debian_image.reference, AMD64, "3.13", registry=RegistryClient(environment={}), cache=tmp_path
        )
    version = debian_base().python_version
    assert (caught.value.hint or "").startswith(f"it has Python {version} (/usr/bin/python3.11);")


def test_writer_pushes_what_the_client_reads(registry: Registry, tmp_path: Path) -> None:
    transport = RegistryTransport(environment={})
    base = debian_base()
    reference = parse_reference(f"{registry.host}/pushed/by-us:1")
    writer = RegistryWriter(transport)

    sent = [writer.put_blob(reference, layer.digest, layer.path) for layer in base.layers]
    other = parse_reference(f"{registry.host}/pushed/mounted:1")
    mounted = [
        writer.put_blob(other, layer.digest, layer.path, mount_from="pushed/by-us") for layer in base.layers
    ]

    assert sent == [True] * len(base.layers)
    assert mounted == [False] * len(base.layers)
    assert all(writer.has_blob(other, layer.digest) for layer in base.layers)


# --- the engine as judge ------------------------------------------------------------------------

Entries = list[tuple[str, str, str]]
"""Kind, path, and content or target."""

DISPUTED: dict[str, list[Entries]] = {
    "folder over a link": [
        [("s", "bin", "usr/bin"), ("f", "usr/bin/x", "1")],
        [("d", "bin", ""), ("f", "bin/y", "2")],
    ],
    "implied folder over a link": [[("s", "bin", "usr/bin"), ("f", "usr/bin/x", "1")], [("f", "bin/y", "2")]],
    "link of the same layer": [[("s", "bin", "usr/bin"), ("f", "bin/x", "1")], [("f", "usr/bin/y", "2")]],
    "link over a folder": [[("f", "a/x", "1"), ("f", "b/x", "2")], [("s", "a", "b")]],
    "file over a folder": [[("f", "a/b/x", "1")], [("f", "a/b", "2")], [("f", "a/b/y", "3")]],
    "removed file": [[("f", "a/x", "1"), ("f", "a/y", "2")], [("f", "a/.wh.x", "")]],
    "removed folder": [
        [("f", "a/b/x", "1"), ("f", "a/y", "2")],
        [("f", "a/.wh.b", "")],
        [("f", "a/b/z", "3")],
    ],
    "emptied folder": [[("f", "a/x", "1")], [("d", "a", ""), ("f", "a/.wh..wh..opq", ""), ("f", "a/y", "2")]],
    "hard link": [[("f", "a/x", "1"), ("h", "b/y", "a/x")], [("f", "a/x", "2")]],
    "absolute link": [[("f", "srv/x", "1"), ("s", "a/b", "/srv"), ("s", "c", "../../srv/x")]],
}


@pytest.mark.engine
@pytest.mark.parametrize("case", DISPUTED)
def test_layers_amount_to_what_an_engine_makes_of_them(
    case: str, engine_host: str, registry: Registry, tmp_path: Path
) -> None:
    layers = [_packed(entries) for entries in DISPUTED[case]]
    reference = _push(registry, f"disputed/{hashlib.sha256(case.encode()).hexdigest()[:8]}", layers)
    paths = sorted({path for entries in DISPUTED[case] for _, path, _ in entries if "/.wh." not in path})
    engine = _engine_contents(reference, paths)

    contents = _our_contents(reference, paths, tmp_path)

    assert contents == engine
    assert any(content is not None for content in engine.values())


def _our_contents(reference: str, paths: list[str], cache: Path) -> dict[str, bytes | None]:
    client = RegistryClient(environment={})
    image = client.resolve(parse_reference(reference), AMD64)
    reader = LayerReader(image, source=client, cache=ScanCache(cache), progress=SilentProgress())
    files = ImageFiles(reader.read_all(), read_again=reader.read_again)
    return {path: files.content(f"/{path}") for path in paths}


def _engine_contents(reference: str, paths: list[str]) -> dict[str, bytes | None]:
    """Return what `docker cp --follow-link` finds at each path."""
    docker("pull", "--quiet", reference)
    container = docker("create", reference, "none").stdout.decode().strip()
    try:
        return {path: _copied(container, path) for path in paths}
    finally:
        docker("rm", "--force", container)


def _copied(container: str, path: str) -> bytes | None:
    done = subprocess.run(
        ["docker", "cp", "--follow-link", f"{container}:/{path}", "-"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        return None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        member = archive.next()
        stream = archive.extractfile(member) if member and member.isreg() else None
        return stream.read() if stream else None


def _packed(entries: Entries) -> bytes:
    types = {"d": tarfile.DIRTYPE, "f": tarfile.REGTYPE, "s": tarfile.SYMTYPE, "h": tarfile.LNKTYPE}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for kind, path, text in entries:
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = types[kind], 0o755
            if kind == "f":
                entry.size = len(text)
            else:
                entry.linkname = text
            archive.addfile(entry, io.BytesIO(text.encode()))
    return stream.getvalue()


def _push(registry: Registry, name: str, layers: list[bytes]) -> str:
    reference = parse_reference(f"{registry.host}/{name}:1")
    writer = RegistryWriter(RegistryTransport(environment={}))

    def put(data: bytes, kind: str) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        writer.put_blob(reference, digest, data)
        return {"mediaType": kind, "digest": digest, "size": len(data)}

    diff_ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": put(json.dumps(config).encode(), OCI_CONFIG),
        "layers": [
            put(gzip.compress(layer, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")
            for layer in layers
        ],
    }
    writer.put_manifest(reference, OCI_MANIFEST, json.dumps(manifest).encode())
    return str(reference)
