"""A dpkg status that stands for locked packages which are not installed yet."""

from collections.abc import Iterable, Mapping

from envbuild.formats.deb822 import format_stanza
from envbuild.lock.model import Deb

_INSTALLED = "install ok installed"

_INDEX_ONLY = frozenset(
    {
        "Filename",
        "Size",
        "MD5sum",
        "SHA1",
        "SHA256",
        "SHA512",
        "Description",
        "Description-md5",
        "Tag",
        "Homepage",
    }
)
"""Fields of an index that dpkg does not record, or that no solver reads."""


def status_of_debs(debs: Iterable[Deb], records: Iterable[Mapping[str, str]]) -> str:
    """Return a dpkg status in which ``debs`` are installed, sorted by name.

    ``records`` are stanzas of the archive's index.  Where one describes a deb, its relations are taken whole:
    apt sees installed and available as one version only if they agree.  A version that has left the archive
    is described by what the lock holds.
    """
    by_digest = {fields.get("SHA256"): fields for fields in records}
    texts = []
    for deb in sorted(debs, key=lambda deb: (deb.name, deb.architecture)):
        fields = dict(by_digest.get(deb.sha256) or _fields_of(deb))
        kept = {name: value for name, value in fields.items() if name not in _INDEX_ONLY}
        texts.append(format_stanza({"Package": deb.name, "Status": _INSTALLED} | kept))
    return "\n".join(texts)


def _fields_of(deb: Deb) -> dict[str, str]:
    return {
        "Package": deb.name,
        "Essential": "yes" if deb.essential else "",
        "Architecture": deb.architecture,
        "Source": "" if deb.source == deb.name else deb.source,
        "Version": deb.version,
        "Provides": ", ".join(deb.provides),
        "Depends": ", ".join(deb.depends),
    }
