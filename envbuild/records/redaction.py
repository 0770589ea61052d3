"""Secrets on command lines: what looks like one is replaced.  Rather too much than too little.  Pure.

A name says that its value is secret (``--token=…``, ``PASSWORD=…``), or the value itself does (``hf_…``).
What a name does not say and a value does not show cannot be found: such secrets belong into ``--env NAME``.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

from envbuild.records.secret_names import is_secret_name, is_weak_name

HIDDEN: Final = "***"

_PLAIN: Final = frozenset({"", "true", "false", "none", "null", "yes", "no"})


class _LatePattern:
    """A pattern that is compiled when it is first used: all of them take longer than a short command."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self._arguments = text, flags

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """The pattern."""
        return re.compile(*self._arguments)


_OPTION = _LatePattern(r"(?P<name>[-+]{0,2}[A-Za-z_][\w.\-/\[\]]*)(?P<sign>[=:])(?P<value>.+)", re.DOTALL)
_ASSIGNMENT = _LatePattern(
    r"(?P<name>[-+]{0,2}[A-Za-z_][\w.\-\[\]]{0,200})(?P<sign>[\"']?\]?\s{0,9}(?:=|:(?!//))\s{0,9})"
    r"(?P<value>\"[^\"]*(?:\"|\Z)|'[^']*(?:'|\Z)|[^\s\"',;&|)}]+)"
)
_SPACED = _LatePattern(
    r"(?P<name>(?<![\w-])--?[A-Za-z][\w.\-]{0,200})(?P<sign>\s+)(?P<value>[^\s-][^\s;&|]*)"
)
_SHORT = re.compile(r"[\w./-]{0,14}", re.ASCII)
"""Words in which no other pattern finds anything: most words of most commands."""

_SCHEME = _LatePattern(r"\b(?P<kind>bearer|basic|negotiate)\s+(?P<value>[\w.~+/=-]{6,})", re.IGNORECASE)
_USERINFO = _LatePattern(r"(?P<scheme>[A-Za-z][\w+.-]{0,30}://)[^/\s\"'@]*(?:@[^/\s\"'@]*)*@")
_KNOWN = _LatePattern(
    r"(?<![A-Za-z0-9])(?:"
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{20,}|gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{16,}"
    r"|hf_[A-Za-z0-9]{16,}|api_org_[A-Za-z0-9]{16,}"
    r"|sk-[\w-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}"
    r"|A[KS]IA[A-Z0-9]{16}|AIza[\w-]{30,}|ya29\.[\w-]{10,}|GOCSPX-[\w-]{10,}"
    r"|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{16,}|dckr_[po]at_[\w-]{16,}|dapi[0-9a-f]{32}|nvapi-[\w-]{16,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|shp(?:at|ss|ca)_[0-9a-f]{16,}|hv[sb]\.[\w-]{16,}|r8_[A-Za-z0-9]{20,}"
    r"|gsk_[A-Za-z0-9]{20,}|wandb_v1_[\w-]{16,}|key-[0-9a-f]{32}|lin_api_[A-Za-z0-9]{16,}|sntry[su]_[\w=-]{16,}"
    r"|eyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)*"
    r")"
)
_PRIVATE_KEY = _LatePattern(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_RANDOM = _LatePattern(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w+/=%.-]{16,}")

_PROGRAM_FLAGS: Final = {
    program: frozenset(flags)
    for program, *flags in map(
        str.split,
        (
            "curl -u --user -U --proxy-user",
            "docker -p",
            "ldapsearch -w",
            "mariadb -p",
            "mongo -p",
            "mongosh -p",
            "mysql -p",
            "mysqldump -p",
            "podman -p",
            "redis-cli -a",
            "sshpass -p",
            "twine -p",
        ),
    )
}
"""Short options that are secrets to these programs."""

_LOGINS: Final = frozenset({("wandb", "login"), ("comet", "login")})
"""Commands whose last word is a secret."""


def redacted(words: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """Return a command without what looks like a secret, and whether there was something."""
    found = tuple(_redacted_words(words))
    return found, found != tuple(words)


def redacted_text(text: str) -> str:
    """Return ``text``, such as a line of a shell, without what looks like a secret."""
    if _SHORT.fullmatch(text):
        return text
    text = _PRIVATE_KEY.compiled.sub(HIDDEN, text)
    text = _USERINFO.compiled.sub(rf"\g<scheme>{HIDDEN}@", text)
    text = _SCHEME.compiled.sub(rf"\g<kind> {HIDDEN}", text)
    text = _KNOWN.compiled.sub(HIDDEN, text)
    text = _ASSIGNMENT.compiled.sub(_assigned, text)
    return _SPACED.compiled.sub(_spaced, text)


def _redacted_words(words: Sequence[str]) -> Iterator[str]:
    hides_next = False
    programs: set[str] = set()
    previous = ""
    for word in words:
        program = word.rpartition("/")[2]
        flags = frozenset().union(*(_PROGRAM_FLAGS.get(name, frozenset()) for name in programs))
        attached = next((flag for flag in flags if _is_attached(word, flag)), None)
        if hides_next and not word.startswith("-"):
            yield word if _is_harmless(word) else HIDDEN
            hides_next = False
        elif attached:
            yield attached + HIDDEN
            hides_next = False
        else:
            yield _redacted_word(word)
            is_login = (previous.rpartition("/")[2], word) in _LOGINS
            hides_next = word in flags or is_login or _asks_for_secret(word)
        if program in _PROGRAM_FLAGS:
            programs.add(program)
        previous = word


def _is_attached(word: str, flag: str) -> bool:
    return len(flag) == 2 and word.startswith(flag) and len(word) > 2  # noqa: PLR2004 - `-p` and its value


def _redacted_word(word: str) -> str:
    if _SHORT.fullmatch(word):
        return word
    option = _OPTION.compiled.fullmatch(word)
    # an option is one word, whatever its value has
    if option and not option["value"].startswith("//") and _hides(option["name"], option["value"]):
        return f"{option['name']}{option['sign']}{HIDDEN}"
    return redacted_text(word)


def _asks_for_secret(word: str) -> bool:
    return word.startswith("-") and not set("= :") & set(word) and is_secret_name(word)


def _assigned(found: re.Match[str]) -> str:
    value = found["value"]
    if not _hides(found["name"], value.strip("\"'")):
        return found[0]
    quote = value[0] if value[0] in "\"'" else ""
    return f"{found['name']}{found['sign']}{quote}{HIDDEN}{quote}"


def _spaced(found: re.Match[str]) -> str:
    if not _hides(found["name"], found["value"]):
        return found[0]
    return f"{found['name']}{found['sign']}{HIDDEN}"


def _hides(name: str, value: str) -> bool:
    if _is_harmless(value):
        return False
    return is_secret_name(name) or (is_weak_name(name) and _RANDOM.compiled.fullmatch(value) is not None)


def _is_harmless(value: str) -> bool:
    """Return whether a value is none, a yes or no, or the name of a variable in place of its value."""
    return value.lower() in _PLAIN or value == HIDDEN or re.fullmatch(r"\$\{?\w+\}?", value) is not None
