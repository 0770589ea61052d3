"""A Debian archive in memory, signed by a key of its own and served on the loopback interface."""

import gzip
import hashlib
import lzma
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

from pysequoia import SignatureMode, Tsk, sign

from tests.rig.web import Answer, LoopbackServer, Request

DATE = datetime(2026, 11, 1, 12, tzinfo=UTC)


def new_key(name: str = "archive") -> Tsk:
    return Tsk.generate(f"{name} <{name}@example.com>")


def public(key: Tsk) -> bytes:
    return bytes(key.extract_certificate())


def clearsigned(text: str, *keys: Tsk) -> bytes:
    """Sign with the first key; `keys` are several to see that one is enough."""
    return bytes(sign(keys[0].signer(), text.encode(), mode=SignatureMode.CLEAR))


def stanza(name: str, version: str = "1", *, architecture: str = "all", path: str = "", **fields: str) -> str:
    """Return a package that only stands in its list."""
    digest = hashlib.sha256(f"{name} {version} {architecture}".encode()).hexdigest()
    values = {
        "Package": name,
        "Version": version,
        "Architecture": architecture,
        "Filename": path or f"pool/{name}_{version}_{architecture}.deb",
        "Size": "1000",
        "SHA256": digest,
        **fields,
    }
    return "".join(f"{key}: {value}\n" for key, value in values.items())


class SignedArchive(LoopbackServer):
    """Suite `rig`, component `main`; `files` are what is served, by path, and may be changed by a test."""

    def __init__(self, key: Tsk | None = None) -> None:
        super().__init__(self._answer)
        self.key = key or new_key()
        self.files: dict[str, bytes] = {}

    def publish(
        self,
        *packages: str,
        suite: str = "rig",
        architecture: str = "amd64",
        fields: Mapping[str, str] | None = None,
        date: datetime = DATE,
        packing: str = "xz",
        detached: bool = False,
        flat: bool = False,
    ) -> None:
        """Put a state of the archive in place of the one before."""
        plain = "\n".join(packages).encode()
        packed = {"xz": lzma.compress(plain), "gz": gzip.compress(plain), "": plain}[packing]
        base = "" if flat else f"main/binary-{architecture}/"
        root = "" if flat else f"dists/{suite}/"
        lists = {f"{base}Packages": plain}
        if packing:
            lists[f"{base}Packages.{packing}"] = packed
        release = {
            "Origin": "rig",
            "Label": "Rig",
            "Suite": suite,
            "Codename": suite,
            "Date": format_datetime(date),
            "Architectures": architecture,
            "Components": "main",
            **(fields or {}),
        }
        text = "".join(f"{name}: {value}\n" for name, value in release.items())
        text += "SHA256:\n" + "".join(
            f" {hashlib.sha256(content).hexdigest()} {len(content)} {path}\n"
            for path, content in lists.items()
        )
        self.files = {f"/{root}{path}": content for path, content in lists.items()}
        if packing:
            # Debian lists the plain form and does not serve it
            del self.files[f"/{root}{base}Packages"]
        if detached:
            signature = sign(self.key.signer(), text.encode(), mode=SignatureMode.DETACHED)
            self.files |= {f"/{root}Release": text.encode(), f"/{root}Release.gpg": bytes(signature)}
        else:
            self.files[f"/{root}InRelease"] = clearsigned(text, self.key)

    def _answer(self, request: Request) -> Answer | None:
        content = self.files.get(request.path)
        return None if content is None else Answer(content=content)
