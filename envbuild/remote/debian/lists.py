"""Package lists, fetched as ``apt-get update`` does, into a folder that apt reads as its own.

Nothing is kept that no signature vouches for: the signature proves the Release file, and that has size and
SHA-256 of each list.
"""

import bz2
import hashlib
import lzma
import os
import tempfile
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO, BinaryIO, Final, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import requests
import zstandard
from requests.auth import HTTPBasicAuth

from envbuild.catalog.distributions import archive_of_suite, family_of_archive
from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.formats.apt_sources_list import AptSource
from envbuild.formats.compression import LARGEST_WINDOW
from envbuild.formats.deb822 import stanzas
from envbuild.parallel import run_all
from envbuild.progress import SILENT, ByteCounter, Progress
from envbuild.remote.address import Address
from envbuild.remote.attempt import ExpectedFile
from envbuild.remote.debian.list_names import list_name, release_address
from envbuild.remote.debian.release import (
    LARGEST_LIST,
    ListedFile,
    ReleaseFile,
    parse_release,
    require_current,
)
from envbuild.remote.debian.signature import ArchiveKeys, ReleaseSignatureError, message_text
from envbuild.remote.download import Downloader
from envbuild.remote.http import (
    TIMEOUT_SECONDS,
    bounded_body,
    network_errors,
    open_session,
    require_success,
)

LARGEST_RELEASE: Final = 1 << 24
"""Bytes of a Release file; those of the largest archives have 1 MB."""

LARGEST_LZMA_MEMORY: Final = 1 << 28

WORKERS: Final = 4
"""Suites, and then lists, fetched at once."""

_PACKINGS: Final = (".xz", ".zst", ".gz", ".bz2", "")
"""Endings of a list, best first."""

_SIGNED, _PLAIN, _SIGNATURES = "InRelease", "Release", "Release.gpg"


class ListMismatchError(IntegrityError):
    """A package list is not the one that the archive signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSource:
    """One source of package lists, and the keys that may sign it."""

    source: AptSource
    """Its addresses, suites and components; other types than ``deb`` are passed over."""

    keys: ArchiveKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suite:
    """One suite of one archive at one address."""

    uri: str
    suite: str
    source: AptSource
    keys: ArchiveKeys

    def name(self, path: str) -> str:
        return list_name(release_address(self.uri, self.suite) + path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A Release file that was checked, and the files it came as, by name: one, or two with its signatures."""

    release: ReleaseFile
    files: Mapping[str, bytes]
    modified: float | None = None
    """When the server says it was last changed, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A list that is to be fetched."""

    suite: _Suite
    packed: ListedFile
    plain: ListedFile | None
    """Of the list itself, where the Release file has it."""

    path: str
    """Of the list itself, below the folder of the Release file."""

    by_hash: bool


def fetch_lists(
    sources: Sequence[ListSource],
    folder: Path,
    *,
    architecture: str,
    now: datetime | None = None,
    progress: Progress = SILENT,
) -> None:
    """Bring the package lists of ``sources`` in ``folder`` up to date.

    Release files are always asked for; lists only where they changed.  A Release file older than the one that
    is here is passed over, as by apt.

    :raises ReleaseSignatureError: a Release file is not signed by a key of its source, and the source does
        not say to trust it.
    :raises ReleaseDateError: one is expired, or dated to a time to come.
    :raises ListMismatchError: a list is not what its Release file says.
    :raises IntegrityError: a Release file cannot be read.
    :raises NotFoundError: there is no Release file at an address.
    :raises NetworkError: an address cannot be reached.
    :raises OSError: ``folder`` cannot be written.
    """
    moment = now or datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    suites = [
        _Suite(uri=uri, suite=suite, source=entry.source, keys=entry.keys)
        for entry in sources
        if entry.source.is_binary
        for uri in entry.source.uris
        for suite in entry.source.suites
    ]
    found: dict[int, tuple[_Signed, _Signed | None]] = {}
    session = open_session()

    def ask(number: int) -> None:
        kept = _kept(suites[number], folder)
        found[number] = (_signed(session, suites[number], kept, folder, moment), kept)

    with session:
        run_all(ask, range(len(suites)), workers=WORKERS)
    wanted = [
        item
        for number, (signed, kept) in sorted(found.items())
        for item in _lacking(suites[number], signed, kept, folder, architecture)
    ]
    _fetch_all(wanted, folder, progress)
    for number, (signed, _) in sorted(found.items()):
        _keep(suites[number], signed, folder)


def kept_release(uri: str, suite: str, folder: Path, keys: ArchiveKeys) -> ReleaseFile | None:
    """Return the Release file of a suite in ``folder``, if one of ``keys`` signed it."""
    source = AptSource(uris=(uri,), suites=(suite,))
    found = _kept(_Suite(uri=uri, suite=suite, source=source, keys=keys), folder)
    return found.release if found else None


def _kept(suite: _Suite, folder: Path) -> _Signed | None:
    """Return the Release file of an earlier time, if it is whole and signed."""
    for names in ((_SIGNED,), (_PLAIN, _SIGNATURES), (_PLAIN,)):
        with suppress(OSError, IntegrityError):
            files = {name: (folder / suite.name(name)).read_bytes() for name in names}
            return _checked(suite, files)
    return None


def _signed(
    session: requests.Session, suite: _Suite, kept: _Signed | None, folder: Path, now: datetime
) -> _Signed:
    """Return the Release file that holds now: the one that was kept, or a newer one."""
    since = None
    if kept is not None and _SIGNED in kept.files:
        since = (folder / suite.name(_SIGNED)).stat().st_mtime
    try:
        answer = _get(session, suite, _SIGNED, since=since)
    except NotFoundError:
        content, modified = _get(session, suite, _PLAIN) or (b"", None)
        files = {_PLAIN: content}
        with suppress(NotFoundError):
            files[_SIGNATURES] = (_get(session, suite, _SIGNATURES) or (b"", None))[0]
        signed = replace(_checked(suite, files), modified=modified)
    else:
        if answer is None:
            if kept is None:
                raise ValueError("a server cannot say that what is not here has not changed")
            signed = kept
        elif kept is not None and kept.files.get(_SIGNED) == answer[0]:
            signed = replace(kept, modified=answer[1])
        else:
            signed = replace(_checked(suite, {_SIGNED: answer[0]}), modified=answer[1])
    if kept is not None and signed.release.date < kept.release.date:
        signed = kept
    require_current(signed.release, dict(suite.source.options), now=now)
    return signed


def _checked(suite: _Suite, files: Mapping[str, bytes]) -> _Signed:
    """Return a Release file after its signature and name were checked.

    :raises ReleaseSignatureError, IntegrityError: see :func:`fetch_lists`.
    """
    try:
        text = _verified(suite.keys, files)
    except ReleaseSignatureError as error:
        if suite.source.trusted is not True:
            address = _shown(suite, _SIGNED if _SIGNED in files else _PLAIN)
            raise ReleaseSignatureError(f"{address}: {error.message}") from error
        text = message_text(files[_SIGNED]) if _SIGNED in files else files[_PLAIN]
    written = text.decode(errors="replace")
    release = parse_release(written)
    _require_name(suite, release, written)
    return _Signed(release=release, files=files)


def _verified(keys: ArchiveKeys, files: Mapping[str, bytes]) -> bytes:
    if _SIGNED in files:
        return keys.verified_message(files[_SIGNED])
    if _SIGNATURES in files:
        return keys.verified_detached(files[_PLAIN], files[_SIGNATURES])
    raise ReleaseSignatureError("it is not signed")


def _require_name(suite: _Suite, release: ReleaseFile, text: str) -> None:
    """Raise if a distribution's own Release file is of another suite: its keys sign all of them.

    Others call their suites what they like.
    """
    archive = archive_of_suite(suite.suite)
    family = family_of_archive(archive) if archive else None
    if archive is None or family is None:
        return
    label = next((fields["Label"] for fields in stanzas(text) if "Label" in fields), "")
    name = suite.suite.removesuffix("/updates")
    if label in family.archives[archive].labels and name not in release.names:
        names = " and ".join(f"`{name}`" for name in sorted(release.names)) or "no suite"
        raise ReleaseSignatureError(f"{_shown(suite, _SIGNED)}: it is of {names}, not of `{suite.suite}`")


def _lacking(
    suite: _Suite, signed: _Signed, kept: _Signed | None, folder: Path, architecture: str
) -> Iterator[_Wanted]:
    """Yield the lists of a suite that are not in ``folder`` as its Release file has them."""
    release = signed.release
    for path in _list_paths(suite, release, architecture):
        packed = next(
            (release.files[f"{path}{end}"] for end in _PACKINGS if f"{path}{end}" in release.files), None
        )
        if packed is None:
            # the archive has nothing for this architecture in this component, as apt notes, too
            continue
        plain = release.files.get(path)
        before = kept.release.files.get(packed.path) if kept else None
        place = folder / suite.name(path)
        if before == packed and place.is_file() and (plain is None or place.stat().st_size == plain.size):
            continue
        yield _Wanted(suite=suite, packed=packed, plain=plain, path=path, by_hash=release.has_hash_names)


def _list_paths(suite: _Suite, release: ReleaseFile, architecture: str) -> Iterator[str]:
    if suite.suite.endswith("/"):
        yield "Packages"
        return
    architectures = [architecture, *(["all"] if release.lists_of_all else [])]
    for component in suite.source.components:
        for name in architectures:
            yield f"{component}/binary-{name}/Packages"


def _fetch_all(wanted: Sequence[_Wanted], folder: Path, progress: Progress) -> None:
    counter = ByteCounter(progress, sum(item.packed.size for item in wanted))
    if not wanted:
        return
    with Downloader() as downloader:
        run_all(
            partial(_fetch, downloader=downloader, folder=folder, counter=counter),
            sorted(wanted, key=lambda item: (-item.packed.size, item.path)),
            workers=WORKERS,
            on_stop=downloader.cancel,
        )


def _fetch(item: _Wanted, *, downloader: Downloader, folder: Path, counter: ByteCounter) -> None:
    """Fetch a list, check it, and write it to its place without compression."""
    base = release_address(item.suite.uri, item.suite.suite)
    places = [item.packed.path]
    if item.by_hash:
        parent, slash, _ = item.packed.path.rpartition("/")
        places.insert(0, f"{parent}{slash}by-hash/SHA256/{item.packed.sha256}")
    expected = ExpectedFile(name=item.packed.path, size=item.packed.size, sha256=item.packed.sha256)
    with tempfile.TemporaryFile(dir=folder) as stream:
        sink = _Sink(stream)
        position = 0

        def moved(to: int) -> None:
            nonlocal position
            counter.add(to - position)
            position = to

        for number, place in enumerate(places):
            try:
                downloader.download(Address.of(base + place), sink, expected, on_position=moved)
                break
            except NotFoundError:
                if number == len(places) - 1:
                    raise
            except IntegrityError as error:
                if number == len(places) - 1:
                    raise ListMismatchError(error.message) from error
        stream.seek(0)
        _unpack(stream, item, folder)


def _unpack(stream: BinaryIO, item: _Wanted, folder: Path) -> None:
    """Write a fetched list to its place.  :raises ListMismatchError: it is not what its Release file says."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as written:
        temporary = Path(written.name)
        try:
            is_listed = _copy(stream, written, item)
            written.flush()
            if is_listed:
                temporary.chmod(0o644)
                temporary.replace(folder / item.suite.name(item.path))
        except (lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError):
            is_listed = False
        finally:
            temporary.unlink(missing_ok=True)
    if not is_listed:
        raise ListMismatchError(f"{_shown(item.suite, item.packed.path)} is not what the Release file says")


def _copy(stream: BinaryIO, written: IO[bytes], item: _Wanted) -> bool:
    """Unpack a list, and return whether it is what its Release file says."""
    limit = item.plain.size if item.plain else LARGEST_LIST
    digest, size = hashlib.sha256(), 0
    for chunk in _unpacked(stream, item.packed.path):
        size += len(chunk)
        if size > limit:
            return False
        digest.update(chunk)
        written.write(chunk)
    return item.plain is None or digest.hexdigest() == item.plain.sha256


class _Unpacker(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _unpacked(stream: BinaryIO, path: str) -> Iterator[bytes]:
    """Yield a file's content a piece at a time; a piece grows to what 64 KB packed can hold at most."""
    ending = next(end for end in _PACKINGS if path.endswith(end))
    if ending == ".xz":
        yield from _pieces(stream, lzma.LZMADecompressor(memlimit=LARGEST_LZMA_MEMORY))
    elif ending == ".bz2":
        yield from _pieces(stream, bz2.BZ2Decompressor())
    elif ending == ".gz":
        yield from _pieces(stream, zlib.decompressobj(31))
    elif ending == ".zst":
        yield from zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).read_to_iter(stream)
    else:
        while chunk := stream.read(1 << 18):
            yield chunk


def _pieces(stream: BinaryIO, unpacker: _Unpacker) -> Iterator[bytes]:
    while chunk := stream.read(1 << 14):
        yield unpacker.decompress(chunk)


class _Sink:
    """Where a download goes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.restart()

    @property
    def position(self) -> int:
        return self._position

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def append(self, data: bytes) -> None:
        self._stream.write(data)
        self._digest.update(data)
        self._position += len(data)

    def restart(self) -> None:
        self._stream.seek(0)
        self._stream.truncate()
        self._digest = hashlib.sha256()
        self._position = 0


def _keep(suite: _Suite, signed: _Signed, folder: Path) -> None:
    """Write a Release file beside its lists, last: it says that they are there."""
    for name, content in signed.files.items():
        place = folder / suite.name(name)
        if not place.is_file() or place.read_bytes() != content:
            temporary = place.with_name(f".{threading.get_ident()}-{place.name}"[:200])
            temporary.write_bytes(content)
            temporary.replace(place)
        if signed.modified is not None:
            os.utime(place, (signed.modified, signed.modified))
    for name in {_SIGNED, _PLAIN, _SIGNATURES} - signed.files.keys():
        (folder / suite.name(name)).unlink(missing_ok=True)


def _get(
    session: requests.Session, suite: _Suite, name: str, *, since: float | None = None
) -> tuple[bytes, float | None] | None:
    """Return a small file and when it was last changed; None: not since ``since``.

    :raises NotFoundError, NetworkError, IntegrityError: it is not there; no answer; it is too large.
    """
    address = Address.of(release_address(suite.uri, suite.suite) + name)
    parts = urlsplit(address.url)
    if parts.scheme == "file":
        return _read(Path(url2pathname(parts.path)), address), None
    if parts.scheme not in {"http", "https"}:
        raise NetworkError(
            f"`{parts.scheme}:` addresses of archives are read by apt on this machine alone",
            hint="name a mirror by http, https or file",
        )
    headers = {"If-Modified-Since": formatdate(since, usegmt=True)} if since is not None else {}
    login = address.credentials
    with (
        network_errors(address.url),
        session.get(
            address.url,
            headers=headers,
            auth=HTTPBasicAuth(login.username.encode(), login.password.encode()) if login else None,
            timeout=TIMEOUT_SECONDS,
            stream=True,
        ) as answer,
    ):
        if answer.status_code == HTTPStatus.NOT_MODIFIED and since is not None:
            return None
        require_success(answer)
        content = bounded_body(answer, LARGEST_RELEASE)
        if content is None:
            raise IntegrityError(f"{address} has more than {LARGEST_RELEASE} bytes")
        changed = None
        with suppress(ValueError):
            changed = parsedate_to_datetime(answer.headers.get("Last-Modified", "")).timestamp()
        return content, changed


def _read(path: Path, address: Address) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_RELEASE + 1)
    except FileNotFoundError as error:
        raise NotFoundError(f"{unquote(str(address))} does not exist") from error
    except OSError as error:
        raise NetworkError(f"cannot read {address}: {(error.strerror or str(error)).lower()}") from error
    if len(content) > LARGEST_RELEASE:
        raise IntegrityError(f"{address} has more than {LARGEST_RELEASE} bytes")
    return content


def _shown(suite: _Suite, path: str) -> str:
    return str(Address.of(release_address(suite.uri, suite.suite) + path))
