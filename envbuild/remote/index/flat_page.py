"""Pages that list files of many projects, as ``pip --find-links`` takes them: HTML, of which the links count.

The file's name is the last part of its address, whatever the text of the link says.  Links to other things
than wheels and source archives, and to other places than web servers, are no files.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qs, unquote, urldefrag, urljoin, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from envbuild.digest import SHA256_HEX
from envbuild.errors import NetworkError
from envbuild.remote.http import without_credentials
from envbuild.remote.index.page import SOURCE_SUFFIXES, IndexFile, ProjectPage, version_of_file

LARGEST_PAGE: Final = 64 << 20
"""Bytes; the longest known ones have some two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatPage:
    """The files that a page lists."""

    url: str
    files: tuple[IndexFile, ...]

    def of(self, project: str) -> ProjectPage:
        """Return what the page has of ``project`` (normalised name), perhaps nothing."""
        own = tuple(file for file in self.files if _is_of(file.filename, project))
        return ProjectPage(
            project=project, url=self.url, read=lambda test: (file for file in own if test(file.filename))
        )


def parse_flat_page(content: bytes, *, media_type: str, url: str) -> FlatPage:
    """Return the files of a page, in its order.

    :raises NetworkError: it is no HTML, or no link of it leads to a wheel or a source archive.
    """
    header = Message()
    header["Content-Type"] = media_type
    if header.get_content_type() in {"text/html", "application/vnd.pypi.simple.v1+html", "text/plain"}:
        reader = _LinkReader()
        reader.feed(_decoded(content, header.get_content_charset()))
        files = tuple(_files(reader, url))
        if files:
            return FlatPage(url=url, files=files)
    raise NetworkError(
        f"{without_credentials(url)} is not a page that lists packages",
        hint="[pip] find-links takes pages with links to wheels; an index belongs in [pip] indexes",
    )


class _LinkReader(HTMLParser):
    """Collects the links of a page, and the address they are relative to."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.links: list[dict[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in one element."""
        attributes = {name: value or "" for name, value in attrs}
        if tag == "base" and not self.base:
            self.base = attributes.get("href", "")
        elif tag == "a" and attributes.get("href"):
            self.links.append(attributes)


def _files(reader: _LinkReader, url: str) -> Iterator[IndexFile]:
    base = _absolute(url, reader.base) or url
    for link in reader.links:
        address = _absolute(base, link["href"])
        if address is None:
            continue
        plain, fragment = urldefrag(address)
        filename = unquote(urlsplit(plain).path.rpartition("/")[2])
        if version_of_file(filename) is None:
            continue
        digest = parse_qs(fragment).get("sha256", [""])[0].lower()
        yield IndexFile(
            filename=filename,
            url=plain,
            sha256=digest if SHA256_HEX.fullmatch(digest) else None,
            requires_python=link.get("data-requires-python") or None,
            yanked=link.get("data-yanked"),
        )


def _absolute(base: str, link: str) -> str | None:
    """Return the address that a link means, or None when no web server has it."""
    try:
        address = urljoin(base, link.strip())
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.netloc else None


def _decoded(content: bytes, charset: str | None) -> str:
    try:
        return content.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return content.decode(errors="replace")


def _is_of(filename: str, project: str) -> bool:
    if filename.endswith(".whl"):
        try:
            return parse_wheel_filename(filename)[0] == project
        except InvalidWheelFilename:
            return False
    suffix = next(suffix for suffix in SOURCE_SUFFIXES if filename.endswith(suffix))
    return canonicalize_name(filename.removesuffix(suffix).rpartition("-")[0]) == project
