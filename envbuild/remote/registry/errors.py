"""What to say when a registry does not have what was asked for."""

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

import requests

from envbuild.errors import ImageError, NetworkError, NotFoundError
from envbuild.oci.manifest import Descriptor, ManifestError
from envbuild.oci.reference import ImageReference
from envbuild.remote.registry.transport import server_message

NEAR_TAGS: Final = 5
"""How many tags to offer instead of one that is not there."""

LEAST_LIKENESS: Final = 0.5
"""From 0 to 1: what is less like the missing tag is not offered."""


def missing_repository(reference: ImageReference) -> NotFoundError:
    """Return the error for a repository the registry does not know."""
    return NotFoundError(
        f"{reference.registry} has no repository `{reference.repository}`", hint="check the image's name"
    )


def missing_tag(reference: ImageReference, tags: tuple[str, ...]) -> NotFoundError:
    """Return the error for a tag that is not among ``tags``; empty when those are unknown."""
    tag, name = reference.locator, replace(reference, tag=None).familiar
    near = difflib.get_close_matches(tag, tags, n=NEAR_TAGS, cutoff=LEAST_LIKENESS) or tags[-NEAR_TAGS:]
    return NotFoundError(
        f"`{name}` has no tag `{tag}`",
        hint=f"it has {', '.join(f'`{other}`' for other in near)}" if near else None,
    )


def missing_digest(reference: ImageReference) -> NotFoundError:
    """Return the error for a manifest that the registry has deleted or never had."""
    return NotFoundError(
        f"{reference.registry} has no image {short(reference.digest or '')} in `{reference.repository}`",
        hint="registries delete old images; lock again from a tag",
    )


def missing_blob(reference: ImageReference, blob: Descriptor) -> NotFoundError:
    """Return the error for a part of an image that the registry cannot give."""
    if blob.urls:
        host = urlsplit(blob.urls[0]).hostname
        return NotFoundError(
            f"layer {short(blob.digest)} of `{reference.familiar}` may not be distributed by registries",
            hint=f"only {host} has it; choose an image without such layers",
        )
    return NotFoundError(
        f"{reference.registry} has lost {short(blob.digest)} of `{reference.familiar}`",
        hint="choose another tag, or push the image again",
    )


def refused(reference: ImageReference, what: str, response: requests.Response) -> NetworkError:
    """Return the error for an answer that is neither success nor anything expected."""
    return NetworkError(
        f"{reference.registry} refused {what} (HTTP {response.status_code})", detail=server_message(response)
    )


@contextlib.contextmanager
def naming(reference: ImageReference) -> Iterator[None]:
    """Put the image's name before what is wrong with it."""
    try:
        yield
    except (ImageError, ManifestError) as error:
        raise type(error)(
            f"`{reference.familiar}` cannot be used: {error.message}", hint=error.hint, detail=error.detail
        ) from error


def short(digest: str) -> str:
    """Return a digest as it is shown."""
    return digest[: len("sha256:") + 12]
