"""Image references: ``registry/repository:tag@digest`` as people write them, and as registries are asked.

The grammar and the rules for what may be left out are those of distribution/reference, which every engine
follows.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from envbuild.errors import SpecError

DEFAULT_REGISTRY: Final = "docker.io"
"""The registry of a reference that names none."""

DEFAULT_REGISTRY_API: Final = "registry-1.docker.io"
"""The host that answers for it."""

DEFAULT_TAG: Final = "latest"
OFFICIAL: Final = "library/"
"""Where the default registry keeps the repositories whose name has one part."""

LONGEST_REPOSITORY: Final = 255

_ALIASES = frozenset({"index.docker.io", DEFAULT_REGISTRY_API})
_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?"
)
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IMAGE_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """One image, or one repository of images, with nothing left out."""

    registry: str
    """Host, with its port if it has one; ``docker.io`` for the default."""

    repository: str
    """Path below the registry, ``library/`` included."""

    tag: str | None = None
    """None only beside a digest."""

    digest: str | None = None

    @property
    def api_host(self) -> str:
        """The host that answers the distribution API for this registry."""
        return DEFAULT_REGISTRY_API if self.registry == DEFAULT_REGISTRY else self.registry

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def locator(self) -> str:
        """What the registry is asked for: the digest where there is one, as every engine does."""
        return self.digest or self.tag or DEFAULT_TAG

    @property
    def familiar(self) -> str:
        """The shortest text that means the same, as engines print it."""
        if self.registry != DEFAULT_REGISTRY:
            return str(self)
        short = self.repository.removeprefix(OFFICIAL)
        name = self.repository if "/" in short else short
        # a namespace that could be a host keeps its registry
        return (name if _split_registry(name)[0] == DEFAULT_REGISTRY else self.name) + self._suffix

    def at(self, digest: str) -> "ImageReference":
        """Return the same repository, pinned to ``digest`` and without a tag."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        return self.name + self._suffix

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> ImageReference:
    """Read an image reference, filling in what was left out.

    :raises SpecError: it is none; the hint says what is wrong with it.
    """
    hint = _hint_for(text)
    if hint:
        raise _refused(text, hint)
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _refused(text, "a digest is `sha256:` and 64 hexadecimal digits")
    registry, rest = _split_registry(rest)
    repository, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _refused(
            text, "a tag is up to 128 letters, digits, `_`, `.` and `-`, and starts with neither dot nor dash"
        )
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = OFFICIAL + repository
    if not _HOST.fullmatch(registry):
        raise _refused(text, f"`{registry}` is not a host name")
    if not _REPOSITORY.fullmatch(repository):
        lower = "; write it in lower case" if _REPOSITORY.fullmatch(repository.lower()) else ""
        raise _refused(text, f"`{repository.removeprefix(OFFICIAL)}` is not a repository name{lower}")
    if len(repository) > LONGEST_REPOSITORY:
        raise _refused(text, f"a repository name has at most {LONGEST_REPOSITORY} characters")
    return ImageReference(
        registry=registry,
        repository=repository,
        tag=tag or (None if digest else DEFAULT_TAG),
        digest=digest or None,
    )


def _split_registry(text: str) -> tuple[str, str]:
    """Return registry and remainder; a first part is a host only if it cannot be a repository's."""
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first or first != first.lower()):
        return (DEFAULT_REGISTRY if first in _ALIASES else first), rest
    return DEFAULT_REGISTRY, text


def _hint_for(text: str) -> str | None:
    """Return what is wrong with the whole text, if something people often do is."""
    if not text.strip():
        return "it is empty"
    if text != text.strip() or any(letter.isspace() for letter in text):
        return "it has spaces in it"
    if "://" in text:
        return f"leave out `{text.partition('://')[0]}://`"
    if _IMAGE_ID.fullmatch(text):
        return "this is an image ID; name the repository it comes from"
    return None


def _refused(text: str, hint: str) -> SpecError:
    return SpecError(f"`{text}` is not an image reference", hint=hint)
