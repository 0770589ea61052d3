"""The values behind apt's source lists, and their two text forms: sources.list(5).  Text in, values out."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from envbuild.errors import EnvbuildError
from envbuild.formats.deb822 import format_stanza, stanzas

_WORD = re.compile(r'(?:\[[^\]]*\]|"[^"]*"|[^\s\["])+')
_COMMENT = re.compile(r"(?:^|\s)#.*$")

_FIELD_OF_OPTION = {"arch": "Architectures", "lang": "Languages", "target": "Targets"}
"""One-line options whose deb822 field is not the same word; see sources.list(5)."""

_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})


class SourceListError(EnvbuildError):
    """A source list cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """Archives that apt reads, all under the same conditions."""

    types: tuple[str, ...] = ("deb",)
    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...] = ()

    signed_by: str = ""
    """Keyring files, key fingerprints, or one armoured key: the value as apt takes it."""

    trusted: bool | None = None
    """Whether packages are taken without a valid signature; None leaves it to apt, which refuses them."""

    architectures: tuple[str, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    """Every other field by its deb822 name, sorted."""

    @property
    def is_binary(self) -> bool:
        """Whether it offers binary packages."""
        return "deb" in self.types


def parse_source_list(text: str, *, name: str) -> tuple[AptSource, ...]:
    """Read a file of source lists: deb822 when ``name`` ends in ``.sources``, one line each otherwise.

    :raises SourceListError: naming ``name`` and what in it is wrong.
    """
    text = text.replace("\r\n", "\n")
    return parse_stanzas(text, name=name) if name.endswith(".sources") else parse_lines(text, name=name)


def parse_stanzas(text: str, *, name: str = "sources") -> tuple[AptSource, ...]:
    """Read deb822 sources; disabled ones are left out.  :raises SourceListError: see above."""
    found = []
    for number, stanza in enumerate(stanzas(text), start=1):
        fields = {_title(key): value for key, value in stanza.items()}
        if _flag(fields.pop("Enabled", "")) is False:
            continue
        found.append(_source(fields, place=f"{name}, stanza {number}"))
    return tuple(found)


def parse_lines(text: str, *, name: str = "sources.list") -> tuple[AptSource, ...]:
    """Read one-line sources.  :raises SourceListError: see above."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = _WORD.findall(_COMMENT.sub("", line))
        if not words:
            continue
        kind, *rest = words
        options = dict(_options(rest.pop(0))) if rest and rest[0].startswith("[") else {}
        uri, suite, *components = (word.strip('"') for word in (*rest, "", "")[: max(len(rest), 2)])
        fields = options | {"Types": kind, "Uris": uri, "Suites": suite, "Components": " ".join(components)}
        # not split at spaces: a cdrom's name has some
        found.append(replace(_source(fields, place=f"{name}, line {number}"), uris=(uri,)))
    return tuple(found)


def format_sources(sources: tuple[AptSource, ...]) -> str:
    """Return the deb822 text of ``sources``: what :func:`parse_stanzas` reads back."""
    return "\n".join(format_stanza(_fields(source)) for source in sources)


def _fields(source: AptSource) -> dict[str, str]:
    trusted = {None: "", True: "yes", False: "no"}[source.trusted]
    return {
        "Types": " ".join(source.types),
        "URIs": " ".join(source.uris),
        "Suites": " ".join(source.suites),
        "Components": " ".join(source.components),
        "Architectures": " ".join(source.architectures),
        "Signed-By": source.signed_by,
        "Trusted": trusted,
        **dict(source.options),
    }


def _source(fields: Mapping[str, str], *, place: str) -> AptSource:
    rest = dict(fields)

    def words(field: str) -> tuple[str, ...]:
        return tuple(rest.pop(field, "").split())

    types, uris, suites, components = words("Types"), words("Uris"), words("Suites"), words("Components")
    if not types or set(types) - {"deb", "deb-src"}:
        raise SourceListError(f"{place}: the type must be `deb` or `deb-src`, not `{' '.join(types)}`")
    if not uris:
        raise SourceListError(f"{place}: there is no address")
    if not suites:
        raise SourceListError(f"{place}: there is no suite")
    return AptSource(
        types=types,
        uris=uris,
        suites=suites,
        components=components,
        signed_by=rest.pop("Signed-By", ""),
        trusted=_flag(rest.pop("Trusted", "")),
        architectures=words("Architectures"),
        options=tuple(sorted((key, value) for key, value in rest.items() if value)),
    )


def _options(bracketed: str) -> Iterator[tuple[str, str]]:
    """Yield field and value of each option in ``[arch=amd64,arm64 signed-by=/k.gpg]``."""
    for word in bracketed.strip("[]").split():
        option, _, value = word.partition("=")
        # `arch+=` and `arch-=` are the fields Architectures-Add and Architectures-Remove
        suffix = {"+": "-Add", "-": "-Remove"}.get(option[-1:], "")
        option = option.rstrip("+-") if suffix else option
        field = _FIELD_OF_OPTION.get(option.lower(), _title(option))
        yield field + suffix, value.replace(",", " ")


def _title(field: str) -> str:
    """Return the one spelling of a field name; they are not case sensitive."""
    return "-".join(part.capitalize() for part in field.split("-"))


def _flag(value: str) -> bool | None:
    word = value.strip().lower()
    return True if word in _YES else False if word in _NO else None
