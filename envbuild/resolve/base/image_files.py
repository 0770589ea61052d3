"""Files of an image by the path a process in it would use."""

from collections.abc import Callable, Sequence
from functools import cached_property

from envbuild.resolve.base.image_tree import Folder, ImageFile, ImageTree, ResolvedPath
from envbuild.resolve.base.layer_scan import WANTED_FOLDERS, LayerScan, Program, is_kept


class ImageFiles:
    """The files of an image that its layers' scans keep, and on demand any other.

    A link may lead a wanted path to a file that no scan foresaw; then that layer alone is read once more.
    """

    def __init__(
        self, scans: Sequence[LayerScan], *, read_again: Callable[[int, frozenset[str]], LayerScan]
    ) -> None:
        """Look into ``scans``, bottom first; ``read_again`` scans a layer, keeping some paths more."""
        self._scans = list(scans)
        self._read_again = read_again
        self._also: set[str] = set()

    def content(self, path: str) -> bytes | None:
        """Return the bytes of a file, or None when there is no such file."""
        file = self._file(path)
        if file is None:
            return None
        if file.path not in self._scans[file.layer].contents:
            self._scans[file.layer] = self._read_again(file.layer, frozenset({file.path}))
        return self._scans[file.layer].contents.get(file.path)

    def text(self, path: str) -> str | None:
        """Return a file as text; what is not UTF-8 in it is replaced."""
        data = self.content(path)
        return None if data is None else data.decode(errors="replace")

    def program(self, path: str) -> tuple[str, Program] | None:
        """Return an executable's path without links, with a leading slash, and what identifies it."""
        file = self._file(path)
        if file is None:
            return None
        if file.path not in self._scans[file.layer].programs:
            self._scans[file.layer] = self._read_again(file.layer, frozenset({file.path}))
        program = self._scans[file.layer].programs.get(file.path)
        return (f"/{self._find(path).path}", program) if program else None

    def exists(self, path: str) -> bool:
        """Return whether there is a regular file at ``path``."""
        return self._file(path) is not None

    def names(self, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, sorted, without its folders; empty when there is no such folder."""
        place = self._find(folder)
        if isinstance(place.node, Folder) and place.path not in WANTED_FOLDERS:
            place = self._find_with(f"{place.path}/", folder)
        if not isinstance(place.node, Folder):
            return ()
        return tuple(sorted(name for name, node in place.node.items() if not isinstance(node, Folder)))

    def _file(self, path: str) -> ImageFile | None:
        place = self._find(path)
        if place.node is None and place.has_parent and not self._is_kept(place.path):
            # nothing is known of that path so far
            place = self._find_with(place.path, path)
        return place.node if isinstance(place.node, ImageFile) else None

    def _find(self, path: str) -> ResolvedPath:
        return self._tree.find(path)

    def _find_with(self, also: str, path: str) -> ResolvedPath:
        if also not in self._also:
            self._also.add(also)
            del self._tree
        return self._find(path)

    def _is_kept(self, path: str) -> bool:
        return is_kept(path) or path in self._also or f"{path.rpartition('/')[0]}/" in self._also

    @cached_property
    def _tree(self) -> ImageTree:
        tree = ImageTree(self._is_kept)
        for scan in self._scans:
            tree.add(scan)
        return tree
