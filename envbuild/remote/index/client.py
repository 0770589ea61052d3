"""Client of Python package indexes: project pages, fetched in parallel and kept, and the files they name."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from pathlib import Path
from threading import Lock
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

import requests
from requests.auth import HTTPBasicAuth

from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.parallel import DaemonPool
from envbuild.remote.address import Address
from envbuild.remote.http import (
    RETRIES,
    TIMEOUT_SECONDS,
    bounded_body,
    ca_bundle,
    network_errors,
    open_session,
    require_success,
    without_credentials,
)
from envbuild.remote.index.configuration import (
    DEFAULT_INDEX,
    ClientConfiguration,
    IndexAddress,
    IndexCredentials,
    read_client_configuration,
)
from envbuild.remote.index.flat_page import LARGEST_PAGE, FlatPage, parse_flat_page
from envbuild.remote.index.page import ACCEPT, IndexFile, ProjectPage, parse_page
from envbuild.remote.index.target_file import TargetFile

THREADS = 16
"""Requests under way at once."""

BODY_ATTEMPTS = 3
"""How often a page is asked for when connections break in the middle of it."""


@dataclass(slots=True)
class _Shared:
    """What all views of one client have in common."""

    configuration: ClientConfiguration
    session: requests.Session
    background: DaemonPool
    lock: Lock = dataclass_field(default_factory=Lock)
    pages: dict[str, Future[ProjectPage]] = dataclass_field(default_factory=dict)
    """Project pages by address, fetched or under way."""

    flat: dict[str, Future[FlatPage]] = dataclass_field(default_factory=dict)
    """Pages of many projects by address, fetched or under way."""

    noted: bool = False


class PythonIndex:
    """Reads the main index of this machine, and the named indexes and pages of a spec.

    Each page is fetched once in the life of the client, whoever asks; also by :meth:`bound_to`.
    """

    def __init__(
        self,
        configuration: ClientConfiguration,
        *,
        indexes: Mapping[str, str] | None = None,
        pages: Mapping[str, str] | None = None,
        retries: int = RETRIES,
        shared: _Shared | None = None,
    ) -> None:
        session = shared.session if shared else _session(configuration, retries)
        self._shared = shared or _Shared(configuration, session, DaemonPool(THREADS))
        self._indexes = dict(indexes or {})
        self._pages = dict(pages or {})
        self._addresses: dict[str, IndexAddress] = {}

    @classmethod
    def of_this_machine(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return a client of the indexes this machine is configured for."""
        return cls(read_client_configuration(environment))

    @property
    def configuration(self) -> ClientConfiguration:
        """The settings this client follows."""
        return self._shared.configuration

    @property
    def background(self) -> DaemonPool:
        """The threads of this client; what runs there may use it, but not wait for a page."""
        return self._shared.background

    def bound_to(self, indexes: Mapping[str, str], pages: Mapping[str, str] | None = None) -> "PythonIndex":
        """Return a client that also knows these named indexes and pages of a spec.

        It shares connections and what was read.
        """
        return PythonIndex(self.configuration, indexes=indexes, pages=pages, shared=self._shared)

    def address(self, index: str = DEFAULT_INDEX) -> IndexAddress:
        """Return where ``index`` is.  :raises EnvbuildError: nothing says so."""
        if index not in self._addresses:
            page = self._pages.get(index)
            address = self.configuration.address(index, page or self._indexes.get(index))
            if page and page.endswith("/"):
                # what a page names is relative to it
                address = replace(address, url=f"{address.url}/")
            self._addresses[index] = address
        return self._addresses[index]

    def files_address(self, index: str = DEFAULT_INDEX) -> str:
        """Return the address below which an index, or the server of a page, has its files."""
        url = self.address(index).url
        return urljoin(url, ".") if index in self._pages else url

    def notes_once(self) -> tuple[str, ...]:
        """Return what the user should know of the machine's settings; nothing when asked again."""
        with self._shared.lock:
            noted, self._shared.noted = self._shared.noted, True
        if noted or not self.configuration.ignored:
            return ()
        settings = ", ".join(self.configuration.ignored)
        note = (
            f"{settings} of this machine's pip and uv settings not used, so that every machine locks the same"
        )
        return (f"{note}; name further indexes in [pip] indexes",)

    def prefetch(self, projects: Iterable[str], index: str = DEFAULT_INDEX) -> None:
        """Start to fetch pages that will be asked for; what goes wrong shows when they are."""
        # in the background as a whole: even learning the address can take a moment
        self.background.submit(lambda: [self.start(project, index) for project in projects])

    def start(self, project: str, index: str = DEFAULT_INDEX) -> Future[ProjectPage]:
        """Start to fetch a page and return its future; :meth:`page` tells better what went wrong."""
        return self._start(project, self.address(index))

    def page(self, project: str, index: str = DEFAULT_INDEX) -> ProjectPage:
        """Return what ``index`` says of ``project`` (normalised name).

        :raises NotFoundError: the index does not know the project.
        :raises NetworkError: the index cannot be reached, refuses, or is none.
        """
        address = self.address(index)
        future = self._start(project, address)
        try:
            return future.result()
        except NotFoundError as error:
            if index in self._pages:
                raise
            raise NotFoundError(
                f"`{project}` is not on the index {address.url}",
                hint="check the spelling, and which index it should come from",
            ) from error
        except NetworkError:
            self._forget(project, address)
            raise

    def locate(self, project: str, filename: str, index: str = DEFAULT_INDEX) -> IndexFile:
        """Return where a locked file is now; whether its hash is still the same is for the caller to see.

        :raises NotFoundError: the index no longer has the project or the file.
        :raises NetworkError: the index cannot be reached.
        """
        file = self.page(project, index).file(filename)
        if file is None:
            raise NotFoundError(
                f"`{filename}` is not on the {'page' if index in self._pages else 'index'} "
                f"{self.address(index).url} any more",
                hint="a mirror that kept the file can serve it; locking again would choose another",
            )
        return file

    def download_url(self, file: IndexFile, index: str = DEFAULT_INDEX) -> str:
        """Return the address of ``file`` with the credentials it takes.  Never log it."""
        credentials = self.credentials_for(file.url, index)
        return IndexAddress(name=index, url=file.url, credentials=credentials).url_with_credentials

    def file_address(self, url: str, index: str = DEFAULT_INDEX) -> Address:
        """Return the address of a file of ``index`` with all that it takes to fetch it from here."""
        plain, configuration = Address.of(url), self.configuration
        return Address(
            url=plain.url,
            credentials=plain.credentials or self.credentials_for(plain.url, index),
            proxy=configuration.proxy,
            ca_bundle=configuration.ca_bundle,
            client_certificate=configuration.client_certificate,
            is_trusted=self._is_trusted(plain.url),
        )

    def credentials_for(self, url: str, index: str = DEFAULT_INDEX) -> IndexCredentials | None:
        """Return the credentials to send to ``url``: those of the index, on its own host only."""
        address = self.address(index)
        return address.credentials if urlsplit(url).netloc == urlsplit(address.url).netloc else None

    @contextmanager
    def open(
        self,
        url: str,
        *,
        index: str = DEFAULT_INDEX,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[requests.Response]:
        """Ask for ``url`` with the credentials of ``index`` and yield the answer, its body not yet read.

        :raises NotFoundError: there is no such thing.
        :raises NetworkError: also when reading the body fails inside the ``with`` block.
        """
        credentials = self.credentials_for(url, index)
        # as UTF-8: the library's own choice is Latin-1
        auth = (
            HTTPBasicAuth(credentials.username.encode(), credentials.password.encode())
            if credentials
            else None
        )
        with (
            network_errors(url),
            self._shared.session.request(
                method,
                url,
                headers=dict(headers or {}),
                auth=auth,
                stream=True,
                verify=self._verify(url),
                timeout=TIMEOUT_SECONDS,
            ) as response,
        ):
            yield require_success(response)

    def size(self, file: IndexFile, index: str = DEFAULT_INDEX) -> int:
        """Return the size of ``file`` in bytes, asking the server when the index does not say.

        :raises NetworkError: the server does not say either.
        """
        if file.size is not None:
            return file.size
        with self.open(file.url, index=index, method="HEAD", headers=_AS_STORED) as response:
            length = response.headers.get("Content-Length", "")
        if not length.isdecimal() or length == "0":
            raise NetworkError(f"neither the index nor its server says how large `{file.filename}` is")
        return int(length)

    def download(self, file: IndexFile, path: Path, index: str = DEFAULT_INDEX) -> tuple[str, int]:
        """Write ``file`` to ``path`` and return its sha256 and its size in bytes."""
        digest = hashlib.sha256()
        size = 0
        with TargetFile(path) as target, self.open(file.url, index=index, headers=_AS_STORED) as response:
            for chunk in response.iter_content(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
        return digest.hexdigest(), size

    def close(self) -> None:
        """Give back threads and connections."""
        self._shared.background.close()
        self._shared.session.close()

    def _start(self, project: str, address: IndexAddress) -> Future[ProjectPage]:
        url = self._url_of(project, address)
        with self._shared.lock:
            future = self._shared.pages.get(url)
            if future is None:
                future = (
                    self._start_flat(project, address)
                    if address.name in self._pages
                    else self._shared.background.submit(self._fetch, project, url, address.name)
                )
                self._shared.pages[url] = future
        return future

    def _start_flat(self, project: str, address: IndexAddress) -> Future[ProjectPage]:
        """Start to fetch a page of many projects, once for all of them.  The lock is held."""
        flat = self._shared.flat.get(address.url)
        if flat is None:
            flat = self._shared.background.submit(self._fetch_flat, address.url, address.name)
            self._shared.flat[address.url] = flat
        page = flat
        return self._shared.background.after(page, lambda: page.result().of(project))

    def _forget(self, project: str, address: IndexAddress) -> None:
        with self._shared.lock:
            self._shared.pages.pop(self._url_of(project, address), None)
            self._shared.flat.pop(address.url, None)

    def _url_of(self, project: str, address: IndexAddress) -> str:
        if address.name in self._pages:
            return f"{address.url}#{project}"
        return f"{address.url}/{quote(project)}/"

    def _fetch(self, project: str, url: str, index: str) -> ProjectPage:
        content, media_type, final = self._read(url, index, accept=ACCEPT)
        return parse_page(project, content=content, media_type=media_type, url=final)

    def _fetch_flat(self, url: str, index: str) -> FlatPage:
        content, media_type, final = self._read(url, index, accept="text/html", limit=LARGEST_PAGE)
        return parse_flat_page(content, media_type=media_type, url=final)

    def _read(
        self, url: str, index: str, *, accept: str, limit: int | None = None, attempts: int = BODY_ATTEMPTS
    ) -> tuple[bytes, str, str]:
        """Return what is at ``url``, of which media type, and the address it was found at in the end."""
        answered = False
        try:
            with self.open(url, index=index, headers={"Accept": accept}) as response:
                answered = True
                content = response.content if limit is None else _bounded_body(response, limit)
        except NetworkError:
            # what fails before there is an answer has been retried by the session
            if answered and attempts > 1:
                return self._read(url, index, accept=accept, limit=limit, attempts=attempts - 1)
            raise
        return content, response.headers.get("Content-Type", "text/html"), response.url or url

    def _is_trusted(self, url: str) -> bool:
        """Return whether this machine takes any certificate of the server of ``url``."""
        parts = urlsplit(url)
        return bool({parts.netloc, parts.hostname} & set(self.configuration.trusted_hosts))

    def _verify(self, url: str) -> bool | str | None:
        if self._is_trusted(url):
            return False
        # the environment's bundle is the session's already, and wins over pip.conf's
        return None if ca_bundle() else self.configuration.ca_bundle


_AS_STORED = {"Accept-Encoding": "identity"}
"""No compression on the way: sizes and hashes are of the file itself."""


def _bounded_body(response: requests.Response, limit: int) -> bytes:
    """Return the body of an answer.  :raises IntegrityError: it is longer than ``limit`` bytes."""
    body = bounded_body(response, limit)
    if body is None:
        raise IntegrityError(f"{without_credentials(response.url)} has more than {limit} bytes")
    return body


def _session(configuration: ClientConfiguration, retries: int) -> requests.Session:
    session = open_session(retries=retries)
    if configuration.proxy:
        session.proxies = {"http": configuration.proxy, "https": configuration.proxy}
    if configuration.client_certificate:
        session.cert = configuration.client_certificate
    if configuration.trusted_hosts:
        # whoever trusts a host without a valid certificate said so; repeating it per request helps nobody
        warnings.filterwarnings("ignore", message="Unverified HTTPS request")
    return session
