"""Data and models of a Hugging Face Hub: a commit, and what its API says of each file.

The API and the addresses: https://huggingface.co/docs/hub/api.  Large files (LFS, Xet) are listed with their
sha256; small ones with the sha1 that git gives them, which is checked when they are received.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from envbuild.data.partial import DataPartial
from envbuild.data.sources import OnPosition, RemoteFile, SourceListing, checked_listing
from envbuild.data.url_source import HttpReceiver
from envbuild.digest import SHA256_HEX
from envbuild.errors import IntegrityError, NetworkError, NotFoundError, UsageError
from envbuild.files.user_folders import home_of
from envbuild.remote.address import Address
from envbuild.remote.attempt import open_answer
from envbuild.remote.http import TIMEOUT_SECONDS, bounded_body, network_errors, open_session, require_success

PUBLIC_HUB: Final = "https://huggingface.co"
LARGEST_ANSWER: Final = 1 << 28
LARGEST_TOKEN: Final = 4096
LARGEST_SMALL_FILE: Final = 1 << 26
"""Bytes of a file that is not in LFS; the Hub itself takes ten megabytes at most."""

RepositoryType = Literal["dataset", "model", "space"]

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HubClient:
    """Which Hub is asked, and by whom: what the Hub's own library takes from the environment."""

    endpoint: str
    token: str | None = None

    def __repr__(self) -> str:
        """Return it without the token."""
        return f"HubClient({self.endpoint!r})"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "HubClient":
        """Return the client of ``HF_ENDPOINT`` and ``HF_TOKEN``, else of the token that a login left.

        :raises UsageError: ``HF_ENDPOINT`` is no address.
        """
        endpoint = (environment.get("HF_ENDPOINT") or PUBLIC_HUB).rstrip("/")
        refusal = UsageError("HF_ENDPOINT is no address of a hub", hint=f"write it as {PUBLIC_HUB}")
        try:
            parts = urlsplit(endpoint)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError as error:
            raise refusal from error
        if not is_address or "@" in parts.netloc or parts.query or parts.fragment:
            raise refusal
        # nobody is to read it on the way
        is_private = parts.scheme == "https" or parts.hostname in _LOOPBACK
        return cls(endpoint=endpoint, token=_token(environment) if is_private else None)

    def address(self, path: str) -> Address:
        """Return the address of a path of the Hub, with the token for this host alone."""
        return Address(url=f"{self.endpoint}/{path}", bearer=self.token)


class HubSource:
    """One revision of a repository of a Hub."""

    def __init__(
        self,
        client: HubClient,
        *,
        repository: str,
        kind: RepositoryType = "dataset",
        revision: str = "main",
        patterns: tuple[str, ...] = (),
    ) -> None:
        """Take ``repository`` as ``owner/name``, and the patterns of the files wanted; none: all."""
        self._client = client
        self._repository = repository
        self._kind = kind
        self._revision = revision
        self._patterns = patterns
        self._receiver = HttpReceiver()

    @property
    def label(self) -> str:
        """What people call it."""
        return f"{self._kind} {self._repository} at {self._revision}"

    def list_files(self) -> SourceListing:
        """Return the commit that the revision names, and its files."""
        where = f"api/{self._kind}s/{self._repository}/revision/{quote(self._revision, safe='')}?blobs=true"
        document = self._document(self._client.address(where))
        try:
            listing = _listing(document, self._patterns)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError(
                f"{self._client.endpoint} does not answer as a hub does", hint="check HF_ENDPOINT"
            ) from error
        if _COMMIT.fullmatch(self._revision) and listing.revision != self._revision:
            raise IntegrityError(f"the hub answered another commit than {self._revision}: {listing.revision}")
        # whatever a branch becomes meanwhile
        self._revision = listing.revision or self._revision
        return checked_listing(listing, label=f"the {self.label}")

    def receive(self, file: RemoteFile, partial: DataPartial, on_position: OnPosition) -> None:
        """Receive a file of the commit."""
        prefix = "" if self._kind == "model" else f"{self._kind}s/"
        where = f"{prefix}{self._repository}/resolve/{quote(self._revision, safe='')}/{quote(file.path)}"
        if file.sha256 is None and (file.size is None or file.size > LARGEST_SMALL_FILE):
            raise IntegrityError(f"the hub lists `{file.path}` without its sha256")
        self._receiver.receive(self._client.address(where), file, partial, on_position)
        if file.sha256 is None and file.validator is not None:
            got = _git_sha1(partial.content())
            if got != file.validator:
                partial.restart()
                raise IntegrityError(
                    f"`{file.path}` of the {self.label} is not what was listed: "
                    f"git sha1 expected {file.validator}, got {got}"
                )

    def cancel(self) -> None:
        """End all downloads."""
        self._receiver.cancel()

    def close(self) -> None:
        """Give up connections."""
        self._receiver.close()

    def _document(self, address: Address) -> Any:
        with open_session() as session, network_errors(address.url):
            response = open_answer(session, address, start=0, timeout=TIMEOUT_SECONDS)
            with response:
                try:
                    require_success(response)
                except NotFoundError as error:
                    raise NotFoundError(
                        f"the hub has no {self.label}", hint=f"check the name; {_login(self._client)}"
                    ) from error
                except NetworkError as error:
                    if response.status_code in {401, 403}:
                        raise NetworkError(
                            f"the hub refused to show {self.label} (HTTP {response.status_code})",
                            hint=f"it may be private, gated or not there: {_login(self._client)}",
                        ) from error
                    raise
                body = bounded_body(response, LARGEST_ANSWER)
        try:
            return json.loads(body or b"")
        except (ValueError, RecursionError) as error:
            raise IntegrityError(
                f"{self._client.endpoint} does not answer as a hub does", hint="check HF_ENDPOINT"
            ) from error


def _listing(document: Any, patterns: tuple[str, ...]) -> SourceListing:
    """Return what an answer of the API says.  :raises ValueError: it is none; and as for wrong types."""
    revision = document["sha"]
    if not _COMMIT.fullmatch(revision):
        raise ValueError(revision)
    files = tuple(
        _file(sibling) for sibling in document["siblings"] if _is_wanted(sibling["rfilename"], patterns)
    )
    card = document.get("cardData") or {}
    said = card.get("license")
    return SourceListing(
        files=files,
        revision=revision,
        license=said if isinstance(said, str) and said.isprintable() and len(said) <= 100 else None,  # noqa: PLR2004
    )


def _file(sibling: Any) -> RemoteFile:
    lfs = sibling.get("lfs")
    size = lfs["size"] if lfs else sibling["size"]
    sha256: Any = lfs["sha256"] if lfs else None
    blob: Any = None if lfs else sibling["blobId"]
    if type(size) is not int or size < 0:
        raise ValueError(size)
    if not (SHA256_HEX.fullmatch(sha256) if lfs else _COMMIT.fullmatch(blob)):
        raise ValueError(sibling)
    name = str(sibling["rfilename"])
    return RemoteFile(path=name, key=name, size=size, sha256=sha256, validator=blob)


def _is_wanted(path: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a file is asked for, as the Hub's own library understands patterns."""
    return not patterns or any(
        fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns
    )


def _git_sha1(content: bytes) -> str:
    """Return what git calls a file (gitformat-objects)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _token(environment: Mapping[str, str]) -> str | None:
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if environment.get(variable, "").strip():
            return _usable(environment[variable])
    try:
        file = _token_file(environment)
        if file.stat().st_size > LARGEST_TOKEN:
            return None
        return _usable(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RuntimeError):
        return None


def _token_file(environment: Mapping[str, str]) -> Path:
    if environment.get("HF_TOKEN_PATH"):
        return Path(environment["HF_TOKEN_PATH"])
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]) / "token"
    cache = environment.get("XDG_CACHE_HOME") or os.fspath(home_of(environment) / ".cache")
    return Path(cache) / "huggingface" / "token"


def _usable(token: str) -> str | None:
    """Return a token that fits a header; None: it does not."""
    text = token.strip()
    return text if text and text.isascii() and text.isprintable() and " " not in text else None


def _login(client: HubClient) -> str:
    if client.token is None:
        return "if it is private, put a token into HF_TOKEN, or run `hf auth login`"
    return "does the token in HF_TOKEN, or of `hf auth login`, have access?"
