"""Installed packages: dpkg's database, and the distributions of a Python environment."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from envbuild.verify.checks.facts import DebFacts, DistributionFacts
from envbuild.verify.checks.versions import normalize_name
from envbuild.verify.probe.roots import place, read_text

_DATABASE = "/var/lib/dpkg/status"
_DATABASE_PARTS = "/var/lib/dpkg/status.d"
"""Where images without dpkg keep one stanza per file; such packages have no Status field."""


def deb_facts(root: Path) -> tuple[DebFacts, ...] | None:
    """Read the dpkg database; None when there is none."""
    text = read_text(place(root, _DATABASE))
    debs = list(parse_status(text)) if text is not None else []
    folder = place(root, _DATABASE_PARTS)
    parts = sorted(folder.iterdir()) if folder.is_dir() else []
    for part in parts:
        if not part.name.endswith(".md5sums"):
            debs += parse_status(read_text(part) or "")
    if text is None and not parts:
        return None
    return tuple(sorted(debs, key=lambda deb: (deb.name, deb.architecture)))


def parse_status(text: str) -> Iterator[DebFacts]:
    """Yield the packages of a dpkg status file (deb822(5)); continuation lines are passed over."""
    for stanza in text.split("\n\n"):
        fields = {}
        for line in stanza.splitlines():
            if line[:1] not in {" ", "\t", ""}:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if "Package" in fields:
            yield DebFacts(
                name=fields["Package"],
                version=fields.get("Version", ""),
                architecture=fields.get("Architecture", ""),
                status=fields.get("Status", "install ok installed"),
            )


def prefix_distributions(prefix: str, root: Path) -> tuple[DistributionFacts, ...]:
    """Describe the distributions below ``prefix``, whichever Python version they were installed for.

    conda-forge's Python of 3.10 and later has ``lib/python3.1``, a link to its ``lib/python3.X``: what a link
    leads to is described where it lies, and only there.
    """
    library = place(root, f"{prefix}/lib")
    folders = sorted(
        folder for folder in library.glob("python*/*-packages") if not folder.parent.is_symlink()
    )
    return tuple(_distributions((str(Path("/") / folder.relative_to(root)) for folder in folders), root))


def outside_distributions(
    sys_path: Iterable[str] | None, prefix: str, root: Path
) -> tuple[DistributionFacts, ...]:
    """Describe the distributions that ``sys_path`` reaches elsewhere."""
    folders = [entry for entry in sys_path or () if not f"{entry}/".startswith(f"{prefix}/")]
    return tuple(_distributions(folders, root))


def _distributions(folders: Iterable[str], root: Path) -> Iterator[DistributionFacts]:
    for folder in folders:
        path = place(root, folder)
        if not path.is_dir():
            continue
        for entry in sorted(path.iterdir()):
            if entry.suffix in {".dist-info", ".egg-info", ".egg-link"}:
                yield _distribution(entry, f"{folder}/{entry.name}")


def _distribution(entry: Path, path: str) -> DistributionFacts:
    """Read one entry (core metadata and recording installed projects, PyPA; egg-info: setuptools)."""
    if entry.is_dir():
        metadata = read_text(entry / "METADATA") or read_text(entry / "PKG-INFO")
    else:
        metadata = read_text(entry) if entry.suffix == ".egg-info" else None
    headers = list(_headers(metadata or ""))
    values = dict(reversed(headers))
    name = values.get("name") or entry.stem.partition("-")[0]
    installer = read_text(entry / "INSTALLER")
    try:
        record = hashlib.sha256((entry / "RECORD").read_bytes()).hexdigest()
    except OSError:
        record = None
    return DistributionFacts(
        name=normalize_name(name),
        version=values.get("version"),
        path=path,
        record_sha256=record,
        installer=installer.strip() if installer else None,
        tags=tuple(
            sorted(value for key, value in _headers(read_text(entry / "WHEEL") or "") if key == "tag")
        ),
    )


def _headers(text: str) -> Iterator[tuple[str, str]]:
    """Yield the header fields of a metadata file, names in lower case; the description below is not read."""
    for line in text.splitlines():
        if not line:
            return
        if line[0] not in " \t":
            name, _, value = line.partition(":")
            yield name.strip().lower(), value.strip()
