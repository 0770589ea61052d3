"""The file system that the layers of an image amount to, as far as a base is concerned.

Layers are laid on each other as overlayfs does it, which engines use: each layer is a tree of its own,
links in it lead within it, and a directory it needs but does not list hides a link of the same name below.
Directories and links are all known; files only where someone asks for their path.
"""

from collections.abc import Callable
from dataclasses import dataclass

from envbuild.oci.layer_paths import PathWalk
from envbuild.resolve.base.layer_scan import LayerEntry, LayerScan


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str
    layer: int


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A regular file: in which layer, and under which path there, its bytes are."""

    layer: int
    path: str


class Folder(dict[str, "Folder | Link | ImageFile"]):
    """A directory."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ResolvedPath:
    """Where a path leads once all links are followed."""

    path: str
    """Without links, from the root, no leading slash."""

    node: Folder | Link | ImageFile | None
    """What is there; None for nothing, for a file nobody asks for, and at the end of a circle of links."""

    has_parent: bool
    """Whether the directory it is in exists."""


class ImageTree:
    """The merged tree; layers are laid on it from the bottom up."""

    def __init__(self, is_kept: Callable[[str], bool]) -> None:
        """Start empty; ``is_kept`` says of which paths regular files are remembered."""
        self._root = Folder()
        self._is_kept = is_kept
        self._layers = 0
        # entries of one folder follow each other: the last one's parent is usually the next one's
        self._last: tuple[str, Folder, str] | None = None

    def add(self, scan: LayerScan) -> None:
        """Lay the next layer on top."""
        layer = self._layers
        self._layers += 1
        # whatever their place in the archive, they concern the layers below only
        for path in scan.opaques:
            self._folder(path, layer)[0].clear()
        for path in scan.whiteouts:
            parent, _, name = path.rpartition("/")
            self._folder(parent, layer)[0].pop(name, None)
        self._last = None
        for entry in scan.entries():
            self._put(entry, layer)

    def find(self, path: str) -> ResolvedPath:
        """Follow ``path`` to its end, links included."""
        walk = PathWalk(self._root, path)
        for folder, name in walk:
            node = folder.get(name)
            if isinstance(node, Folder):
                walk.enter(name, node)
            elif not isinstance(node, Link):
                names = [name, *walk.rest]
                is_last = len(names) == 1
                return ResolvedPath(_join(walk.path, *names), node if is_last else None, has_parent=is_last)
            elif not walk.follow(node.target):
                return ResolvedPath(_join(walk.path, name), None, has_parent=True)
        return ResolvedPath(walk.path, walk.folder, has_parent=True)

    def _put(self, entry: LayerEntry, layer: int) -> None:
        folder, _, name = entry.path.rpartition("/")
        if self._last and self._last[0] == folder:
            parent, place = self._last[1:]
        else:
            parent, place = self._folder(folder, layer)
            self._last = (folder, parent, place)
        if entry.kind == "d":
            if not isinstance(parent.get(name), Folder):
                parent[name] = Folder()
                self._last = None
            return
        if isinstance(parent.get(name), Folder | Link):
            # what was below it, or behind it, is no longer there
            self._last = None
        node = self._node(entry, _join(place, name), layer)
        if node is None:
            parent.pop(name, None)
        else:
            parent[name] = node

    def _node(self, entry: LayerEntry, path: str, layer: int) -> Link | ImageFile | None:
        if entry.kind == "s":
            self._last = None
            return Link(entry.target, layer)
        if entry.kind == "h":
            folder, _, name = entry.target.rpartition("/")
            linked = self._folder(folder, layer)[0].get(name)
            if isinstance(linked, Link | ImageFile):
                return linked if isinstance(linked, Link) or self._is_kept(path) else None
            return ImageFile(layer, entry.target) if self._is_kept(path) else None
        return ImageFile(layer, entry.path) if entry.kind == "f" and self._is_kept(path) else None

    def _folder(self, path: str, layer: int) -> tuple[Folder, str]:
        """Return the directory an entry of ``layer`` lies in, made if need be, and its path without links."""
        walk = PathWalk(self._root, path)
        for folder, name in walk:
            node = folder.get(name)
            if isinstance(node, Link) and node.layer == layer and walk.follow(node.target):
                continue
            if not isinstance(node, Folder):
                node = folder[name] = Folder()
            walk.enter(name, node)
        return walk.folder, walk.path


def _join(folder: str, *names: str) -> str:
    return "/".join((folder, *names) if folder else names)
