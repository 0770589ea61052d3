import pytest

from envbuild.formats.apt_sources_list import (
    AptSource,
    SourceListError,
    format_sources,
    parse_lines,
    parse_source_list,
    parse_stanzas,
)

STANZAS = """\
# Debian's own
Types: deb deb-src
URIs: http://mirror.example.com/debian https://other.example.com/debian
Suites: bookworm bookworm-updates
# not this: contrib
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.com/debian-security
Suites: bookworm-security
components: main
trusted: yes
architectures: amd64 arm64
check-valid-until: no

Enabled: no
Types: deb
URIs: http://off.example.com
Suites: x
"""


def test_stanzas() -> None:
    assert parse_stanzas(STANZAS) == (
        AptSource(
            types=("deb", "deb-src"),
            uris=("http://mirror.example.com/debian", "https://other.example.com/debian"),
            suites=("bookworm", "bookworm-updates"),
            components=("main",),
            signed_by="/usr/share/keyrings/debian-archive-keyring.gpg",
        ),
        AptSource(
            uris=("http://mirror.example.com/debian-security",),
            suites=("bookworm-security",),
            components=("main",),
            trusted=True,
            architectures=("amd64", "arm64"),
            options=(("Check-Valid-Until", "no"),),
        ),
    )


def test_embedded_key_survives_a_round_trip() -> None:
    text = """\
Types: deb
URIs: http://mirror.example.com/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEawQfWhYJKwYBBAHaRw8BAQdA
 -----END PGP PUBLIC KEY BLOCK-----
"""
    (source,) = parse_stanzas(text)

    assert source.signed_by.count("\n") == 4
    assert parse_stanzas(format_sources((source,))) == (source,)


def test_lines() -> None:
    text = """\
# deb http://off.example.com x main
deb http://mirror.example.com/debian bookworm main contrib # the mirror
deb [arch=amd64,arm64 signed-by=/k.gpg trusted=yes lang=none pdiffs=no] https://x.example.com/apt ./
deb [ arch+=i386 ] http://mirror.example.com/debian sid main
deb-src http://mirror.example.com/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64]/ bookworm main
"""
    first, flat, added, sources, disc = parse_lines(text)

    assert first == AptSource(
        uris=("http://mirror.example.com/debian",), suites=("bookworm",), components=("main", "contrib")
    )
    assert flat == AptSource(
        uris=("https://x.example.com/apt",),
        suites=("./",),
        signed_by="/k.gpg",
        trusted=True,
        architectures=("amd64", "arm64"),
        options=(("Languages", "none"), ("Pdiffs", "no")),
    )
    assert added.options == (("Architectures-Add", "i386"),)
    assert not sources.is_binary
    assert disc.uris == ("cdrom:[Debian GNU/Linux 12 _Bookworm_ - Official amd64]/",)


def test_ending_of_the_name_tells_the_form_and_line_ends_do_not_matter() -> None:
    stanzas = parse_source_list(STANZAS.replace("\n", "\r\n"), name="debian.sources")
    lines = parse_source_list("deb http://mirror.example.com/debian sid main\r\n", name="sources.list")

    assert stanzas == parse_stanzas(STANZAS)
    assert lines[0].components == ("main",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.list",
            "rpm http://x.example.com y",
            "a.list, line 1: the type must be `deb` or `deb-src`, not `rpm`",
        ),
        ("a.list", "\ndeb", "a.list, line 2: there is no address"),
        ("a.list", "deb [arch=amd64]", "a.list, line 1: there is no address"),
        ("a.list", "deb http://x.example.com", "a.list, line 1: there is no suite"),
        ("a.sources", "Types: deb\nURIs: http://x.example.com\n", "a.sources, stanza 1: there is no suite"),
        (
            "a.sources",
            STANZAS + "\nURIs: x\n",
            "a.sources, stanza 4: the type must be `deb` or `deb-src`, not ``",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(name: str, text: str, message: str) -> None:
    with pytest.raises(SourceListError) as caught:
        parse_source_list(text, name=name)

    assert str(caught.value) == message
