"""Where one file can be had, and all that its server wants to know of the client."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from envbuild.remote.index.configuration import IndexCredentials, split_credentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An ``https``, ``http`` or ``file`` address.  Where a setting is None, the environment's holds."""

    url: str
    """Without user and password."""

    credentials: IndexCredentials | None = None
    """For basic authentication; without any, those of ``~/.netrc`` are sent."""

    bearer: str | None = field(default=None, repr=False)
    """A token sent to this server and, after a redirect, to no other; in place of ``credentials``."""

    secret: str | None = field(default=None, repr=False)
    """A part of the address that is never shown, with the slashes around it: a token in the path."""

    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    client_certificate: str | None = None

    is_trusted: bool = False
    """Whether the server's certificate is not checked: what came is, by its hash."""

    @classmethod
    def of(cls, url: str) -> Self:
        """Return the address a URL stands for, user and password taken out of it."""
        plain, credentials = split_credentials(url)
        return cls(url=plain, credentials=credentials)

    def __str__(self) -> str:
        """Return it as it may be shown: a query may hold a token, and so may the path."""
        shown = urlunsplit(urlsplit(self.url)._replace(query="", fragment=""))
        return shown.replace(self.secret, "/***/") if self.secret else shown
