"""Where an archive has its Release files, and how apt calls files of its folder of lists.  Pure."""

from urllib.parse import urlsplit

_QUOTED = frozenset('\\|{}[]<>"^~_=!@#$%^&*')
"""Characters that apt writes as a percent sign and two digits, besides those outside of printable ASCII."""

_FIRST_PRINTABLE, _AFTER_PRINTABLE = 0x21, 0x7F


def release_address(uri: str, suite: str) -> str:
    """Return the address of the folder that holds a suite's Release file, with a slash at its end.

    A suite that ends in a slash is the folder itself: a flat archive (sources.list(5)).
    """
    base = uri if uri.endswith("/") else f"{uri}/"
    if suite == "/":
        return base
    return f"{base}{suite}" if suite.endswith("/") else f"{base}dists/{suite}/"


def list_name(address: str) -> str:
    """Return the name apt gives to what it fetched from ``address``."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if parts.path.startswith("/") or not parts.path else f"/{parts.path}"
    return "".join(_quoted(byte) for byte in f"{host}{path}".encode()).replace("/", "_")


def _quoted(byte: int) -> str:
    character = chr(byte)
    if character in _QUOTED or not _FIRST_PRINTABLE <= byte < _AFTER_PRINTABLE:
        return f"%{byte:02x}"
    return character
