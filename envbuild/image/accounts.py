"""Users of this machine and of containers: who is calling, and lines of /etc/passwd and /etc/group."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from envbuild.image.container_options import Account

PASSWD: Final = "/etc/passwd"  # noqa: S105 - no password
GROUP: Final = "/etc/group"

ID_MAP: Final = "/proc/self/{}_map"

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NUMBER = re.compile(r"[0-9]{1,10}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PASSWD_FIELDS, _GROUP_FIELDS = 7, 4
_UID, _GID, _HOME = 2, 3, 5
_LARGEST_ID = 2**32 - 2


def caller() -> Account | None:
    """Return the user of this process, by its effective ids; None: this system has no such numbers."""
    if not hasattr(os, "geteuid"):
        return None
    uid, gid = os.geteuid(), os.getegid()
    groups = tuple((number, _group_name(number)) for number in sorted(set(os.getgroups()) - {gid}))
    return Account(uid=uid, gid=gid, name=_user_name(uid), groups=groups)


def outside(account: Account) -> Account:
    """Return ``account`` with the numbers that it has outside the user namespace of this process.

    A program that runs there, such as an engine, sees files of this user with those.  A group that has none
    is left out; a user who has none (a namespace without a map) stays as it is.
    """
    uid, gid = _outside(account.uid, "uid"), _outside(account.gid, "gid")
    return Account(
        uid=account.uid if uid is None else uid,
        gid=account.gid if gid is None else gid,
        name=account.name,
        groups=tuple(
            (number, name) for inner, name in account.groups if (number := _outside(inner, "gid")) is not None
        ),
    )


def _outside(number: int, kind: str) -> int | None:
    try:
        text = Path(ID_MAP.format(kind)).read_text(encoding="ascii")
    except OSError:
        # not Linux: there are no such namespaces
        return number
    return outside_id(number, text)


def outside_id(number: int, id_map: str) -> int | None:
    """Return what ``number`` is outside a namespace with ``id_map`` (user_namespaces(7)); None: nothing."""
    for line in id_map.splitlines():
        first, beyond, length = map(int, line.split())
        if first <= number < first + length:
            return beyond + number - first
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFiles:
    """The two files that say who users are, and the home of one of them."""

    passwd: bytes
    group: bytes
    home: str
    """Absolute path of the home of the account that was put in."""


def with_account(passwd: bytes, group: bytes, account: Account, *, own_home: bool) -> AccountFiles:
    """Return ``/etc/passwd`` and ``/etc/group`` in which ``account`` has an entry.

    An entry that has its number stays, so that nothing in the image changes its name.  With ``own_home`` its
    home becomes ``/home/NAME``: those of system users are no folders, or not theirs.
    """
    users, groups = _rows(passwd), _rows(group)
    entry = _find(users, _PASSWD_FIELDS, account.uid)
    if entry is None:
        name = _free_name(account.name, {row[0] for row in users})
        home = f"/home/{name}"
        users.append([name, "x", str(account.uid), str(account.gid), "", home, "/bin/sh"])
    else:
        name, home = entry[0], entry[_HOME]
        if own_home:
            # the name is the image's, and may be a path
            home = entry[_HOME] = f"/home/{name if _FILE_NAME.fullmatch(name) else account.name}"
    for number, wanted in ((account.gid, name), *account.groups):
        if _find(groups, _GROUP_FIELDS, number) is None:
            groups.append([_free_name(wanted, {row[0] for row in groups}), "x", str(number), ""])
    return AccountFiles(passwd=_text(users), group=_text(groups), home=home)


def _rows(text: bytes) -> list[list[str]]:
    # not all that Python takes for ends of lines: a full name may have them
    lines = text.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    return [line.split(":") for line in lines] if text else []


def _text(rows: list[list[str]]) -> bytes:
    return "".join(":".join(row) + "\n" for row in rows).encode("utf-8", "surrogateescape")


def _find(rows: list[list[str]], fields: int, number: int) -> list[str] | None:
    return next((row for row in rows if len(row) == fields and row[_UID] == str(number)), None)


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name


def numeric_account(user: str) -> Account | None:
    """Return the account that ``UID`` or ``UID:GID`` names; None: it names users by name."""
    uid, _, gid = user.partition(":")
    numbers = (uid, gid or "0")
    if not all(_NUMBER.fullmatch(number) and int(number) <= _LARGEST_ID for number in numbers):
        return None
    return Account(uid=int(uid), gid=int(gid or 0), name="user")


def _user_name(uid: int) -> str:
    import pwd  # noqa: PLC0415 - Windows has none

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        # such as the number that a cluster gives
        return "user"
    return _plain_name(name, "user")


def _group_name(gid: int) -> str:
    import grp  # noqa: PLC0415 - Windows has none

    try:
        name = grp.getgrgid(gid).gr_name
    except KeyError:
        return f"group{gid}"
    return _plain_name(name, f"group{gid}")


def _plain_name(name: str, otherwise: str) -> str:
    """Return ``name`` if every system takes it as one; names from directories have spaces and more."""
    return name if _NAME.fullmatch(name) else otherwise
