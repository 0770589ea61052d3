"""Base images made of Debian packages, and pushed to a registry without an engine.

Two kinds: Debian with its own python3, and one shaped like Docker's official `python` images, whose
interpreter lies under /usr/local where dpkg does not know it.  Each has three layers so that whoever
looks for a file has to walk them: the system, the interpreter's library, and a last small one that
deletes a file and a folder of the first.
"""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from tests.rig.paths import SCRIPTS, cache_folder, locked
from tests.rig.registry import Registry

SUITE = "bookworm"
EPOCH = 1_700_000_000
"""Every file's time, at the latest, and the images' date of creation."""
CREATED = "2023-11-14T22:13:20Z"
RECIPE = 2
"""Raised when the bases change, so that cached ones are built anew."""

DELETED_FILE = "etc/issue"
"""In the first layer, and deleted by the last."""
EMPTIED_FOLDER = "etc/skel"
"""Holds files in the first layer; the last hides them all (an opaque whiteout) and adds `.rig`."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What python3.11 is linked with, as the official images install it, and what they add to it.
_PYTHON_LIBRARIES = (
    "ca-certificates",
    "libbz2-1.0",
    "libdb5.3",
    "libexpat1",
    "libffi8",
    "liblzma5",
    "libncursesw6",
    "libreadline8",
    "libsqlite3-0",
    "libssl3",
    "libtirpc3",
    "libuuid1",
    "netbase",
    "tzdata",
    "zlib1g",
)
# Debian's python installs into dist-packages, the official images' into site-packages.
_UPSTREAM_LAYOUT = {
    "site.py": (b"if is_virtual_environment:", b"if True:"),
    "sysconfig.py": (b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'"),
}
_MEDIA_TYPES = {
    "oci": {
        "index": "application/vnd.oci.image.index.v1+json",
        "manifest": "application/vnd.oci.image.manifest.v1+json",
        "config": "application/vnd.oci.image.config.v1+json",
        "layer": "application/vnd.oci.image.layer.v1.tar+gzip",
    },
    "docker": {
        "index": "application/vnd.docker.distribution.manifest.list.v2+json",
        "manifest": "application/vnd.docker.distribution.manifest.v2+json",
        "config": "application/vnd.docker.container.image.v1+json",
        "layer": "application/vnd.docker.image.rootfs.diff.tar.gzip",
    },
}

Media = Literal["oci", "docker"]
Entry = tuple[tarfile.TarInfo, bytes]
"""A member of a layer, and its content if it is a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A gzipped tar on disk."""

    path: Path
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An image that is not in a registry yet."""

    layers: tuple[Layer, ...]
    architecture: str
    """As Docker names it: `amd64`."""
    python_version: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedImage:
    """An image in a registry."""

    reference: str
    """`host:port/name:tag`."""
    digest: str
    """Of what the tag names: the index if there is one."""
    manifests: Mapping[str, str]
    """Digest of the manifest of each platform."""

    @property
    def pinned(self) -> str:
        """The reference by digest."""
        return f"{self.reference.rpartition(':')[0]}@{self.digest}"


# --- building -----------------------------------------------------------------------------------


def debian_base() -> Base:
    """Return Debian with its own python3; built at the first call on a machine, 20 s."""
    return _cached("debian", _build_debian)


def python_base() -> Base:
    """Return a base like `python:3.11-slim`: no python3 package, an interpreter in /usr/local."""
    return _cached("python", _build_python)


def _build_debian(folder: Path) -> None:
    system = _bootstrap(folder, "python3")
    library = re.compile(r"usr/lib/python3[^/]*(/|$)")
    write_layer(folder / "0.tar.gz", _members(system, lambda name: not library.match(name)))
    write_layer(
        folder / "1.tar.gz", [folder_entry("usr"), folder_entry("usr/lib"), *_members(system, library.match)]
    )
    write_layer(folder / "2.tar.gz", _deletions())
    _write_description(folder, python_version=_python_version(system), command=("bash",))
    system.unlink()


def _build_python(folder: Path) -> None:
    system = _bootstrap(folder, *_PYTHON_LIBRARIES)
    write_layer(folder / "0.tar.gz", _members(system, lambda _: True))
    debian = debian_base()
    write_layer(folder / "1.tar.gz", relocated_interpreter(debian))
    links = [_link("usr/local/bin/python3", "python3.11"), _link("usr/local/bin/python", "python3")]
    write_layer(folder / "2.tar.gz", [*_deletions(), *links])
    _write_description(folder, python_version=debian.python_version, command=("python3",))
    system.unlink()


def _bootstrap(folder: Path, *packages: str) -> Path:
    """Make a minimal system with `packages` as a tar; the same archive gives the same bytes."""
    if shutil.which("mmdebstrap") is None:
        subprocess.run([SCRIPTS / "setup", "mmdebstrap"], timeout=600, check=True)
    archive, security = _output(SCRIPTS / "debian-mirror"), _output(SCRIPTS / "debian-mirror", "security")
    sources = [f"deb {archive} {suite} main" for suite in (SUITE, f"{SUITE}-updates") if archive]
    if security:
        sources.append(f"deb {security} {SUITE}-security main")
    system = folder / "system.tar"
    # Without manuals and translations, as in Docker's slim images: half the size.
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{kind}/*" for kind in ("doc", "info", "locale", "man")]
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    done = subprocess.run(
        [*command, *excluded, SUITE, system, *sources],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"mmdebstrap: {done.stderr.strip()[-2000:]}")
    return system


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _python_version(system: Path) -> str:
    with tarfile.open(system) as archive:
        status = archive.extractfile("./var/lib/dpkg/status")
        assert status is not None
        text = status.read().decode()
    found = re.search(r"^Package: python3\.11-minimal\n(?:.+\n)*?Version: ([0-9.]+)", text, re.MULTILINE)
    assert found is not None
    return found[1]


# --- layers -------------------------------------------------------------------------------------


def _members(archive: Path, wanted: Callable[[str], object]) -> Iterator[Entry]:
    with tarfile.open(archive) as opened:
        for member in opened:
            name = member.name.removeprefix("./")
            # Device nodes are the engine's business.
            if name in {"", "."} or name.startswith("dev/") or not wanted(name):
                continue
            entry = copy(member)
            entry.name = name
            if entry.islnk():
                entry.linkname = entry.linkname.removeprefix("./")
            # The rest of the extended headers repeats the fields above, and would win over them.
            entry.pax_headers = {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")}
            content = opened.extractfile(member) if member.isreg() else None
            yield entry, content.read() if content else b""


def relocated_interpreter(debian: Base) -> Iterator[Entry]:
    """Move Debian's interpreter under /usr/local: it finds its library from where it lies."""
    yield from map(folder_entry, ("usr", "usr/local", "usr/local/bin", "usr/local/lib"))
    # Compiled files are left out as in the official images, and Debian's hook into /etc too.
    left_out = re.compile(r"/__pycache__(/|$)|/sitecustomize\.py$")
    kept = re.compile(r"usr/bin/python3\.11$|usr/lib/python3\.11(/|$)")
    library = "usr/local/lib/python3.11/"
    for layer in debian.layers[:2]:
        for entry, content in _members(
            layer.path, lambda name: kept.match(name) and not left_out.search(name)
        ):
            entry.name = entry.name.replace("usr/", "usr/local/", 1)
            debians, upstreams = _UPSTREAM_LAYOUT.get(entry.name.removeprefix(library), (b"", b""))
            assert debians in content
            changed = content.replace(debians, upstreams) if debians else content
            entry.size = len(changed)
            yield entry, changed
    yield folder_entry(f"{library}site-packages")


def _deletions() -> Iterator[Entry]:
    """Yield what deletes in an image: `.wh.NAME` one entry, `.wh..wh..opq` all that lay below."""
    parent, _, name = DELETED_FILE.rpartition("/")
    yield folder_entry(parent)
    yield file_entry(f"{parent}/.wh.{name}", b"")
    yield folder_entry(EMPTIED_FOLDER)
    yield file_entry(f"{EMPTIED_FOLDER}/.wh..wh..opq", b"")
    yield file_entry(f"{EMPTIED_FOLDER}/.rig", b"the last layer put this here\n")


def file_entry(name: str, content: bytes) -> Entry:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), EPOCH
    return entry, content


def folder_entry(name: str) -> Entry:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, EPOCH
    return entry, b""


def _link(name: str, target: str) -> Entry:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.mtime = tarfile.SYMTYPE, target, 0o777, EPOCH
    return entry, b""


def write_layer(path: Path, entries: Iterable[Entry]) -> None:
    with (
        path.open("wb") as raw,
        # No name, no time; the fastest level: nothing here is kept or sent far.
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for entry, content in entries:
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)


# --- the cache ----------------------------------------------------------------------------------


def _cached(kind: str, build: Callable[[Path], None]) -> Base:
    folder = cache_folder() / f"base-{kind}-{SUITE}-{RECIPE}"
    with locked(folder.name):
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            build(unfinished)
            unfinished.rename(folder)
    return _read_description(folder)


def _write_description(folder: Path, *, python_version: str, command: tuple[str, ...]) -> None:
    layers = []
    for path in sorted(folder.glob("*.tar.gz")):
        content = path.read_bytes()
        layers.append(
            {
                "file": path.name,
                "digest": digest_of(content),
                "diff_id": digest_of(gzip.decompress(content)),
                "size": len(content),
            }
        )
    description = {
        "architecture": _output("dpkg", "--print-architecture"),
        "command": command,
        "layers": layers,
        "python_version": python_version,
    }
    (folder / "base.json").write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")


def _read_description(folder: Path) -> Base:
    description = json.loads((folder / "base.json").read_text())
    return Base(
        layers=tuple(
            Layer(
                path=folder / layer["file"],
                digest=layer["digest"],
                diff_id=layer["diff_id"],
                size=layer["size"],
            )
            for layer in description["layers"]
        ),
        architecture=description["architecture"],
        python_version=description["python_version"],
        command=tuple(description["command"]),
    )


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


# --- pushing ------------------------------------------------------------------------------------


def push_base(
    base: Base,
    registry: Registry,
    name: str,
    tag: str,
    *,
    media: Media = "oci",
    architectures: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    user: str = "",
) -> PushedImage:
    """Push `base` as `name:tag`.

    With `architectures` the tag names an index of one manifest for each.  All have the same layers: a
    foreign one can be looked into, not run.  `environment` is added to PATH, LANG and PYTHON_VERSION.
    """
    types = _MEDIA_TYPES[media]
    with requests.Session() as session:
        session.auth = registry.auth
        repository = f"{registry.url}/v2/{name}"
        for layer in base.layers:
            _push_blob(session, repository, layer.digest, layer.path)
        manifests: dict[str, str] = {}
        entries: list[dict[str, object]] = []
        for architecture in architectures or (base.architecture,):
            config = _to_json(_config(base, architecture, environment or {}, user))
            _push_blob(session, repository, digest_of(config), config)
            manifest = _to_json(_manifest(base, config, types))
            digest = _push_manifest(
                session, repository, manifest, types["manifest"], None if architectures else tag
            )
            platform = {"os": "linux", "architecture": architecture}
            if architecture == "arm64":
                platform["variant"] = "v8"
            manifests[f"linux/{architecture}"] = digest
            entries.append(
                {
                    "mediaType": types["manifest"],
                    "digest": digest,
                    "size": len(manifest),
                    "platform": platform,
                }
            )
        if architectures:
            index = _to_json({"schemaVersion": 2, "mediaType": types["index"], "manifests": entries})
            digest = _push_manifest(session, repository, index, types["index"], tag)
        else:
            (digest,) = manifests.values()
    return PushedImage(reference=f"{registry.host}/{name}:{tag}", digest=digest, manifests=manifests)


def _config(base: Base, architecture: str, environment: Mapping[str, str], user: str) -> Mapping[str, object]:
    variables = {"PATH": _PATH, "LANG": "C.UTF-8", "PYTHON_VERSION": base.python_version, **environment}
    return {
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": {
            "Cmd": base.command,
            "Env": [f"{name}={value}" for name, value in variables.items()],
            **({"User": user} if user else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in base.layers]},
        "history": [
            {"created": CREATED, "created_by": f"test rig, layer {n}"} for n in range(len(base.layers))
        ],
    }


def _manifest(base: Base, config: bytes, types: Mapping[str, str]) -> Mapping[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": types["manifest"],
        "config": {"mediaType": types["config"], "digest": digest_of(config), "size": len(config)},
        "layers": [
            {"mediaType": types["layer"], "digest": layer.digest, "size": layer.size} for layer in base.layers
        ],
    }


def _to_json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _push_blob(session: requests.Session, repository: str, digest: str, content: Path | bytes) -> None:
    if session.head(f"{repository}/blobs/{digest}", timeout=30).ok:
        return
    begun = session.post(f"{repository}/blobs/uploads/", timeout=30)
    begun.raise_for_status()
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        session.put(
            requests.compat.urljoin(repository, begun.headers["Location"]),
            params={"digest": digest},
            data=stream,
            headers={"Content-Type": "application/octet-stream"},
            timeout=120,
        ).raise_for_status()


def _push_manifest(
    session: requests.Session, repository: str, manifest: bytes, media_type: str, tag: str | None
) -> str:
    digest = digest_of(manifest)
    session.put(
        f"{repository}/manifests/{tag or digest}",
        data=manifest,
        headers={"Content-Type": media_type},
        timeout=30,
    ).raise_for_status()
    return digest
