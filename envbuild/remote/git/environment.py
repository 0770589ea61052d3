"""The environment and the options that git runs with."""

import re
from collections.abc import Mapping

from envbuild.remote.http import ca_bundle

_KEPT = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSL_\w+|PROXY_SSL_\w+|CONFIG_GLOBAL|CONFIG_SYSTEM|CONFIG_NOSYSTEM|CONFIG_COUNT"
    r"|CONFIG_KEY_\d+|CONFIG_VALUE_\d+|EXEC_PATH)"
)
"""Variables of git that say how servers are reached; others could change what comes of it."""

OPTIONS = tuple(
    word
    for setting in (
        "core.hooksPath=/dev/null",
        "core.askPass=",
        "core.fsmonitor=false",
        "credential.interactive=false",
        "fetch.recurseSubmodules=false",
        "fetch.writeCommitGraph=false",
        "gc.auto=0",
        # a server that sends less than this many bytes a second, for so many seconds, is given up
        "http.lowSpeedLimit=1000",
        "http.lowSpeedTime=60",
        "maintenance.auto=false",
    )
    for word in ("-c", setting)
)
"""For commands that ask a server."""


def git_environment(
    environment: Mapping[str, str], *, proxy: str | None = None, bundle: str | None = None
) -> dict[str, str]:
    """Return the environment for git: the machine's, without what could change answers, or ask a person.

    ``proxy`` and ``bundle`` (of CA certificates) count where the machine's own environment names none.
    """
    own = {
        key: value
        for key, value in environment.items()
        if not key.startswith(("GIT_", "SSH_ASKPASS")) or _KEPT.fullmatch(key)
    }
    own |= {
        "LC_ALL": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "http:https:ssh",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    own.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
    if trusted := ca_bundle(environment) or bundle:
        own.setdefault("GIT_SSL_CAINFO", trusted)
    if proxy and not {"https_proxy", "HTTPS_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} & set(own):
        own |= {"http_proxy": proxy, "https_proxy": proxy}
    return own


def without_configuration(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment of git without the settings of machine and user, and without any server."""
    own = {key: value for key, value in environment.items() if not key.startswith("GIT_CONFIG_")}
    nothing = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "none"}
    return own | nothing
