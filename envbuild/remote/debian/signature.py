"""Who signed a Release file: OpenPGP signatures, checked by Sequoia, the library that apt 3 uses, too.

One valid signature by a known key is enough, as for apt: an archive signs with several keys while it moves
from one to the next.  Sequoia refuses keys and signatures that are expired, revoked, or made with SHA-1 or
weak keys.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from envbuild.errors import IntegrityError

if TYPE_CHECKING:
    from pysequoia import Cert

_BEGIN: Final = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE: Final = b"-----BEGIN PGP SIGNATURE-----"
_END: Final = b"-----END PGP SIGNATURE-----"
_HASH_HEADER = re.compile(rb"Hash: [A-Za-z0-9, -]+")
_ARMOURED_KEYS = re.compile(
    rb"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----", re.DOTALL
)


class ReleaseSignatureError(IntegrityError):
    """A Release file is not signed by a key that may sign it."""


class ArchiveKeys:
    """Public keys that may sign an archive."""

    def __init__(self, keyrings: Iterable[bytes]) -> None:
        """Read keyrings, armoured or not.  Keys that cannot be read, are expired or revoked sign nothing."""
        found: dict[str, Cert] = {}
        for keyring in keyrings:
            for cert in _certificates(keyring):
                other = found.get(cert.fingerprint)
                # the same key in two keyrings: one may know of a later expiry, or of a revocation
                found[cert.fingerprint] = other.merge(cert) if other else cert
        # Sequoia alone would take what a key signed while it was valid
        self._certs: Sequence[Cert] = [
            found[fingerprint] for fingerprint in sorted(found) if _is_valid(found[fingerprint])
        ]

    def verified_message(self, signed: bytes) -> bytes:
        """Return the text of an ``InRelease`` file: what is signed, and nothing else of it.

        :raises ReleaseSignatureError: no known key signed it, or something stands outside the signed text.
        """
        text = message_text(signed)
        verified = self._verified(signed)
        # two readers that disagree on what is signed are how others were deceived
        if verified.splitlines() != text.splitlines():
            raise ReleaseSignatureError("it is not clear which part of it is signed")
        return verified

    def verified_detached(self, content: bytes, signatures: bytes) -> bytes:
        """Return ``content``, a Release file, once one of ``signatures`` (``Release.gpg``) proves it.

        :raises ReleaseSignatureError: no known key signed it.
        """
        from pysequoia import Sig  # noqa: PLC0415
        from pysequoia.packet import PacketPile  # noqa: PLC0415

        with suppress(RuntimeError, OSError, ValueError):
            # the library takes one signature at a time
            for packet in PacketPile.from_bytes(signatures):
                with suppress(ReleaseSignatureError, RuntimeError, OSError, ValueError):
                    self._verified(content, Sig.from_bytes(bytes(packet)))
                    return content
        raise ReleaseSignatureError("no known key signed it")

    def _verified(self, content: bytes, signature: object = None) -> bytes:
        from pysequoia import verify  # noqa: PLC0415

        try:
            if signature is None:
                result = verify(content, lambda _: list(self._certs))
            else:
                result = verify(bytes=content, store=lambda _: list(self._certs), signature=signature)  # type: ignore[arg-type]
        except (RuntimeError, OSError, ValueError) as error:
            # the library's own message goes on with a trace of its functions
            reason = str(error).partition("\n")[0].strip() or "it cannot be read"
            raise ReleaseSignatureError(reason[:200]) from error
        if not result.valid_sigs:
            raise ReleaseSignatureError("no known key signed it")
        if signature is not None:
            return content
        if result.bytes is None:
            raise ReleaseSignatureError("it holds no text")
        return result.bytes


def only_keys(keyrings: Iterable[bytes], fingerprints: Iterable[str]) -> tuple[bytes, ...]:
    """Return those keys of ``keyrings`` that a ``Signed-By`` names by fingerprint, of the key or a subkey.

    A ``!`` at the end of a fingerprint, which keeps its subkeys out, lets the key itself in.
    """
    wanted = {fingerprint.strip().rstrip("!").lower() for fingerprint in fingerprints}
    return tuple(
        bytes(cert) for keyring in keyrings for cert in _certificates(keyring) if wanted & _fingerprints(cert)
    )


def _is_valid(cert: "Cert") -> bool:
    try:
        end = cert.expiration
        return not cert.is_revoked and (end is None or end > datetime.now(UTC))
    except (RuntimeError, OSError, ValueError):
        return False


def _fingerprints(cert: "Cert") -> set[str]:
    from pysequoia.packet import PacketPile, Tag  # noqa: PLC0415

    found = {cert.fingerprint.lower()}
    with suppress(RuntimeError, OSError, ValueError):
        found |= {
            packet.fingerprint.lower()
            for packet in PacketPile.from_bytes(bytes(cert))
            # tags cannot be hashed
            if packet.fingerprint and packet.tag in (Tag.PublicKey, Tag.PublicSubkey)
        }
    return found


def _certificates(keyring: bytes) -> "Iterable[Cert]":
    from pysequoia import Cert  # noqa: PLC0415

    # a file may hold several armoured blocks, one after the other
    for block in _ARMOURED_KEYS.findall(keyring) or [keyring]:
        with suppress(RuntimeError, OSError, ValueError):
            yield from Cert.split_bytes(block)


def message_text(signed: bytes) -> bytes:
    """Return the text of a file that is one cleartext-signed message from its first byte to its last.

    Sequoia passes over what stands around a message, and so may apt: such text would look signed.

    :raises ReleaseSignatureError: the file is anything else.
    """
    lines = signed.removesuffix(b"\n").split(b"\n")
    marks = [line for line in lines if line.startswith(b"-----")]
    if marks != [_BEGIN, _SIGNATURE, _END] or lines[0] != _BEGIN or lines[-1] != _END or b"" not in lines:
        raise ReleaseSignatureError("it is not one signed message and nothing else")
    start = lines.index(b"")
    if not all(_HASH_HEADER.fullmatch(line) for line in lines[1:start]):
        raise ReleaseSignatureError("its header has more than the names of hashes")
    return b"\n".join(line.removeprefix(b"- ") for line in lines[start + 1 : lines.index(_SIGNATURE)])
