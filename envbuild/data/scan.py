"""What files a data entry has on this machine: found without reading any of them."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from envbuild.data.names import LONGEST_PATH, fault_of
from envbuild.errors import EnvbuildError, Problem

MOST_FILES: Final = 2_000_000
"""Files of one entry; a folder with more is refused before anything is read."""

MOST_PROBLEMS: Final = 20


class DataUnusableError(EnvbuildError):
    """A folder holds something that is no data: a device, a link that leads out, a name nobody can record."""


State = tuple[int, int, int, int, int]
Row = tuple[str, str, State]
"""What a :class:`FoundFile` has, as plain tuples: half the time to make, and written the same each time."""


class FileIdentity(NamedTuple):
    """What tells one state of a file from another without reading it."""

    # tuples are made and compared several times as fast as dataclasses: there may be millions
    device: int
    inode: int
    size: int
    """Bytes."""

    modified: int
    """Nanoseconds since the epoch."""

    changed: int
    """Nanoseconds since the epoch, of the inode: no user can set it."""

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """Return the identity in what ``stat`` says."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def plain(self) -> State:
        """It as a plain tuple."""
        return self.device, self.inode, self.size, self.modified, self.changed


class FoundFile(NamedTuple):
    """One file, not read yet."""

    path: str
    """Relative, below the root of the entry; of an entry that is one file, its name."""

    place: str
    """Absolute path, links followed."""

    identity: FileIdentity


@dataclass(slots=True)
class _Scan:
    root: str
    """Absolute, links followed."""

    found: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, path: str, what: str, hint: str | None = None) -> None:
        if len(self.problems) <= MOST_PROBLEMS:
            self.problems.append(Problem(path, what, hint))


def scan_data(root: Path) -> list[FoundFile]:
    """Return the files of a data entry, sorted by path: see :func:`scan_rows`."""
    return found_files(scan_rows(root))


def found_files(rows: list[Row]) -> list[FoundFile]:
    """Return what :func:`scan_rows` found, sorted by path."""
    make = FoundFile._make
    identity = FileIdentity._make
    return [make((path, place, identity(state))) for path, place, state in sorted(rows)]


def scan_rows(root: Path) -> list[Row]:
    """Return the files of a data entry, in no order: those below a folder, or the one file.

    Of a folder that did not change the order is the same each time, as its file system has it.  A link to a
    file inside counts as that file.  Empty folders do not count.  ``root`` itself may be a link.

    :raises FileNotFoundError: there is nothing at ``root``.
    :raises DataUnusableError: it holds what is neither file nor folder, a link that leads out, leads nowhere
        or leads to a folder, a name that is not UTF-8, or too many files.
    :raises OSError: something cannot be read.
    """
    # a link that leads to itself has no status
    real = os.path.realpath(root)
    status = Path(real).stat()
    if stat.S_ISREG(status.st_mode):
        _refuse_all(root, _of_name(root.name))
        return [(root.name, real, FileIdentity.of(status).plain)]
    if not stat.S_ISDIR(status.st_mode):
        raise DataUnusableError(f"{root} is neither a file nor a folder")
    scan = _Scan(real)
    folders = [""]
    while folders:
        _scan_folder(scan, folders.pop(), folders)
        if len(scan.found) > MOST_FILES:
            raise DataUnusableError(
                f"{root} has more than {MOST_FILES:,} files", hint="put them into archives or several entries"
            )
    _refuse_all(root, scan.problems)
    return scan.found


def _of_name(name: str) -> list[Problem]:
    fault = fault_of(name)
    return [Problem(ascii(name), fault)] if fault else []


def _refuse_all(root: Path, problems: list[Problem]) -> None:
    if problems:
        problems.sort(key=lambda problem: problem.where)
        more = [Problem("", "and more")] if len(problems) > MOST_PROBLEMS else []
        raise DataUnusableError(f"{root} cannot be used as data", problems=problems[:MOST_PROBLEMS] + more)


def _scan_folder(scan: _Scan, folder: str, folders: list[str]) -> None:
    place = f"{scan.root}/{folder}" if folder else scan.root
    below = f"{folder}/" if folder else ""
    longest = LONGEST_PATH - len(below)
    add = scan.found.append
    with os.scandir(place) as entries:
        for entry in entries:
            name = entry.name
            path = below + name
            # a folder has no names with a slash or NUL
            is_plain = name.isascii() and len(name) <= longest
            if not is_plain and (fault := fault_of(path)) is not None:
                # with escapes: it may not even be text
                scan.refuse(ascii(path), fault, "rename it")
            # most are files
            elif entry.is_file(follow_symlinks=False):
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    scan.refuse(path, "vanished while the folder was read", "try again")
                    continue
                # FileIdentity.of, without a call for each of a million
                device, inode, size = status.st_dev, status.st_ino, status.st_size
                add((path, entry.path, (device, inode, size, status.st_mtime_ns, status.st_ctime_ns)))
            elif entry.is_symlink():
                _follow(scan, path, entry.path)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                scan.refuse(path, "is neither a file nor a folder", "move it elsewhere")


def _follow(scan: _Scan, path: str, link: str) -> None:
    target = os.path.realpath(link)
    if not target.startswith(f"{scan.root}/"):
        scan.refuse(
            path,
            "is a link that leads out of the folder",
            "put the file itself there; of DVC: `dvc config cache.type reflink,hardlink,copy`, "
            "then `dvc checkout --relink`",
        )
        return
    try:
        status = Path(target).stat()
    except OSError:
        scan.refuse(path, "is a link that leads nowhere", "remove it")
        return
    if stat.S_ISREG(status.st_mode):
        scan.found.append((path, target, FileIdentity.of(status).plain))
    else:
        scan.refuse(path, "is a link to a folder", "put the folder itself there")
