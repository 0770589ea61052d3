"""An index on loopback in which a release that has only a source looks like one that has a wheel.

uv resolves against it with wheels only, and so never runs a project's code: each release that the target can
have, from a wheel or from a source, is one wheel here, with its metadata beside it (PEP 658).  What uv
decides is then what it would decide if it built sources itself.
"""

import contextlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import quote, unquote

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from envbuild.errors import NotFoundError
from envbuild.formats.core_metadata import WheelMetadata
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import DEFAULT_INDEX, IndexAddress
from envbuild.remote.index.metadata import MetadataReader
from envbuild.remote.index.page import (
    JSON_TYPE,
    SOURCE_SUFFIXES,
    IndexFile,
    ProjectPage,
    version_of_file,
)
from envbuild.resolve.python.backend import Pin, Question
from envbuild.resolve.python.files import choose_file, may_fit, python_allowed, too_new
from envbuild.resolve.sources.release import SourceRelease
from envbuild.resolve.sources.turns import Turns

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*")
"""What a lock takes for the name of a file; an index can write anything."""

SHUTDOWN_SECONDS: Final = 0.01
"""How long the server may take to notice that nobody will ask any more."""

_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']+)["']""")

SourceMetadata = Callable[[SourceRelease], WheelMetadata]
"""Returns the metadata that a wheel of a source has."""


def choose_source(
    files: list[IndexFile], question: Question, *, any_python: bool = False
) -> IndexFile | None:
    """Return the source archive of one release that may be built for the target, or None."""
    fitting = [
        file
        for file in files
        if file.filename.endswith(SOURCE_SUFFIXES)
        and (any_python or python_allowed(file.requires_python, question.target))
        and _NAME.fullmatch(file.filename)
        and not too_new(file, question.snapshot)
    ]
    return min(fitting, key=_order, default=None)


def _order(file: IndexFile) -> tuple[bool, int, str]:
    place = next(place for place, suffix in enumerate(SOURCE_SUFFIXES) if file.filename.endswith(suffix))
    return file.yanked is not None, place, file.filename


def _any_wheel(files: list[IndexFile], question: Question) -> IndexFile | None:
    """Return a wheel of a release that has none for the target: uv says itself what is wrong with it.

    One that the target could load but for its Python comes first.
    """
    wheels = [
        file for file in files if file.filename.endswith(".whl") and not too_new(file, question.snapshot)
    ]
    return min(
        wheels,
        key=lambda file: (not may_fit(file.filename, question.target), file.filename),
        default=None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedRelease:
    """One release as this index shows it."""

    file: IndexFile
    source: SourceRelease | None
    """None: ``file`` is a wheel."""


@dataclass(kw_only=True)
class SourceIndex:
    """Serves the pages of one question while it is entered, on a port of loopback."""

    question: Question
    index: PythonIndex
    wheels: MetadataReader
    sources: SourceMetadata
    keep: Mapping[NormalizedName, str] = field(default_factory=dict)
    """The file of each distribution that is locked already: it stays chosen while it fits."""

    turns: Turns = field(default_factory=Turns, init=False)
    """Who builds what is asked for: the thread that waits for uv, in :meth:`Turns.during`."""

    failures: list[Exception] = field(default_factory=list, init=False)
    """What went wrong while uv was answered; it only hears that something did."""

    _read: dict[str, WheelMetadata] = field(default_factory=dict, init=False)
    """Metadata of wheels that were asked for, by file name."""

    _offers: dict[tuple[str, str], dict[str, OfferedRelease]] = field(default_factory=dict, init=False)
    _lock: Any = field(default_factory=threading.Lock, init=False)
    _server: ThreadingHTTPServer | None = field(default=None, init=False)
    # whoever else is on this machine does not know it
    _secret: str = field(default_factory=lambda: secrets.token_hex(16), init=False)

    def __enter__(self) -> Self:
        handler = type("SourceIndexHandler", (_SourceIndexHandler,), {"owner": self})
        self._server = _SourceIndexServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(SHUTDOWN_SECONDS,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def asked_here(self) -> Question:
        """Return the question with every index of it at this address."""
        return replace(
            self.question,
            default=self._address(DEFAULT_INDEX),
            # pages too are served as indexes: each has what is bound to it alone
            indexes=tuple(
                self._address(address.name) for address in (*self.question.indexes, *self.question.pages)
            ),
            pages=(),
        )

    def source_of(self, pin: Pin) -> SourceRelease | None:
        """Return the source of a release that was chosen; None: it has a wheel."""
        offers = self._offers_of(self.question.index_of(pin.name), pin.name)
        return next((offer.source for offer in offers.values() if _is_of(offer, pin)), None)

    def wheel_of(self, pin: Pin) -> tuple[IndexFile, WheelMetadata | None] | None:
        """Return the wheel of a release that was chosen, and its metadata if it was read; None: a source."""
        for offer in self._offers_of(self.question.index_of(pin.name), pin.name).values():
            if offer.source is None and version_of_file(offer.file.filename) == Version(pin.version):
                return offer.file, self._read.get(offer.file.filename)
        return None

    # --- answers ------------------------------------------------------------------------------------

    def answer(self, path: str) -> tuple[str, bytes]:
        """Return media type and body of what is at ``path``.

        :raises NotFoundError: there is nothing.
        :raises EnvbuildError: it cannot be had.
        """
        match [unquote(part) for part in path.strip("/").split("/")]:
            case [secret, "pages", index, project] if secret == self._secret:
                return JSON_TYPE, self._page(index, canonicalize_name(project))
            case [secret, "files", index, project, name] if secret == self._secret:
                return "text/plain", self._metadata(index, canonicalize_name(project), name)
        raise NotFoundError("there is no such page")

    def _page(self, index: str, project: NormalizedName) -> bytes:
        offers = self._offers_of(index, project)
        files = [self._entry(index, project, name, offer) for name, offer in sorted(offers.items())]
        return json.dumps({"meta": {"api-version": "1.1"}, "name": project, "files": files}).encode()

    def _entry(self, index: str, project: str, name: str, offer: OfferedRelease) -> Mapping[str, Any]:
        file = offer.file
        known = offer.source is not None or file.sha256 is not None
        return {
            "filename": name,
            "url": self._url("files", index, project, name)
            if known
            else self.index.download_url(file, index),
            "hashes": {"sha256": file.sha256} if file.sha256 and offer.source is None else {},
            "requires-python": file.requires_python,
            "yanked": file.yanked or file.yanked is not None,
            "core-metadata": known,
            **({"upload-time": file.uploaded.isoformat()} if file.uploaded else {}),
            **({"size": file.size} if file.size else {}),
        }

    def _metadata(self, index: str, project: NormalizedName, name: str) -> bytes:
        offer = self._offers_of(index, project).get(name.removesuffix(".metadata"))
        if offer is None or not name.endswith(".metadata"):
            raise NotFoundError("there is no such file")
        if offer.source is None:
            found = self._read[offer.file.filename] = self.wheels.read(project, offer.file, index)
        else:
            source = offer.source
            found = self.turns.do(lambda: self.sources(source))
        version = name.split("-")[1]
        return _metadata_text(project, version, found)

    def _offers_of(self, index: str, project: NormalizedName) -> dict[str, OfferedRelease]:
        key = (index, project)
        with self._lock:
            known = self._offers.get(key)
        if known is None:
            known = dict(self._offers_on(self.index.page(project, index), index, project))
            with self._lock:
                self._offers[key] = known
        return known

    def _offers_on(
        self, page: ProjectPage, index: str, project: NormalizedName
    ) -> Iterator[tuple[str, OfferedRelease]]:
        """Yield one file for each release, by the name uv sees.

        Also of releases that will not do: where uv goes back, its answer depends on what stood in its way.
        """
        question = self.question
        others: dict[Version | None, str] = {}

        def may_do(filename: str) -> bool:
            if may_fit(filename, question.target) or filename.endswith(SOURCE_SUFFIXES):
                return True
            others.setdefault(version_of_file(filename), filename)
            return False

        releases = page.by_version(may_do)
        left = {name for version, name in others.items() if version not in releases}
        for version, files in (
            *releases.items(),
            *(page.by_version(left.__contains__).items() if left else ()),
        ):
            wheel = choose_file(
                files, question.target, snapshot=question.snapshot, keep=self.keep.get(project)
            )
            archive = None if wheel else choose_source(files, question, any_python=True)
            if archive is not None:
                release = SourceRelease(name=project, version=str(version), file=archive, index=index)
                name = f"{project.replace('-', '_')}-{version}-py3-none-any.whl"
                yield name, OfferedRelease(file=archive, source=release)
            elif (shown := wheel or _any_wheel(files, question)) is not None:
                yield shown.filename, OfferedRelease(file=shown, source=None)

    def _address(self, name: str) -> IndexAddress:
        return IndexAddress(name=name, url=self._url("pages", name))

    def _url(self, *parts: str) -> str:
        if self._server is None:
            raise ValueError("the index is not entered")
        path = "/".join(quote(part) for part in (self._secret, *parts))
        return f"http://127.0.0.1:{self._server.server_port}/{path}"


class _SourceIndexServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: uv hung up, and says itself why."""


class _SourceIndexHandler(BaseHTTPRequestHandler):
    """Answers one request; the index says what."""

    owner: SourceIndex
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send what is at the path, or the status that keeps uv from asking again."""
        try:
            media_type, body = self.owner.answer(self.path)
        except NotFoundError:
            self._send(404)
        except Exception as error:  # noqa: BLE001 - it is raised where uv's answer is waited for
            self.owner.failures.append(error)
            # of a server's own errors uv asks again and again
            self._send(400)
        else:
            self._send(200, media_type, body)

    def _send(self, status: int, media_type: str = "text/plain", body: bytes = b"") -> None:
        # uv may have ended meanwhile
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""


def _is_of(offer: OfferedRelease, pin: Pin) -> bool:
    source = offer.source
    return (
        source is not None and source.version is not None and Version(source.version) == Version(pin.version)
    )


def _metadata_text(project: str, version: str, metadata: WheelMetadata) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {project}", f"Version: {version}"]
    if metadata.requires_python:
        lines.append(f"Requires-Python: {metadata.requires_python}")
    extras = {extra for line in metadata.requires for extra in _EXTRA.findall(line)}
    lines += [f"Provides-Extra: {extra}" for extra in sorted(extras)]
    lines += [f"Requires-Dist: {line}" for line in metadata.requires]
    return "\n".join([*lines, ""]).encode()
