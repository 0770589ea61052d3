"""Where each kind of data can be had: the source of a request, or of what is locked."""

import json
from typing import TYPE_CHECKING

from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.data.sources import DataSource
    from envbuild.lock.data import LockedData
    from envbuild.spec.request import DataRequest


def source_of_request(request: "DataRequest", machine: Machine) -> "DataSource | None":
    """Return the server that has what is asked for; None: it is here, or DVC knows.

    :raises EnvbuildError: a library or a setting that the server needs is missing.
    """
    return _source(request, machine, revision=request.revision, sha256=request.sha256, patterns=request.files)


def source_of_locked(locked: "LockedData", machine: Machine, *, sha256: str | None) -> "DataSource | None":
    """Return the server that has what is locked; ``sha256`` is that of the one file at an address."""
    return _source(locked, machine, revision=locked.revision, sha256=sha256, size=locked.size)


def _source(
    data: "DataRequest | LockedData",
    machine: Machine,
    *,
    revision: str | None,
    sha256: str | None,
    size: int | None = None,
    patterns: tuple[str, ...] = (),
) -> "DataSource | None":
    name = data.path.rpartition("/")[2]
    source = data.source or ""
    if data.kind == "url":
        from envbuild.data.url_source import UrlSource

        return UrlSource(source, name=name, size=size, sha256=sha256)
    if data.kind == "huggingface":
        from envbuild.data.hub import HubClient, HubSource

        return HubSource(
            HubClient.of(machine.environment),
            repository=source,
            kind=data.repository_type or "dataset",
            revision=revision or "main",
            patterns=patterns,
        )
    if data.kind == "s3":
        from envbuild.data.objects import ObjectSource

        return ObjectSource(source, name=name, version=revision)
    return None


def key_of(request: "DataRequest") -> str:
    """Return what decides the content of an entry: two requests with the same key are the same data."""
    of_content = {"kind", "path", "source", "sha256", "repository_type", "revision", "files"}
    return json.dumps(request.model_dump(mode="json", include=of_content), sort_keys=True)
