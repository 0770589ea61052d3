"""Parsers of apt's text forms: python-debian reads the same, and no text brings anything but our errors."""

import pytest
from debian.deb822 import Deb822
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats.apt_sources_list import (
    AptSource,
    SourceListError,
    format_sources,
    parse_lines,
    parse_source_list,
    parse_stanzas,
)
from envbuild.formats.deb822 import stanzas
from envbuild.resolve.apt.output import parse_downloads, parse_repositories, providers, unmet_dependencies

pytestmark = pytest.mark.property

WORDS = st.from_regex(r"[a-z0-9][a-z0-9./_+-]{0,12}", fullmatch=True)
ADDRESSES = st.builds(
    "{}://{}.example.com/{}".format, st.sampled_from(["http", "https", "file"]), WORDS, WORDS
)


def some(words: st.SearchStrategy[str], *, least: int = 1) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(words, min_size=least, max_size=3).map(tuple)


SOURCES = st.builds(
    AptSource,
    types=st.sampled_from([("deb",), ("deb-src",), ("deb", "deb-src")]),
    uris=some(ADDRESSES),
    suites=some(WORDS),
    components=some(WORDS, least=0),
    signed_by=st.just("") | WORDS.map("/keys/{}.gpg".format),
    trusted=st.sampled_from([None, True, False]),
    architectures=some(st.sampled_from(["amd64", "arm64"]), least=0),
    options=st.dictionaries(st.sampled_from(["Check-Date", "By-Hash", "Targets"]), WORDS, max_size=3).map(
        lambda options: tuple(sorted(options.items()))
    ),
)


@given(st.lists(SOURCES, max_size=4).map(tuple))
def test_sources_are_read_back_as_they_were_written(sources: tuple[AptSource, ...]) -> None:
    assert parse_stanzas(format_sources(sources)) == sources


@given(SOURCES)
def test_both_forms_say_the_same(source: AptSource) -> None:
    flags = {None: [], True: ["trusted=yes"], False: ["trusted=no"]}[source.trusted]
    keys = [f"signed-by={source.signed_by}"] if source.signed_by else []
    architectures = [f"arch={','.join(source.architectures)}"] if source.architectures else []
    others = [f"{name.lower()}={value}" for name, value in source.options if name != "Targets"]
    others += [f"target={value}" for name, value in source.options if name == "Targets"]
    options = " ".join([*architectures, *keys, *flags, *others])
    lines = [
        f"{kind} [{options}] {uri} {suite} {' '.join(source.components)}"
        for kind in source.types
        for uri in source.uris
        for suite in source.suites
    ]

    read = parse_lines("\n".join(lines))

    assert {(s.types[0], s.uris[0], s.suites[0]) for s in read} == {
        (kind, uri, suite) for kind in source.types for uri in source.uris for suite in source.suites
    }
    for one in read:
        assert (one.components, one.signed_by, one.trusted) == (
            source.components,
            source.signed_by,
            source.trusted,
        )
        assert (one.architectures, one.options) == (source.architectures, source.options)


@given(st.sampled_from(["x.list", "x.sources"]), st.text())
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        found = parse_source_list(text, name=name)
    except SourceListError as error:
        assert str(error).startswith(name)  # noqa: PT017 - both outcomes are right
    else:
        assert all(source.uris and source.suites for source in found)


@given(st.text(alphabet=st.sampled_from("deb hp:/[]=\"#\n\t'.x,+-")))
def test_any_text_of_the_right_letters_is_read_or_refused(text: str) -> None:
    try:
        found = parse_lines(text)
    except SourceListError as error:
        assert str(error).startswith("sources.list, line ")  # noqa: PT017 - both outcomes are right
    else:
        assert all(source.uris and source.suites for source in found)


FIELDS = st.from_regex(r"[A-Z][A-Za-z0-9-]{0,10}", fullmatch=True)
VALUES = st.lists(st.from_regex(r"[!-~]([ -~]{0,20}[!-~])?", fullmatch=True), min_size=1, max_size=3).map(
    "\n ".join
)


@given(st.lists(st.dictionaries(FIELDS, VALUES, min_size=1, max_size=4), max_size=4))
def test_stanzas_are_those_that_python_debian_reads(written: list[dict[str, str]]) -> None:
    """deb822(5): names are not case sensitive, each occurs once; space around values does not count."""
    unique = [{name.lower(): (name, value) for name, value in stanza.items()} for stanza in written]
    text = "\n".join("".join(f"{name}: {value}\n" for name, value in stanza.values()) for stanza in unique)

    theirs = [dict(paragraph) for paragraph in Deb822.iter_paragraphs(text, use_apt_pkg=False)]

    assert list(stanzas(text)) == theirs


@given(st.text())
def test_readers_of_output_take_any_text(text: str) -> None:
    assert all(download.size >= 0 for download in parse_downloads(text))
    assert all(repository.address.endswith("/") for repository in parse_repositories(text))
    assert all(name for name in providers(text))
    assert all(isinstance(line, str) for line in unmet_dependencies(text))
