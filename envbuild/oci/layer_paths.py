"""Names and paths inside the layers of an image: removals, and links followed as from a root."""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

WHITEOUT: Final = ".wh."
"""What the name of a removal begins with (OCI image-spec, layer.md); the removed name follows."""

OPAQUE: Final = ".wh..wh..opq"
"""Name of the entry that removes all of a folder that lies in the layers below."""

BOOKKEEPING: Final = WHITEOUT + WHITEOUT
"""What other names of aufs, an old engine, begin with: neither files nor removals."""

_MOST_LINKS: Final = 40
"""How many links a path may lead through; Linux' own limit (path_resolution(7))."""

FolderT = TypeVar("FolderT")


class PathWalk(Generic[FolderT]):
    """Leads along a path inside a root, which ``..`` and absolute links do not leave.

    Iterate over it and, at each name, :meth:`enter` the folder, :meth:`follow` the link, or stop.
    """

    def __init__(self, root: FolderT, path: str) -> None:
        self._folders = [root]
        self._names: list[str] = []
        self._pending = _reversed_names(path)
        self._links = 0

    def __iter__(self) -> Iterator[tuple[FolderT, str]]:
        """Yield the folder reached and the next name to look up in it."""
        while self._pending:
            name = self._pending.pop()
            if name != "..":
                yield self.folder, name
            elif self._names:
                self._names.pop()
                self._folders.pop()

    @property
    def folder(self) -> FolderT:
        """The folder reached."""
        return self._folders[-1]

    @property
    def path(self) -> str:
        """Its path from the root, without links and leading slash."""
        return "/".join(self._names)

    @property
    def rest(self) -> list[str]:
        """The names that are left after the present one."""
        return self._pending[::-1]

    def enter(self, name: str, folder: FolderT) -> None:
        """Go on in ``folder``, which has ``name`` in the one reached."""
        self._names.append(name)
        self._folders.append(folder)

    def follow(self, target: str) -> bool:
        """Go on where a link leads; return False, and stay, when there were too many of them."""
        if self._links == _MOST_LINKS:
            return False
        self._links += 1
        self._pending += _reversed_names(target)
        if target.startswith("/"):
            del self._names[:], self._folders[1:]
        return True


def _reversed_names(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]
