"""Whose word a Release file is: real OpenPGP, good and bad."""

from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from envbuild.catalog.distributions import families, shipped_keys
from envbuild.remote.debian.signature import ArchiveKeys, ReleaseSignatureError, only_keys
from tests.rig.signed_archive import clearsigned, new_key, public

DATA = Path(__file__).parent / "data"
"""Made once by gpg: a signature by SHA-1, one by a key that expired in 2021, one by a key revoked since."""

TEXT = "Origin: rig\nSuite: rig\n- a dash\n\nthe end\n"


@pytest.fixture(scope="module")
def key() -> Tsk:
    return new_key()


@pytest.fixture(scope="module")
def signed(key: Tsk) -> bytes:
    return clearsigned(TEXT, key)


def test_the_text_is_what_was_signed(key: Tsk, signed: bytes) -> None:
    assert ArchiveKeys([public(key)]).verified_message(signed) == TEXT.encode()


def test_one_known_key_among_others_is_enough(key: Tsk, signed: bytes) -> None:
    keys = ArchiveKeys([b"no key", public(new_key("other")), public(key)])

    assert keys.verified_message(signed) == TEXT.encode()


def test_armoured_keys_one_after_the_other() -> None:
    armoured = b"".join((DATA / f"{name}.asc").read_bytes() for name in ("old-key", "revoked", "sha1"))

    assert len(only_keys([armoured], ["0" * 40])) == 0
    assert len(ArchiveKeys([armoured])._certs) == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("tampered", lambda data: data.replace(b"Suite: rig", b"Suite: rib")),
        ("text after", lambda data: data + b"Suite: other\n"),
        ("text before", lambda data: b"Suite: other\n" + data),
        ("two messages", lambda data: data + data),
        ("cut short", lambda data: data[: len(data) // 2]),
        ("without its end", lambda data: data[:-60]),
        ("a header more", lambda data: data.replace(b"Hash: SHA512\n", b"Hash: SHA512\nSuite: other\n", 1)),
        ("unsigned", lambda _: TEXT.encode()),
        ("empty", lambda _: b""),
        ("another mark", lambda data: data.replace(b"the end", b"-----BEGIN PGP SIGNATURE-----")),
    ],
)
def test_a_message_that_is_not_wholly_signed_is_refused(
    key: Tsk,
    signed: bytes,
    name: str,
    change: "object",
) -> None:
    with pytest.raises(ReleaseSignatureError):
        ArchiveKeys([public(key)]).verified_message(change(signed))  # type: ignore[operator]


@pytest.mark.parametrize("keys", [[], ["other"]], ids=["none", "another"])
def test_unknown_keys_are_refused(signed: bytes, keys: list[str]) -> None:
    with pytest.raises(ReleaseSignatureError) as caught:
        ArchiveKeys(public(new_key(name)) for name in keys).verified_message(signed)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["sha1", "old-key", "revoked"])
def test_weak_expired_and_revoked(name: str) -> None:
    keys = ArchiveKeys([(DATA / f"{name}.asc").read_bytes()])

    with pytest.raises(ReleaseSignatureError):
        keys.verified_message((DATA / f"InRelease.{name}").read_bytes())


def test_a_detached_signature(key: Tsk) -> None:
    other = new_key("other")
    signatures = b"".join(
        bytes(sign(one.signer(), TEXT.encode(), mode=SignatureMode.DETACHED, armor=False))
        for one in (other, key)
    )
    keys = ArchiveKeys([public(key)])

    # the known key's is the second of two
    assert keys.verified_detached(TEXT.encode(), signatures) == TEXT.encode()
    for content, wrong in ((b"x", signatures), (TEXT.encode(), b""), (TEXT.encode(), b"junk")):
        with pytest.raises(ReleaseSignatureError):
            keys.verified_detached(content, wrong)


def test_keys_by_fingerprint(key: Tsk) -> None:
    other = new_key("other")
    ring = public(key) + public(other)
    fingerprint = key.extract_certificate().fingerprint

    found = only_keys([ring], [f"{fingerprint.upper()}!"])

    assert [bytes(cert) for cert in ArchiveKeys(found)._certs] == [public(key)]


def test_keys_that_this_release_comes_with() -> None:
    shipped = shipped_keys(families()["debian"])

    assert shipped is not None
    # the archive keys of bookworm and trixie: automatic, security, stable
    assert {cert.fingerprint.upper()[-16:] for cert in ArchiveKeys([shipped])._certs} >= {
        "B7C5D7D6350947F8",
        "254CF3B5AEC0A8F0",
        "F8D2585B8783D481",
        "762F67A0B2C39DE4",
    }
    assert shipped_keys(families()["ubuntu"]) is None
