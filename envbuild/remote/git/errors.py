"""What git says when a server does not give what was asked, in our words."""

import re

from envbuild.errors import EnvbuildError, NetworkError, NotFoundError
from envbuild.remote.http import without_credentials

MOST_SHOWN = 6
"""Lines of git's own words that are shown."""

_USERINFO = re.compile(r"://[^/@\s]+@")
_MISSING = re.compile(
    r"repository .*not found|does not exist|not appear to be a git repository", re.IGNORECASE
)
_REFUSED = re.compile(
    r"could not read (Username|Password)|Authentication failed|Permission denied|Host key verification failed"
    r"|The requested URL returned error: 40[13]"
)
_UNTRUSTED = re.compile(r"SSL certificate|certificate verif|CAfile", re.IGNORECASE)
_PROTOCOL = re.compile(r"transport '([^']+)' not allowed")


def explain_failure(url: str, said: str) -> EnvbuildError:
    """Return the error of a command that asked the repository at ``url``, from its standard error."""
    shown = without_credentials(url)
    lines = [_USERINFO.sub("://", line) for line in said.splitlines() if line.strip()]
    detail = "\n".join(lines[-MOST_SHOWN:]) or None
    if protocol := _PROTOCOL.search(said):
        return NetworkError(
            f"{shown} leads to an address by `{protocol[1]}`, which is not followed",
            hint="see the redirects of the server, and `insteadOf` of your git configuration",
            detail=detail,
        )
    if _REFUSED.search(said):
        return NetworkError(
            f"{shown} refused the credentials, or does not exist",
            hint="give git credentials for it: a credential helper, ~/.netrc, or a key for ssh",
            detail=detail,
        )
    if _MISSING.search(said):
        return NotFoundError(
            f"there is no git repository at {shown}", hint="check the address", detail=detail
        )
    if _UNTRUSTED.search(said):
        return NetworkError(
            f"the certificate of {shown} is not trusted",
            hint="name your CA bundle in SSL_CERT_FILE or GIT_SSL_CAINFO",
            detail=detail,
        )
    return NetworkError(
        f"git cannot fetch from {shown}",
        hint="check the address, the proxy and the network, then try again",
        detail=detail,
    )
