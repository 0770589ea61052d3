"""Which names of options and variables say that their value is a secret.  Pure."""

import re
from collections.abc import Sequence
from typing import Final

_SECRET_PARTS: Final = frozenset(
    [
        "accesskey",
        "accesstoken",
        "apikey",
        "apitoken",
        "auth",
        "authorization",
        "authtoken",
        "bearer",
        "cookie",
        "cred",
        "credential",
        "credentials",
        "creds",
        "jwt",
        "oauth",
        "pass",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "privatekey",
        "pw",
        "pwd",
        "secret",
        "secretkey",
        "secrets",
        "token",
    ]
)
_WEAK_PARTS: Final = frozenset({"key", "sig", "signature"})
"""Names of secrets and of much else: the value decides."""

_KEY_KINDS: Final = frozenset(
    [
        "access",
        "account",
        "admin",
        "api",
        "app",
        "auth",
        "client",
        "crypto",
        "decryption",
        "deploy",
        "encryption",
        "function",
        "hmac",
        "host",
        "license",
        "master",
        "private",
        "project",
        "secret",
        "service",
        "shared",
        "signing",
        "ssh",
        "storage",
        "subscription",
        "team",
        "user",
    ]
)
_TOKEN_KINDS: Final = frozenset(
    [
        "bos",
        "cls",
        "end",
        "eos",
        "image",
        "mask",
        "max",
        "min",
        "num",
        "pad",
        "prompt",
        "sep",
        "special",
        "start",
        "stop",
        "text",
        "unk",
    ]
)
"""Tokens of language models."""

_PASS_KINDS: Final = frozenset(
    ["all", "backward", "band", "forward", "high", "low", "multi", "n", "num", "one", "single"]
)
_VALUES: Final = frozenset({"key", "secret", "value"})

_FLAGS: Final = frozenset(
    [
        "allow",
        "disable",
        "enable",
        "has",
        "is",
        "need",
        "no",
        "print",
        "require",
        "show",
        "skip",
        "use",
        "with",
        "without",
    ]
)

_WORD_OF_NAME = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_FACTS: Final = frozenset(
    [
        "count",
        "dir",
        "env",
        "file",
        "folder",
        "id",
        "length",
        "name",
        "path",
        "size",
        "type",
        "url",
        "variable",
    ]
)


def is_secret_name(name: str) -> bool:
    """Return whether the name of an option or variable says that its value is a secret."""
    parts = _parts(name)
    if not parts or parts[0] in _FLAGS:
        return False
    for position, part in enumerate(parts):
        before, rest = parts[position - 1] if position else "", parts[position + 1 :]
        if part == "token" and (before in _TOKEN_KINDS or (rest and not _VALUES & set(rest))):
            continue
        if part == "pass" and before in _PASS_KINDS:
            continue
        if part in _SECRET_PARTS or (part in {"key", "keys"} and before in _KEY_KINDS):
            return not _is_about(rest)
        if part in {"key", "pat"} and not rest and ((part == "key" and not before) or name.isupper()):
            return True
    return False


def _is_about(rest: Sequence[str]) -> bool:
    """Return whether what follows makes it a fact about a secret: ``--token-length``, ``--password-file``."""
    return rest[-1:] != [] and rest[-1] in _FACTS


def _parts(name: str) -> list[str]:
    return [part.lower() for part in _WORD_OF_NAME.findall(name) if not part.isdigit()]


def is_weak_name(name: str) -> bool:
    """Return whether a name may be that of a secret: ``--sort-key`` is none, ``--hub-key`` is one."""
    return (_parts(name)[-1:] or [""])[0] in _WEAK_PARTS
