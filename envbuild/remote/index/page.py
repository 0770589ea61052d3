"""Project pages of the simple repository API, as typed files.

JSON (PEP 691, with the fields of PEP 592, 658/714 and 700) is kept as bytes and read for one version at a
time: a page lists thousands of files, and a target needs few.  HTML (PEP 503) is read by pypi_simple.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urldefrag, urljoin

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envbuild.errors import NetworkError
from envbuild.formats.json_text import parse_json
from envbuild.remote.http import without_credentials

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPES = ("application/vnd.pypi.simple.v1+html", "text/html")
ACCEPT = f"{JSON_TYPE}, {HTML_TYPES[0]};q=0.5, {HTML_TYPES[1]};q=0.1"

SOURCE_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
"""Of source archives, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One file an index offers."""

    filename: str
    url: str
    """Absolute, without fragment."""

    sha256: str | None = None
    size: int | None = None
    """Bytes."""

    requires_python: str | None = None

    yanked: str | None = None
    """None when the file is not yanked, else the reason, perhaps empty (PEP 592)."""

    uploaded: datetime | None = None
    """UTC."""

    has_metadata: bool = False
    """Whether the index serves METADATA beside the file (PEP 658)."""

    metadata_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPage:
    """What an index says of one project."""

    project: str
    """Normalised."""

    url: str
    read: Callable[[Callable[[str], bool]], Iterable[IndexFile]]
    """Yield the files whose names pass the test."""

    def version_of(self, filename: str) -> Version | None:
        """Return the version that a file of this project is of; see :func:`version_of_file`."""
        return version_of_file(filename, self.project)

    def files(self, version: str) -> tuple[IndexFile, ...]:
        """Return the files of ``version``, wheels and source archives, in the order of the page."""
        wanted = _canonical(version)
        return tuple(self.read(lambda name: self.version_of(name) == wanted))

    def file(self, filename: str) -> IndexFile | None:
        """Return the file of this name, if the index still has it."""
        return next(iter(self.read(lambda name: name == filename)), None)

    def versions(self) -> set[Version]:
        """Return the versions that any file is of."""
        found: set[Version] = set()

        def note(filename: str) -> bool:
            version = self.version_of(filename)
            if version is not None:
                found.add(version)
            return False

        for _ in self.read(note):
            pass
        return found

    def by_version(self, test: Callable[[str], bool] = lambda _: True) -> dict[Version, list[IndexFile]]:
        """Return the files whose names pass ``test``, by the version they are of."""
        found: dict[Version, list[IndexFile]] = {}
        for file in self.read(test):
            version = self.version_of(file.filename)
            if version is not None:
                found.setdefault(version, []).append(file)
        return found


def parse_page(project: str, *, content: bytes, media_type: str, url: str) -> ProjectPage:
    """Return the page an index answered with.

    :raises NetworkError: it is no page of a Python package index, or of a future version of the API; of JSON
        that shows when files are first asked for.
    """
    kind, _, parameters = media_type.lower().partition(";")
    if kind.strip() == JSON_TYPE:
        return ProjectPage(project=project, url=url, read=_JsonPage(project, content, url))
    if kind.strip() in HTML_TYPES:
        files = tuple(_html_files(project, content, url, parameters))
        return ProjectPage(
            project=project, url=url, read=lambda test: (file for file in files if test(file.filename))
        )
    raise _not_an_index(project, url)


@lru_cache(maxsize=65536)
def version_of_file(filename: str, project: str = "") -> Version | None:
    """Return the version a file name states, or None when it is neither a wheel nor a source archive.

    Names of older source archives can be read in two ways: ``thop-0.1-2207.tar.gz``.  With the normalised
    name of ``project`` all that follows it is the version, and an archive of another name has none.
    """
    if filename.endswith(".whl"):
        parts = filename.split("-")
        return _canonical(parts[1]) if len(parts) in {5, 6} else None
    for suffix in SOURCE_SUFFIXES:
        if filename.endswith(suffix):
            return _version_of_archive(filename.removesuffix(suffix), project)
    return None


def _version_of_archive(stem: str, project: str) -> Version | None:
    if not project:
        return _canonical(stem.rpartition("-")[2])
    parts = stem.split("-")
    for count in range(1, len(parts)):
        if canonicalize_name("-".join(parts[:count])) == project:
            return _canonical("-".join(parts[count:]))
    return None


@lru_cache(maxsize=16384)
def _canonical(version: str) -> Version | None:
    try:
        return Version(version.replace("_", "-"))
    except InvalidVersion:
        return None


class _JsonPage:
    """Files of a JSON page, read from its bytes each time: objects would take ten times the memory."""

    def __init__(self, project: str, content: bytes, url: str) -> None:
        self._project = project
        self._content = content
        self._url = url

    def __call__(self, test: Callable[[str], bool]) -> Iterator[IndexFile]:
        return (self._file(entry) for entry in self._entries() if test(entry["filename"]))

    def _entries(self) -> list[dict[str, Any]]:
        try:
            page = parse_json(self._content)
            major = str(page["meta"]["api-version"]).partition(".")[0]
            entries: list[dict[str, Any]] = page["files"]
        except (ValueError, KeyError, TypeError) as error:
            raise _not_an_index(self._project, self._url) from error
        if major != "1":
            raise NetworkError(
                f"{without_credentials(self._url)} speaks version {major} of the simple API; 1 is understood",
                hint="use a newer envbuild",
            )
        return entries

    def _file(self, entry: Mapping[str, Any]) -> IndexFile:
        yanked = entry.get("yanked", False)
        metadata = entry.get("core-metadata", entry.get("dist-info-metadata", False))
        size = entry.get("size")
        uploaded = entry.get("upload-time")
        return IndexFile(
            filename=entry["filename"],
            url=_absolute(self._url, entry["url"]),
            sha256=(entry.get("hashes") or {}).get("sha256"),
            size=size if isinstance(size, int) and size > 0 else None,
            requires_python=entry.get("requires-python") or None,
            yanked=None if yanked is False else yanked if isinstance(yanked, str) else "",
            uploaded=datetime.fromisoformat(uploaded).astimezone(UTC) if uploaded else None,
            has_metadata=bool(metadata),
            metadata_sha256=metadata.get("sha256") if isinstance(metadata, dict) else None,
        )


def _absolute(page: str, url: str) -> str:
    """Return the address of a file on ``page``, without its fragment; of thousands most are absolute."""
    if url.startswith(("https://", "http://")) and "#" not in url:
        return url
    return urldefrag(urljoin(page, url)).url


def _html_files(project: str, content: bytes, url: str, parameters: str) -> Iterator[IndexFile]:
    # imported here: only old indexes need it, and it takes a third of a second
    from pypi_simple import ProjectPage as HtmlPage  # noqa: PLC0415
    from pypi_simple import UnsupportedRepoVersionError  # noqa: PLC0415

    charset = parameters.partition("charset=")[2].strip(' "') or None
    try:
        page = HtmlPage.from_html(project, content, base_url=url, from_encoding=charset)
    except UnsupportedRepoVersionError as error:
        raise _not_an_index(project, url) from error
    for package in page.packages:
        digests = package.metadata_digests or {}
        yield IndexFile(
            filename=package.filename,
            url=urldefrag(package.url).url,
            sha256=package.digests.get("sha256"),
            requires_python=package.requires_python,
            yanked=(package.yanked_reason or "") if package.is_yanked else None,
            has_metadata=bool(package.has_metadata),
            metadata_sha256=digests.get("sha256"),
        )


def _not_an_index(project: str, url: str) -> NetworkError:
    return NetworkError(
        f"{without_credentials(url)} is not a page of a Python package index (asked for `{project}`)",
        hint="the address must be that of a simple repository API, often ending in /simple",
    )
