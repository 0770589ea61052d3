"""Distributions by address: fetched once, and pinned by the sha256 of what was there."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import envbuild.spec.direct_references as spelling
from envbuild.cache.folders import STAGED
from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError
from envbuild.files.temporary import temporary_folder
from envbuild.formats.core_metadata import WheelMetadata
from envbuild.progress import SILENT, Progress
from envbuild.remote.git.client import GitClient
from envbuild.remote.http import without_credentials
from envbuild.remote.index.client import PythonIndex
from envbuild.spec.direct_references import DirectKind, DirectReference
from envbuild.store.store import Store

LARGEST_FILE: Final = 16 << 30
"""Bytes of a file by address; the largest wheels have some four gigabytes."""

_AS_STORED = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectSource:
    """What was found at an address; the store has it by its sha256."""

    name: str
    """Normalised, as it was asked for."""

    extras: tuple[str, ...] = ()
    kind: DirectKind
    url: str
    """As :attr:`DirectReference.url <envbuild.spec.direct_references.DirectReference.url>`."""

    reference: str | None = None
    """Branch, tag or commit that was asked for."""

    commit: str | None = None
    """Of a repository."""

    described: str | None = None
    """What ``git describe`` said, where versions come from tags; part of what the sha256 is of."""

    subdirectory: str | None = None
    sha256: str
    """Of the wheel or archive, or of the canonical tar of a commit's sources."""

    size: int
    """Bytes."""

    @property
    def filename(self) -> str:
        """The name of the file at the address."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])


class SourceMetadata(Protocol):
    """Knows what a source archive or a repository is once it is built."""

    def of(self, source: DirectSource) -> WheelMetadata:
        """Return the metadata of the wheel that ``source`` builds, with its name and version.

        :raises EnvbuildError: it does not build.
        """


def parse_direct(requirement: str) -> DirectReference:
    """Return what a requirement with an address says.  :raises RefusedError: it is not valid."""
    return spelling.parse_direct(requirement)


def fetch_direct(
    reference: DirectReference,
    *,
    index: PythonIndex,
    store: Store,
    git: GitClient,
    known: DirectSource | None = None,
    progress: Progress = SILENT,
) -> DirectSource:
    """Return what is at an address now, with its content in the store.

    ``known`` is what was locked for the same reference: it stands, and is fetched only where it is missing.
    The client's proxy, certificates and credentials count, ``~/.netrc`` and git's helpers among them.

    :raises IntegrityError: it has not the sha256 that the requirement, or ``known``, states.
    :raises NotFoundError: there is no such file, repository or commit.
    :raises NetworkError: the server cannot be reached, or refuses.
    """
    if known and not _answers(known, reference):
        known = None
    if reference.kind == "git":
        return _repository(reference, store=store, git=git, known=known, progress=progress)
    if known:
        return known
    sha256 = reference.sha256
    if sha256 is None or not store.verify(sha256):
        progress.on_stage(f"fetching {without_credentials(reference.url)}")
        sha256 = _download(reference, index, store)
    return _source(reference, sha256, store.place_of(sha256).stat().st_size)


def _answers(known: DirectSource, reference: DirectReference) -> bool:
    """Return whether what is locked is what is asked for."""
    return (
        (known.kind, known.url, known.reference, known.subdirectory)
        == (reference.kind, reference.url, reference.reference, reference.subdirectory)
    ) and reference.sha256 in {None, known.sha256}


def _source(reference: DirectReference, sha256: str, size: int) -> DirectSource:
    return DirectSource(
        name=reference.name,
        extras=reference.extras,
        kind=reference.kind,
        url=reference.url,
        reference=reference.reference,
        subdirectory=reference.subdirectory,
        sha256=sha256,
        size=size,
    )


def _download(reference: DirectReference, index: PythonIndex, store: Store) -> str:
    """Bring the file of an address into the store; return its sha256."""
    shown = without_credentials(reference.url)
    with index.open(reference.url, headers=_AS_STORED) as response:

        def chunks() -> Iterator[bytes]:
            size = 0
            for chunk in response.iter_content(CHUNK):
                size += len(chunk)
                if size > LARGEST_FILE:
                    raise IntegrityError(f"{shown} has more than {LARGEST_FILE} bytes")
                yield chunk

        got = store.add_stream(chunks())
    if reference.sha256 not in {None, got}:
        store.discard(got)
        raise IntegrityError(
            f"{shown} is not what was asked for: sha256 expected {reference.sha256}, got {got}",
            hint="the file was replaced, or the hash is another file's; do not take it before you know why",
        )
    return got


def _repository(
    reference: DirectReference,
    *,
    store: Store,
    git: GitClient,
    known: DirectSource | None,
    progress: Progress,
) -> DirectSource:
    if known and store.holds(known.sha256, known.size):
        return known
    shown = without_credentials(reference.url)
    progress.on_stage(f"fetching {shown}")
    commit = (known.commit if known else None) or git.resolve_reference(reference.url, reference.reference)
    with _workspace(store) as folder:
        tree = git.fetch_source(
            reference.url,
            commit,
            folder,
            subdirectory=reference.subdirectory,
            described=known.described if known else None,
        )
        if known and tree.sha256 != known.sha256:
            raise IntegrityError(
                f"{shown} at {commit} is not what was locked: sha256 expected {known.sha256}, "
                f"got {tree.sha256}"
            )
        store.add_file(tree.path, sha256=tree.sha256)
    for note in tree.notes:
        progress.on_note(note)
    return DirectSource(
        name=reference.name,
        extras=reference.extras,
        kind="git",
        url=reference.url,
        reference=reference.reference,
        commit=commit,
        described=tree.described,
        subdirectory=reference.subdirectory,
        sha256=tree.sha256,
        size=tree.size,
    )


@contextlib.contextmanager
def _workspace(store: Store) -> Iterator[Path]:
    # in the cache rather than in the system's temporary folder: repositories can be gigabytes
    workspaces = STAGED.path(store.folder)
    workspaces.mkdir(parents=True, exist_ok=True)
    with temporary_folder(workspaces) as folder:
        yield folder
