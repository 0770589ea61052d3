"""Rules for what conda's people write: match specs and channels, each in its one spelling, or a refusal.

A match spec comes out as ``[channel::]name [version [build]]`` (conda documentation, "Package match
specifications"), whichever of the many ways it was written.
"""

import re
from dataclasses import dataclass

from envbuild.spec.problems import RefusedError
from envbuild.spec.rules import index_url

NAME = r"^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$"
CHANNEL = r"^(?:https?://[^@?#\s]+|(?!defaults$)[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*)$"
MATCH_SPEC = r"^(?:[^\s\[\]]+::)?[A-Za-z0-9_][A-Za-z0-9_.-]*(?:[\s=<>!~].*)?$"
CUDA = r"^[1-9][0-9]*\.[0-9]+$"

_PARTS = re.compile(
    r"(?:(?P<channel>[^\s\[\]]+?)::)?(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?)(?P<rest>.*)"
)
_CONSTRAINT = r"(?:[<>!=~]=?)?[A-Za-z0-9_.*+!-]+"
_VERSION = re.compile(rf"\(?{_CONSTRAINT}\)?(?:[,|]\(?{_CONSTRAINT}\)?)*|\*")
_BUILD = re.compile(r"[A-Za-z0-9_.*+-]+")
_FUZZY = re.compile(r"(?<![<>!=~])=(?!=)([^,|()=<>!~*]+)\*?")
_TOKEN = re.compile(r"/t/[^/]+(?:/|$)")


@dataclass(frozen=True, slots=True)
class MatchSpec:
    """What is asked of one package."""

    name: str
    version: str | None = None
    build: str | None = None
    channel: str | None = None

    def __str__(self) -> str:
        text = f"{self.channel}::{self.name}" if self.channel else self.name
        if self.version or self.build:
            text += f" {self.version or '*'}"
        return f"{text} {self.build}" if self.build else text


def parse_match_spec(value: str) -> MatchSpec:
    """Return what a match spec says.  :raises RefusedError: it is none, or says more than can be locked."""
    text = value.strip()
    if "[" in text:
        raise RefusedError(
            f"`{text}` has attributes in brackets",
            hint="write `name version build`, a channel before it as `channel::name`",
        )
    match = _PARTS.fullmatch(text)
    if match is None:
        raise RefusedError(
            f"`{text}` is not a package of conda", hint="write `name`, `name >=1.2,<2` or `name =1.2`"
        )
    name = match["name"].lower()
    if name.startswith("__"):
        raise RefusedError(
            f"`{name}` is a virtual package",
            hint="they come from the target: `cuda` under [conda], [gpu] and the base",
        )
    version, build = _version_and_build(match["rest"], text)
    wanted = channel(match["channel"]) if match["channel"] else None
    return MatchSpec(name, version, build, wanted)


def match_spec(value: str) -> str:
    """Return a match spec in its one spelling."""
    return str(parse_match_spec(value))


def merge(specs: "list[MatchSpec]") -> MatchSpec:
    """Return one spec that asks for all that ``specs`` of one package ask.

    :raises RefusedError: two of them name different builds or channels, or cannot be joined.
    """
    first = specs[0]
    for field in ("build", "channel"):
        given = sorted({value for spec in specs if (value := getattr(spec, field))})
        if len(given) > 1:
            raise RefusedError(f"`{first.name}` is wanted with {field} `{given[0]}` and with `{given[1]}`")
    versions = sorted({spec.version for spec in specs if spec.version and spec.version != "*"})
    if len(versions) > 1 and any("|" in version for version in versions):
        raise RefusedError(
            f"`{first.name}` is wanted {len(specs)} times", hint="write it once, with all its conditions"
        )
    return MatchSpec(
        first.name,
        ",".join(versions) or None,
        next((spec.build for spec in specs if spec.build), None),
        next((spec.channel for spec in specs if spec.channel), None),
    )


def channel(value: str) -> str:
    """Return a channel: its name, or its address without a slash at the end.  Never repeats a credential."""
    if value == "defaults":
        raise RefusedError(
            "`defaults` stands for several channels", hint="name those you mean, by name or address"
        )
    if "://" in value:
        if not value.startswith(("http://", "https://")):
            raise RefusedError(
                "is not an address every machine can reach", hint="write an https address, or a name"
            )
        if _TOKEN.search(value):
            raise RefusedError(
                "contains a token",
                hint="write the address without `/t/…`; each machine has its own credentials",
            )
        return index_url(value)
    plain = value.strip("/")
    if not re.fullmatch(CHANNEL, plain) or ".." in plain.split("/"):
        raise RefusedError(
            f"`{value}` is not a channel", hint="write its name (`conda-forge`) or its address"
        )
    return plain


def package_name(value: str) -> str:
    """Return the name of a conda package."""
    if not re.fullmatch(NAME, value.lower()):
        raise RefusedError(f"`{value}` is not the name of a conda package")
    return value.lower()


def cuda(value: str) -> str:
    """Return a CUDA version, major and minor."""
    if not re.fullmatch(CUDA, value):
        raise RefusedError(f"`{value}` is not a CUDA version", hint='write major and minor, such as "12.6"')
    return value


def _version_and_build(rest: str, text: str) -> tuple[str | None, str | None]:
    condensed = re.sub(r"\s*([,|])\s*", r"\1", rest.strip())
    condensed = re.sub(r"([<>!=~]=?)\s+", r"\1", condensed)
    version, build = _split(condensed)
    if version is None:
        return None, None
    version = _FUZZY.sub(lambda match: f"{match[1].rstrip('.')}.*", version)
    if re.fullmatch(r"[A-Za-z0-9_.+!-]+", version):
        version = f"=={version}"
    if not _VERSION.fullmatch(version) or (build is not None and not _BUILD.fullmatch(build)):
        raise RefusedError(
            f"`{text}` cannot be read as `name version build`", hint="write `name >=1.2,<2` or `name =1.2`"
        )
    return version, build


def _split(condensed: str) -> tuple[str | None, str | None]:
    if not condensed:
        return None, None
    words = condensed.split()
    if len(words) > 1:
        return words[0], " ".join(words[1:])
    # name=version=build: there the version is exact
    match = re.fullmatch(r"=([^=<>!~,|]+)=([^=]+)", condensed)
    if match:
        return match[1], match[2]
    return condensed, None
