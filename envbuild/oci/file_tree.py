"""The file system that the layers of an image amount to.

Layers are laid on each other as overlayfs does it, which engines use: each layer is a tree of its own, links
in it lead within it, and a folder it needs but does not list hides a link of the same name below.  Engines
read some archives in different ways; what they could disagree on is kept as an :class:`Oddity`.  No engine
writes such a layer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from envbuild.oci.layer_listing import DERIVED, HARD_LINK, IMPLIED_FOLDER, FileRecord, LayerListing
from envbuild.oci.layer_paths import PathWalk

MOST_ODDITIES: Final = 100
"""Oddities kept of one layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something in a layer that engines read in different ways."""

    layer: int
    """Position from the bottom, 0 first."""

    path: str
    """With leading slash."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTree:
    """Every path of an image."""

    records: Mapping[str, FileRecord]
    """By absolute path; ``/`` is the root."""

    oddities: tuple[Oddity, ...] = ()


def merge_layers(listings: Sequence[LayerListing]) -> FileTree:
    """Return the tree of ``listings``, bottom first.

    Nothing is raised for layers that engines read in different ways: the tree has the first oddities of each.
    """
    merge = _Merge()
    for listing in listings:
        merge.add(listing)
    return FileTree(records=dict(merge.flat()), oddities=tuple(merge.oddities))


@dataclass(slots=True)
class _Branch:
    record: FileRecord
    layer: int
    children: dict[str, "_Branch | _Leaf"] = field(default_factory=dict)


@dataclass(slots=True)
class _Leaf:
    record: FileRecord
    layer: int


def _is_same_file(name: FileRecord, linked: FileRecord) -> bool:
    """Return whether an entry that is another name of a file agrees with it: some engines apply the last."""
    if (name.uid, name.gid) != (linked.uid, linked.gid):
        return False
    if linked.kind != "l" and name.mode != linked.mode:
        return False
    stored = tuple(item for item in linked.attributes if not item[0].startswith(DERIVED))
    return not name.attributes or name.attributes == stored


class _Merge:
    def __init__(self) -> None:
        self._root = _Branch(IMPLIED_FOLDER, -1)
        self._layer = -1
        self.oddities: list[Oddity] = []
        self._odd_here: set[Oddity] = set()

    def add(self, listing: LayerListing) -> None:
        self._layer += 1
        self._odd_here.clear()
        removed = self._remove(listing)
        seen: dict[str, FileRecord] = {}
        for path, record in listing.entries:
            if seen.setdefault(path, record) != record:
                self._note(path, "is there twice in one layer")
            if path in removed and record.kind == "d":
                # containerd then shows what was in it
                self._note(path, "is a folder that is removed and made again in one layer")
            self._put(path, record)
        # a link of this very layer may stand in the way of a removal too
        for path in (*listing.opaques, *(path.rpartition("/")[0] for path in listing.whiteouts)):
            self._below(path)

    def _remove(self, listing: LayerListing) -> set[str]:
        """Remove what the next layer removes, and return the folders among it.

        Whatever their place in the archive, removals concern the layers below only.
        """
        for path in listing.opaques:
            folder = self._below(path)
            if not path:
                self._note(path, "is emptied: overlayfs keeps what lies below the root of a layer")
            if folder is not None:
                folder.children.clear()
        removed: set[str] = set()
        for path in listing.whiteouts:
            parent, _, name = path.rpartition("/")
            holder = self._below(parent)
            if holder is not None and isinstance(holder.children.pop(name, None), _Branch):
                removed.add(path)
        for path in listing.late_whiteouts:
            self._note(path, "is removed by the layer that brings it")
        return removed

    def flat(self) -> Iterator[tuple[str, FileRecord]]:
        """Yield every path, folders before what is in them, by name."""
        yield "/", self._root.record
        pending: list[tuple[str, _Branch]] = [("", self._root)]
        while pending:
            place, folder = pending.pop()
            below = []
            for name, node in sorted(folder.children.items()):
                path = f"{place}/{name}"
                yield path, node.record
                if isinstance(node, _Branch):
                    below.append((path, node))
            pending += reversed(below)

    def _note(self, path: str, reason: str) -> None:
        oddity = Oddity(layer=self._layer, path=f"/{path}", reason=reason)
        if len(self._odd_here) < MOST_ODDITIES and oddity not in self._odd_here:
            self._odd_here.add(oddity)
            self.oddities.append(oddity)

    def _below(self, path: str) -> _Branch | None:
        """Return the folder at ``path``, if there is one; links are not followed."""
        here = self._root
        for name in path.split("/") if path else ():
            node = here.children.get(name)
            if isinstance(node, _Leaf):
                self._note(path, "is where something is removed, and is no folder")
            if not isinstance(node, _Branch):
                return None
            here = node
        return here

    def _put(self, path: str, record: FileRecord) -> None:
        if not path:
            if record.kind == "d":
                self._root.record = record
            else:
                self._note(path, "is no folder")
            return
        parent, _, name = path.rpartition("/")
        folder = self._folder(parent)
        found = folder.children.get(name)
        if record.kind == HARD_LINK:
            linked = self._linked(record.content or "")
            if linked is None:
                self._note(path, f"is another name of /{record.content}, which the layer does not hold")
                return
            if not _is_same_file(record, linked):
                self._note(path, f"is another name of /{record.content}, with another mode or owner")
            record = linked
        if record.kind != "d":
            folder.children[name] = _Leaf(record, self._layer)
        elif isinstance(found, _Branch):
            found.record, found.layer = record, self._layer
        else:
            folder.children[name] = _Branch(record, self._layer)

    def _linked(self, path: str) -> FileRecord | None:
        parent, _, name = path.rpartition("/")
        node = self._folder(parent, make=False).children.get(name)
        if not isinstance(node, _Leaf) or node.layer != self._layer:
            return None
        return node.record

    def _folder(self, path: str, *, make: bool = True) -> _Branch:
        """Return the folder that an entry of this layer lies in, made if need be."""
        walk = PathWalk(self._root, path)
        for folder, name in walk:
            node = folder.children.get(name)
            if isinstance(node, _Leaf):
                self._note(path, f"lies below /{walk.path}/{name}, which is no folder".replace("//", "/"))
                is_link_here = node.record.kind == "l" and node.layer == self._layer
                if is_link_here and walk.follow(node.record.content or ""):
                    continue
            if not isinstance(node, _Branch):
                made = _Branch(IMPLIED_FOLDER, self._layer)
                if make:
                    # engines give it attributes of what they find below, or their own
                    self._note(f"{walk.path}/{name}".lstrip("/"), "is a folder that no layer lists")
                    folder.children[name] = made
                node = made
            walk.enter(name, node)
        return walk.folder
