"""The documents of image registries: indexes, manifests, configurations (OCI image-spec, Docker's schema 2).

Pure: bytes in, values out.  Asking for them is ``registry.py``'s.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from envbuild.errors import ImageError, NetworkError
from envbuild.formats.json_text import parse_unambiguous_json
from envbuild.platforms import Platform

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"

INDEX_TYPES: Final = (OCI_INDEX, DOCKER_LIST)
MANIFEST_TYPES: Final = (OCI_MANIFEST, DOCKER_MANIFEST)
CONFIG_TYPES: Final = (OCI_CONFIG, DOCKER_CONFIG)
ACCEPTED: Final = (*INDEX_TYPES, *MANIFEST_TYPES)
"""Everything the registry may answer a request for a manifest with."""

BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""When an image was made that does not say so or names an earlier time: SOURCE_DATE_EPOCH starts here."""

_VARIANT_ORDER: Final = {"amd64": ("", "v1"), "arm64": ("v8", "", "8")}
"""Which variant of an architecture to take first: the one that runs everywhere.  Others are not taken."""

_ALIASES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
"""Other names of architectures that engines understand."""

_DOTTED_I: Final = "\u0130"

_DIGEST_LENGTH: Final = len("sha256:") + 64


_FIELDS: Final = frozenset(
    {
        # of an index and a manifest (image-spec, image-index.md, manifest.md, descriptor.md)
        *("schemaVersion", "mediaType", "artifactType", "manifests", "config", "layers", "subject"),
        *("annotations", "digest", "size", "urls", "data", "platform"),
        *("architecture", "os", "os.version", "os.features", "variant"),
        # of a configuration (image-spec, config.md; Docker's image specification 1.3)
        *("created", "author", "rootfs", "type", "diff_ids", "history", "created_by", "comment"),
        *("empty_layer", "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir"),
        *("Labels", "StopSignal", "StopTimeout", "ArgsEscaped", "Healthcheck", "OnBuild", "Shell"),
        *("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"),
    }
)
"""Fields of documents as they are spelled."""

_MAPS: Final = frozenset({"annotations", "Labels", "ExposedPorts", "Volumes", "container_config"})
"""Fields whose value has names of its own as keys, or that no engine reads."""


class ManifestError(NetworkError):
    """A document of the registry is not in the form its media type promises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Content by digest (image-spec, descriptor.md)."""

    media_type: str
    digest: str
    size: int
    """Bytes."""

    urls: tuple[str, ...] = ()
    """Where else the content is; only layers that may not be distributed have any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One manifest an index offers."""

    descriptor: Descriptor
    os: str
    architecture: str
    """Both empty when the index does not say."""

    variant: str = ""

    @property
    def platform(self) -> str:
        """``os/architecture`` and ``/variant`` if there is one."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one image consists of."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    """Bottom first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The part of an image's configuration that matters to a base."""

    os: str
    architecture: str
    created: datetime
    """UTC, whole seconds."""

    environment: Mapping[str, str]
    user: str
    workdir: str
    diff_ids: tuple[str, ...]
    """Digests of the uncompressed layers, bottom first."""

    document: bytes
    """All of it, as the registry has it."""


def parse_index_or_manifest(data: bytes, media_type: str) -> tuple[IndexEntry, ...] | Manifest:
    """Read what a registry answered; ``media_type`` is its word for it, the document's own wins.

    :raises ImageError: it is something else than an image or an index of images.
    :raises DocumentError: it is not well formed.
    """
    document = _mapping(_load(data), "the manifest")
    if document.get("schemaVersion") == 1:
        raise ImageError(
            "the image is stored in a form that engines no longer read (schema 1)",
            hint="push it again with a current engine, or choose another image",
        )
    media_type = str(document.get("mediaType") or media_type.partition(";")[0].strip())
    has_manifests, has_layers = "manifests" in document, "layers" in document
    if has_manifests and has_layers:
        # one text with two meanings: clients would disagree on what its digest stands for
        raise ManifestError("the manifest has both `manifests` and `layers`")
    if media_type in INDEX_TYPES or (has_manifests and media_type not in MANIFEST_TYPES):
        entries = _sequence(document.get("manifests"), "manifests")
        return tuple(_index_entry(entry, f"manifests[{at}]") for at, entry in enumerate(entries))
    if media_type in MANIFEST_TYPES or has_layers:
        return _manifest(document)
    raise ImageError(f"this is no image, but `{media_type}`")


def media_type_of_manifest(data: bytes) -> str:
    """Return the media type that a manifest gives itself; OCI's own where it gives none.

    :raises ManifestError: it is not well formed.
    """
    named = _mapping(_load(data), "the manifest").get("mediaType")
    return named if named in MANIFEST_TYPES else OCI_MANIFEST


def choose_manifests(entries: tuple[IndexEntry, ...], platform: Platform) -> tuple[Descriptor, ...]:
    """Return the manifests that may serve ``platform``, best first.

    Those that do not name a platform come last; their configuration decides.  Empty when there are none.
    """
    variants = _VARIANT_ORDER.get(platform.architecture, ("",))
    named = [
        (variants.index(entry.variant), entry.descriptor)
        for entry in entries
        if (entry.os, entry.architecture) == ("linux", platform.architecture) and entry.variant in variants
    ]
    unnamed = [entry.descriptor for entry in entries if not entry.platform]
    # stable: of two equal offers the first is taken, as engines do
    return (*(descriptor for _, descriptor in sorted(named, key=lambda offer: offer[0])), *unnamed)


def require_one_choice(entries: tuple[IndexEntry, ...], platform: Platform) -> None:
    """Return if every engine takes the same manifest of an index for ``platform``, or none.

    Engines differ in which of several they take, and in how they read a platform that is spelled otherwise
    (containerd's ``platforms`` takes ``x86_64`` and ``Linux``).

    :raises ManifestError: they may differ.
    """
    serving = [
        entry
        for entry in entries
        if _lower(entry.os) in {"linux", ""}
        and _ALIASES.get(_lower(entry.architecture), _lower(entry.architecture))
        in {platform.architecture, ""}
    ]
    if len(serving) > 1:
        raise ManifestError(f"the index offers {len(serving)} images for {platform.name}")
    for entry in serving:
        if entry.platform and (entry.os, entry.architecture) != ("linux", platform.architecture):
            raise ManifestError(f"the index spells {platform.name} as {entry.platform}")


def _lower(name: str) -> str:
    """Return ``name`` as Go writes it in small letters, each in one of its own."""
    return name.replace(_DOTTED_I, "i").lower()


def offered_platforms(entries: tuple[IndexEntry, ...]) -> tuple[str, ...]:
    """Return the platforms an index offers, sorted; attestations, filed under ``unknown``, are none."""
    return tuple(sorted({entry.platform for entry in entries if entry.platform and entry.os != "unknown"}))


def parse_config(data: bytes) -> ImageConfig:
    """Read an image's configuration.  :raises DocumentError: it is not well formed."""
    document = _mapping(_load(data), "the configuration")
    inner = _mapping(document.get("config") or {}, "config")
    root = _mapping(document.get("rootfs") or {}, "rootfs")
    environment = dict(_environment(_sequence(inner.get("Env") or [], "config.Env")))
    return ImageConfig(
        os=str(document.get("os") or ""),
        architecture=str(document.get("architecture") or ""),
        created=_time(document.get("created")),
        environment=environment,
        user=str(inner.get("User") or ""),
        workdir=str(inner.get("WorkingDir") or ""),
        diff_ids=tuple(
            _digest(item, f"rootfs.diff_ids[{at}]")
            for at, item in enumerate(_sequence(root.get("diff_ids") or [], "rootfs.diff_ids"))
        ),
        document=data,
    )


def is_digest(text: object) -> TypeGuard[str]:
    """Return whether ``text`` is ``sha256:`` and 64 hexadecimal digits."""
    return (
        isinstance(text, str)
        and len(text) == _DIGEST_LENGTH
        and text.startswith("sha256:")
        and all(letter in "0123456789abcdef" for letter in text[7:])
    )


def _manifest(document: Mapping[str, Any]) -> Manifest:
    config = _descriptor(document.get("config"), "config")
    if config.media_type not in CONFIG_TYPES:
        raise ImageError(f"this is no image: its configuration is `{config.media_type}`")
    layers = _sequence(document.get("layers") or [], "layers")
    return Manifest(
        config=config,
        layers=tuple(_descriptor(layer, f"layers[{at}]") for at, layer in enumerate(layers)),
    )


def _index_entry(value: object, where: str) -> IndexEntry:
    entry = _mapping(value, where)
    platform = _mapping(entry.get("platform") or {}, f"{where}.platform")
    return IndexEntry(
        descriptor=_descriptor(entry, where),
        os=str(platform.get("os") or ""),
        architecture=str(platform.get("architecture") or ""),
        variant=str(platform.get("variant") or ""),
    )


def _descriptor(value: object, where: str) -> Descriptor:
    fields = _mapping(value, where)
    size = fields.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ManifestError(f"{where}.size is not a number of bytes")
    urls = _sequence(fields.get("urls") or [], f"{where}.urls")
    return Descriptor(
        media_type=str(fields.get("mediaType") or ""),
        digest=_digest(fields.get("digest"), f"{where}.digest"),
        size=size,
        urls=tuple(str(url) for url in urls),
    )


def _environment(items: list[object]) -> Iterator[tuple[str, str]]:
    for item in items:
        name, equals, value = str(item).partition("=")
        if name and equals:
            yield name, value


def _time(value: object) -> datetime:
    """Read an RFC 3339 time; nanoseconds are cut off."""
    text = str(value or "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return BEGINNING
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        return BEGINNING
    return max(moment.replace(microsecond=0), BEGINNING)


def parse_image_document(data: bytes) -> Any:
    """Return the value of an index, a manifest or a configuration.

    :raises ValueError: it is no JSON that all engines read the same way.
    """
    return parse_unambiguous_json(data, fields=_FIELDS, maps=_MAPS)


def _load(data: bytes) -> object:
    try:
        return parse_image_document(data)
    except ValueError as error:
        raise ManifestError(
            "a manifest or configuration is no JSON that all programs read the same way",
            detail=str(error)[:200],
        ) from error


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ManifestError(f"{where} is not a table")
    return value


def _sequence(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise ManifestError(f"{where} is not a list")
    return value


def _digest(value: object, where: str) -> str:
    if not is_digest(value):
        raise ManifestError(f"{where} is not a sha256 digest")
    return value
