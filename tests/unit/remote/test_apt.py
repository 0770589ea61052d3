from datetime import date
from pathlib import Path

import pytest

from envbuild.catalog.distributions import Family
from envbuild.errors import NetworkError, SpecError, UsageError
from envbuild.formats.apt_sources_list import AptSource, parse_lines, parse_stanzas
from envbuild.remote.apt import (
    AptSettings,
    archive_addresses,
    configured_keyring,
    distribution_keyrings,
    distribution_sources,
    family_keyrings,
    read_settings,
    with_configured_mirrors,
)

HOST = parse_lines("""\
deb [signed-by=/usr/share/keyrings/third-party.gpg] https://third.example.com/linux bookworm stable
deb http://mirror.example.com/debian/ bookworm main
deb http://mirror.example.com/debian/ bookworm-updates main
deb http://mirror.example.com/debian-security bookworm-security main
deb cdrom:[Disc]/ bookworm main
""")
DAY = date(2026, 3, 1)
SNAPSHOT = "https://snapshot.example.com"


def etc(tmp_path: Path) -> Path:
    folder = tmp_path / "apt"
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "sources.list").write_text("deb http://one.example.com/debian bookworm main\n")
    (folder / "sources.list.d/two.sources").write_text(
        "Types: deb\nURIs: http://two.example.com/debian\nSuites: trixie\nComponents: main\n"
    )
    (folder / "sources.list.d/broken.list").write_text("nonsense\n")
    (folder / "sources.list.d/old.list.disabled").write_text("deb http://off.example.com x main\n")
    return folder


def test_settings_hold_the_environment_and_the_readable_lists_of_the_machine(tmp_path: Path) -> None:
    keyring = tmp_path / "keys.gpg"
    keyring.write_bytes(b"keys")
    settings = read_settings(
        {
            "ENVBUILD_APT_MIRROR": "http://mirror.example.com/debian/",
            "ENVBUILD_APT_MIRROR_DEBIAN_SECURITY": "https://mirror.example.com/security",
            "ENVBUILD_APT_SNAPSHOT": f"{SNAPSHOT}/",
            "ENVBUILD_APT_KEYRING": str(keyring),
            "ENVBUILD_APT_MIRROR_UBUNTU": "",
        },
        etc=etc(tmp_path),
    )

    assert settings.mirror("debian") == "http://mirror.example.com/debian"
    assert settings.mirror("debian-security") == "https://mirror.example.com/security"
    assert settings.mirror("nvidia cuda") is None
    assert settings.snapshot_of("debian", DAY) == f"{SNAPSHOT}/archive/debian/20260301T000000Z"
    assert [source.uris[0] for source in settings.host] == [
        "http://one.example.com/debian",
        "http://two.example.com/debian",
    ]
    assert configured_keyring(settings)[0].content == b"keys"


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("ENVBUILD_APT_MIRROR", "mirror.example.com", "ENVBUILD_APT_MIRROR is not an address"),
        ("ENVBUILD_APT_MIRROR_X", "https:///pool", "ENVBUILD_APT_MIRROR_X is not an address"),
        ("ENVBUILD_APT_SNAPSHOT", "ftp://x.example.com", "ENVBUILD_APT_SNAPSHOT is not an address"),
        (
            "ENVBUILD_APT_KEYRING",
            "/nowhere/k.gpg",
            "ENVBUILD_APT_KEYRING names `/nowhere/k.gpg`, which is not a file",
        ),
    ],
)
def test_wrong_variables_are_named(tmp_path: Path, variable: str, value: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_settings({variable: value}, etc=tmp_path)

    assert str(caught.value) == message


def test_a_machine_without_apt_has_no_sources(tmp_path: Path) -> None:
    assert read_settings({}, etc=tmp_path / "none").host == ()


def test_addresses_come_from_the_environment_then_the_base_then_the_machine_then_a_dated_archive() -> None:
    settings = AptSettings(mirrors={"": "http://set.example.com/debian"}, snapshot=SNAPSHOT, host=HOST)
    base = parse_stanzas(
        "Types: deb\nURIs: http://base.example.com/debian\nSuites: bookworm bookworm-updates\n\n"
        "Types: deb\nURIs: https://cuda.example.com/repos\nSuites: /\n\n"
        "Types: deb\nURIs: http://base.example.com/security\nSuites: bookworm-security\n"
    )

    assert archive_addresses("debian", settings=settings, base_sources=base, day=DAY) == (
        "http://set.example.com/debian",
        "http://base.example.com/debian",
        "http://mirror.example.com/debian",
        "https://cuda.example.com/repos",
        f"{SNAPSHOT}/archive/debian/20260301T000000Z",
    )
    assert archive_addresses("debian-security", settings=settings) == (
        "http://mirror.example.com/debian-security",
    )
    assert archive_addresses("nvidia cuda", settings=settings, base_sources=base) == (
        "https://cuda.example.com/repos",
    )


def test_another_release_is_read_from_the_same_mirrors() -> None:
    main, security = distribution_sources("debian:trixie", settings=AptSettings(host=HOST), snapshot=None)

    assert main == AptSource(
        uris=("http://mirror.example.com/debian",),
        suites=("trixie", "trixie-updates"),
        components=("main",),
    )
    assert security == AptSource(
        uris=("http://mirror.example.com/debian-security",),
        suites=("trixie-security",),
        components=("main",),
    )


def test_without_any_mirror_the_variables_to_set_are_named() -> None:
    third_party_only = AptSettings(host=HOST[:1])

    with pytest.raises(NetworkError) as caught:
        distribution_sources("debian:bookworm", settings=third_party_only, snapshot=None)

    assert str(caught.value) == "no mirror of debian:bookworm is configured"
    assert caught.value.hint == (
        "set ENVBUILD_APT_MIRROR and ENVBUILD_APT_MIRROR_DEBIAN_SECURITY to the address of a mirror"
    )
    assert [str(problem) for problem in caught.value.problems] == [
        "ENVBUILD_APT_MIRROR: not set, and this machine has no source of `debian`",
        "ENVBUILD_APT_MIRROR_DEBIAN_SECURITY: not set, and this machine has no source of `debian-security`",
    ]


def test_a_main_mirror_alone_does_not_quietly_leave_security_out() -> None:
    settings = AptSettings(mirrors={"": "http://mirror.example.com/debian"})

    with pytest.raises(NetworkError) as caught:
        distribution_sources("debian:bookworm", settings=settings, snapshot=None)

    assert [problem.where for problem in caught.value.problems] == ["ENVBUILD_APT_MIRROR_DEBIAN_SECURITY"]


def test_a_snapshot_dates_every_archive_and_needs_no_mirror() -> None:
    settings = AptSettings(snapshot=SNAPSHOT, mirrors={"": "http://live.example.com/debian"})
    main, security = distribution_sources("debian:bookworm", settings=settings, snapshot=DAY)

    assert main.uris == (f"{SNAPSHOT}/archive/debian/20260301T000000Z",)
    assert security.uris == (f"{SNAPSHOT}/archive/debian-security/20260301T000000Z",)
    assert dict(main.options) == {"Check-Valid-Until": "no"}


def test_a_snapshot_without_a_service_is_an_error_of_that_field() -> None:
    for call in (
        lambda: distribution_sources("debian:bookworm", settings=AptSettings(host=HOST), snapshot=DAY),
        lambda: with_configured_mirrors(HOST, settings=AptSettings(), snapshot=DAY),
    ):
        with pytest.raises(SpecError) as caught:
            call()
        assert [problem.where for problem in caught.value.problems] == ["snapshot"]
        assert caught.value.hint
        assert "ENVBUILD_APT_SNAPSHOT" in caught.value.hint


def test_sources_of_a_base_are_redirected_suite_by_suite() -> None:
    settings = AptSettings(mirrors={"DEBIAN_SECURITY": "http://set.example.com/security"})
    base = parse_lines(
        "deb http://base.example.com/debian bookworm main\n"
        "deb-src http://base.example.com/debian bookworm main\n"
        "deb http://base.example.com/security bookworm-security main\n"
        "deb https://cuda.example.com/repos /\n"
    )

    read = with_configured_mirrors(base, settings=settings, snapshot=None)

    assert [source.uris[0] for source in read] == [
        "http://base.example.com/debian",
        "http://set.example.com/security",
        "https://cuda.example.com/repos",
    ]


def test_sources_that_cannot_be_dated_are_left_out_of_a_snapshot() -> None:
    base = parse_lines(
        "deb http://base.example.com/debian bookworm main\ndeb https://cuda.example.com/repos /\n"
    )

    (read,) = with_configured_mirrors(base, settings=AptSettings(snapshot=SNAPSHOT), snapshot=DAY)

    assert read.uris == (f"{SNAPSHOT}/archive/debian/20260301T000000Z",)


def test_keyring_of_the_environment_replaces_the_machines(tmp_path: Path) -> None:
    keyring = tmp_path / "keys.gpg"
    keyring.write_bytes(b"keys")

    (found,) = distribution_keyrings("debian:bookworm", settings=AptSettings(keyring=keyring))

    assert (found.path, found.content) == (str(keyring), b"keys")
    assert "keys" not in repr(found).replace(str(keyring), "")


def test_first_keyring_file_of_a_family_that_is_there_counts(tmp_path: Path) -> None:
    (tmp_path / "new.pgp").write_bytes(b"new")
    (tmp_path / "old.gpg").write_bytes(b"old")
    paths = tuple(str(tmp_path / name) for name in ("newest.pgp", "new.pgp", "old.gpg"))
    family = Family(source="none", codenames=(), keyrings=paths, keyring_package="keys", archives={})

    assert [keyring.content for keyring in family_keyrings(family)] == [b"new"]
    assert family_keyrings(None) == ()


def test_credentials_of_a_mirror_do_not_show() -> None:
    settings = AptSettings(mirrors={"": "http://user:secret@mirror.example.com/debian"})

    assert "secret" not in repr(settings)
