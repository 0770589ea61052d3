"""What dpkg was told to put elsewhere, and which modes to set instead of the packages' own."""

from pathlib import Path

from envbuild.verify.probe.roots import place, read_text


def diversions(root: Path) -> tuple[tuple[str, str, str], ...]:
    """Return (path, where it went, package that asked; ``:`` for a person) of each diversion.

    Three lines each in dpkg's database (dpkg ``lib/dpkg/db-fsys-divert.c``).
    """
    lines = (read_text(place(root, "/var/lib/dpkg/diversions")) or "").splitlines()
    whole = len(lines) - len(lines) % 3
    return tuple((lines[at], lines[at + 1], lines[at + 2]) for at in range(0, whole, 3))


def mode_overrides(root: Path) -> dict[str, int]:
    """Return the permission bits of each overridden path (``owner group mode path`` per line)."""
    overrides = {}
    for line in (read_text(place(root, "/var/lib/dpkg/statoverride")) or "").splitlines():
        fields = line.split(" ", 3)
        if len(fields) == 4 and fields[2].isdigit():  # noqa: PLR2004 - as in the doc string
            overrides[fields[3]] = int(fields[2], 8)
    return overrides
