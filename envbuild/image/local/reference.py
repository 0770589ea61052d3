"""What the image of a target must be: its files and its configuration, as the local engine makes them.

The reference is made of the lock alone, kept as a list of its layers, and made once for a lock.  Where this
process is no root, another one makes it as root of a user namespace.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from envbuild import process
from envbuild.cache.folders import REFERENCES
from envbuild.cache.notes import read_note, try_note
from envbuild.digest import canonical_json, sha256_bytes
from envbuild.errors import BuildFailedError, EngineError, EnvbuildError, IntegrityError, NetworkError
from envbuild.image.engine import BuildRequest
from envbuild.image.local.build import assemble_image
from envbuild.image.local.inputs import build_inputs
from envbuild.image.local.layers.blobs import BaseBlobs, ImageBlobs
from envbuild.image.local.layers.store import LayerStore
from envbuild.image.local.layers.writer import FORMAT
from envbuild.image.local.registry import document_registry
from envbuild.image.local.stored import list_layers
from envbuild.image.local.user_namespace import (
    UNSHARE,
    acts_as_root,
    raise_open_files,
    require_subordinate_ids,
)
from envbuild.image.local.workers import ERROR, order_of
from envbuild.image.stored.listings import ListingCache
from envbuild.lock.identity import target_digest
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import parse_config
from envbuild.oci.reference import parse_reference
from envbuild.platforms import host
from envbuild.store.stage import workspace

WORKER: Final = "envbuild.image.local.reference_worker"

_ERRORS: Final[Mapping[int, type[EnvbuildError]]] = {
    error.exit_code: error for error in (EngineError, NetworkError, IntegrityError)
}
"""What the worker failed with, by its exit status; all else is a failed build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The image that a lock stands for."""

    config: bytes = field(repr=False)
    """Its configuration, as the local engine writes it."""

    listings: tuple[LayerListing, ...] = field(repr=False)
    """What its layers hold, bottom first."""


def kept_reference(request: BuildRequest, listings: ListingCache, *, cache: Path) -> Reference | None:
    """Return the reference of a target if it was made before and all of it is still kept."""
    config = read_note(_path(request, cache), _config_of)
    return None if config is None else _reference(config, listings)


def make_reference(
    request: BuildRequest, listings: ListingCache, *, cache: Path, environment: Mapping[str, str]
) -> Reference:
    """Return the reference of a target, assembled now.

    Layers that are kept are not made again, unless the request says that nothing of the cache may be used.

    :raises EngineError: this machine and user cannot assemble it, or it is for another processor.
    :raises BuildFailedError: a step failed.
    :raises NetworkError: something of it must be fetched, and cannot be.
    :raises IntegrityError: an artifact is not what the lock says.
    """
    machine = host()
    if machine is None or machine.name != request.target.platform:
        raise EngineError(f"this machine cannot assemble an image for {request.target.platform}")
    if acts_as_root():
        config = assemble_reference(request, listings, cache=cache)
    else:
        config = _assemble_as_root(request, environment=environment)
        # the other process has read the layers just now; what it found lies in the cache
        found_there = ListingCache(cache)
        for diff_id in parse_config(config).diff_ids:
            listing = found_there.get(diff_id)
            if listing is not None:
                listings.put(listing)
    try_note(_path(request, cache), {"config": config.decode()})
    made = _reference(config, listings)
    if made is None:
        raise EngineError("the reference was assembled, but its file lists could not be kept")
    return made


def assemble_reference(request: BuildRequest, listings: ListingCache, *, cache: Path) -> bytes:
    """Assemble the image of a target, keep the listings of its layers, and return its configuration.

    The image gets no name.  Where nothing of the cache may be used, its layers are not kept either.

    :raises EngineError: this process may not.
    :raises BuildFailedError: a step failed.
    :raises NetworkError: something of it must be fetched, and cannot be.
    :raises IntegrityError: an artifact is not what the lock says.
    """
    raise_open_files()
    artifacts = request.artifacts
    with ExitStack() as stack:
        stack.enter_context(artifacts.store.use())
        layers = cache if request.use_cache else stack.enter_context(workspace(artifacts.store))
        image = assemble_image(request.lock, request.target, build_inputs(request, layers))
        source = request.lock.base(request.target).image
        base = None
        if source is not None:
            registry = document_registry(cache, environment=artifacts.environment, offline=artifacts.offline)
            pinned = parse_reference(source.reference).at(source.digest)
            base = BaseBlobs(cache, pinned, registry=lambda: registry, offline=artifacts.offline)
        blobs = ImageBlobs(image, cache=layers, base=base)
        for listing in list_layers(image, blobs, listings.missing(image.diff_ids), listings):
            listings.put(listing)
    LayerStore(cache).trim()
    return image.config


def _assemble_as_root(request: BuildRequest, *, environment: Mapping[str, str]) -> bytes:
    require_subordinate_ids(environment)
    result = process.run(
        # -P: modules in the current folder are not the program's
        (*UNSHARE, sys.executable, "-P", "-m", WORKER),
        environment=environment,
        standard_input=json.dumps(order_of(request)).encode(),
        on_stderr_line=request.artifacts.progress.on_item,
    )
    if not result.succeeded:
        error = _ERRORS.get(result.exit_status, BuildFailedError)
        said = result.stderr.splitlines()[-20:]
        message = next((line for line in reversed(said) if line.startswith(ERROR)), "")
        raise error(
            message.removeprefix(ERROR) or "the process that assembles the reference failed",
            detail="\n".join(said),
        )
    return result.stdout_bytes


def _reference(config: bytes, listings: ListingCache) -> Reference | None:
    found = [listings.get(diff_id) for diff_id in parse_config(config).diff_ids]
    whole = tuple(listing for listing in found if listing is not None)
    return Reference(config=config, listings=whole) if len(whole) == len(found) else None


def _path(request: BuildRequest, cache: Path) -> Path:
    """Return where a reference is kept: by all that it follows from."""
    inputs = {
        "target": target_digest(request.lock, request.target),
        "probe": sha256_bytes(request.probe()),
        "format": FORMAT,
    }
    return REFERENCES.path(cache) / f"{sha256_bytes(canonical_json(inputs))}.json"


def _config_of(document: Any) -> bytes:
    return str(document["config"]).encode()
