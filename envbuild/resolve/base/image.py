"""Reading a base image: from a reference to the facts an environment can stand on.

Every layer is read once, as a stream, unless its scan is in the cache; docs/adr/0005 says why none can be
left out.  Nothing is unpacked to disk.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from envbuild.errors import ImageError
from envbuild.lock.model import Base, ImageSource, Interpreter, Libc
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.platforms import Platform
from envbuild.progress import SILENT, Progress
from envbuild.remote.registry.client import ResolvedImage
from envbuild.remote.registry.errors import naming
from envbuild.resolve.base.image_files import ImageFiles
from envbuild.resolve.base.interpreter import InterpreterSearch
from envbuild.resolve.base.layer_reader import BlobSource, LayerReader
from envbuild.resolve.base.scan_cache import ScanCache
from envbuild.resolve.base.system_files import (
    InstalledDeb,
    keyring_paths,
    musl_version,
    parse_os_release,
    parse_passwd,
    parse_path_filters,
    parse_status,
    upstream_version,
)

_STATUS: Final = "/var/lib/dpkg/status"
_STATUS_FOLDER: Final = "/var/lib/dpkg/status.d"
_CONFIG_FRAGMENT = re.compile(r"[A-Za-z0-9_-]+")
_MAJOR_MINOR = re.compile(r"[0-9]+\.[0-9]+")


class ImageRegistry(BlobSource, Protocol):
    """Where images come from."""

    def resolve(self, reference: ImageReference, platform: Platform) -> ResolvedImage:
        """Return the image ``reference`` names for ``platform``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBaseFacts:
    """All that is read of a base image: what is locked, and what apt needs to resolve against it."""

    base: Base
    interpreter: Interpreter | None
    """None when none was asked for, or the image need not have it and has not."""

    image: ResolvedImage

    dpkg_status: str
    """Text of dpkg's status; empty without Debian packages."""

    dpkg_architectures: tuple[str, ...]
    """The base's own architecture and those enabled beside it; empty when only the own one is."""

    can_install: bool
    """Whether dpkg is there to install packages with; distroless images only list what they consist of."""

    apt_sources: Mapping[str, str]
    """Source lists by absolute path, sorted."""

    apt_keyrings: Mapping[str, bytes]
    """Keys by absolute path: trusted for all sources, or named by one."""

    apt_settings: Mapping[str, str]
    """apt's configuration and pinning by absolute path, sorted.  Never its credentials."""


def read_image_base(
    reference: str | ImageReference,
    platform: Platform,
    python: str | None,
    *,
    registry: ImageRegistry,
    cache: Path,
    needs_python: bool = True,
    progress: Progress = SILENT,
) -> ImageBaseFacts:
    """Read what ``reference`` is made of for ``platform``, and find its Python.

    ``python`` is ``3.11`` or ``3.11.9``; with None no interpreter is looked for.  Without ``needs_python`` it
    is no error that the image has not that one.  Scans of layers are kept
    in ``cache``, so that reading the same base, or another on the same layers, needs no layer again.

    :raises SpecError: the reference, the platform or the Python asked for is not to be had.
    :raises NotFoundError: there is no such image or tag.
    :raises NetworkError: the registry is out of reach or refuses.
    :raises IntegrityError: the registry sent something else than its digests promise.
    """
    wanted = parse_reference(reference) if isinstance(reference, str) else reference
    image = registry.resolve(wanted, platform)
    reader = LayerReader(image, source=registry, cache=ScanCache(cache), progress=progress)
    scans = reader.read_all()
    files = ImageFiles(scans, read_again=reader.read_again)
    with naming(wanted):
        facts = _facts(image, platform, files=files, newest=max((scan.newest for scan in scans), default=0))
        if python is None:
            return facts
        search = InterpreterSearch(
            files=files, environment=facts.base.env, debs=parse_status(facts.dpkg_status)
        )
        name = image.reference.familiar
        found = search.find(python, image=name) if needs_python else search.look_for(python)
        return replace(facts, interpreter=found)


def _facts(image: ResolvedImage, platform: Platform, *, files: ImageFiles, newest: int) -> ImageBaseFacts:
    name = image.reference.familiar
    environment = image.config.environment
    status = _status(files)
    debs = parse_status(status)
    base = Base(
        key=f"{name} {platform.name}",
        platform=platform.name,
        image=ImageSource(
            reference=replace(image.reference, digest=None).familiar,
            index=image.index,
            digest=image.digest,
            config=image.config_digest,
            layers=tuple(layer.digest for layer in image.layers),
            diff_ids=image.config.diff_ids,
        ),
        # a build clamps what is newer than its epoch: nothing of the base may be
        created=max(image.config.created, datetime.fromtimestamp(newest, UTC)),
        os=parse_os_release(_first_text(files, ("/etc/os-release", "/usr/lib/os-release"))),
        libc=_libc(files, platform, debs),
        env=dict(sorted(environment.items())),
        users=parse_passwd(files.text("/etc/passwd") or ""),
        debs=tuple(deb.key for deb in debs),
        excludes=parse_path_filters(_dpkg_settings(files)),
    )
    sources = _texts(files, _paths(files, "/etc/apt/sources.list", (".list", ".sources")))
    return ImageBaseFacts(
        base=base,
        interpreter=None,
        image=image,
        dpkg_status=status,
        dpkg_architectures=tuple((files.text("/var/lib/dpkg/arch") or "").split()),
        can_install=files.exists("/usr/bin/dpkg") and files.exists(_STATUS),
        apt_sources=sources,
        apt_keyrings=_keyrings(files, sources.values()),
        apt_settings=_texts(
            files,
            (
                *_paths(files, "/etc/apt/apt.conf", ("",)),
                *_paths(files, "/etc/apt/preferences", ("",)),
            ),
        ),
    )


def _status(files: ImageFiles) -> str:
    """Return dpkg's status; where it is split into one file a package, put together."""
    packages = (name for name in files.names(_STATUS_FOLDER) if not name.endswith(".md5sums"))
    paths = (_STATUS, *(f"{_STATUS_FOLDER}/{name}" for name in packages))
    parts = [text.strip("\n") for path in paths if (text := files.text(path)) and text.strip()]
    return "\n\n".join(parts) + "\n" if parts else ""


def _libc(files: ImageFiles, platform: Platform, debs: tuple[InstalledDeb, ...]) -> Libc:
    """Return the C library of the image's own architecture.

    :raises ImageError: there is none that wheels are built for.
    """
    packaged = {deb.architecture: deb.version for deb in debs if deb.name == "libc6"}
    version = packaged.get(platform.debian) or next(iter(packaged.values()), "")
    glibc = _major_minor(upstream_version(version))
    if glibc is None:
        folders = (f"/lib/{platform.machine}-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
        glibc = _program_version(files, (f"{folder}/libc.so.6" for folder in folders))
    if glibc:
        return Libc(family="glibc", version=glibc)
    installed = (files.text(f"{prefix}/lib/apk/db/installed") or "" for prefix in ("", "/usr"))
    musl = next((found for text in installed if (found := musl_version(text))), None)
    musl = musl or _program_version(files, (f"/lib/ld-musl-{platform.machine}.so.1",))
    if musl:
        return Libc(family="musl", version=musl)
    raise ImageError("it has no C library, so no Python can run in it", hint="choose another `base.image`")


def _program_version(files: ImageFiles, paths: Iterable[str]) -> str | None:
    for path in paths:
        found = files.program(path)
        if found and found[1].versions:
            return _major_minor(found[1].versions[0])
    return None


def _major_minor(version: str | None) -> str | None:
    match = _MAJOR_MINOR.match(version or "")
    return match[0] if match else None


def _dpkg_settings(files: ImageFiles) -> dict[str, str]:
    """Return dpkg's configuration files in the order dpkg reads them: fragments first, then the main one."""
    folder = "/etc/dpkg/dpkg.cfg.d"
    fragments = [f"{folder}/{name}" for name in files.names(folder) if _CONFIG_FRAGMENT.fullmatch(name)]
    return _texts(files, (*fragments, "/etc/dpkg/dpkg.cfg"))


def _keyrings(files: ImageFiles, sources: Iterable[str]) -> dict[str, bytes]:
    paths = {
        *_paths(files, "/etc/apt/trusted.gpg", (".gpg", ".asc")),
        *_below(files, "/etc/apt/keyrings", (".gpg", ".asc")),
        *_below(files, "/usr/share/keyrings", (".gpg", ".asc", ".pgp")),
        *(path for text in sources for path in keyring_paths(text)),
    }
    contents = ((path, files.content(path)) for path in sorted(paths))
    return {path: data for path, data in contents if data is not None}


def _paths(files: ImageFiles, main: str, endings: tuple[str, ...]) -> Iterator[str]:
    """Yield a file of apt's and those in the folder that goes with it, as apt reads them."""
    yield main
    yield from _below(files, f"{main}.d", endings)


def _below(files: ImageFiles, folder: str, endings: tuple[str, ...]) -> Iterator[str]:
    return (f"{folder}/{name}" for name in files.names(folder) if name.endswith(endings))


def _texts(files: ImageFiles, paths: Iterable[str]) -> dict[str, str]:
    texts = ((path, files.text(path)) for path in paths)
    return {path: text for path, text in texts if text is not None}


def _first_text(files: ImageFiles, paths: Iterable[str]) -> str:
    return next((text for path in paths if (text := files.text(path)) is not None), "")
