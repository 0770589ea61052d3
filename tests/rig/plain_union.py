"""Layers laid on each other the slow and obvious way, to hold the real code to.

Each layer is unpacked into a table of its own, path by path; then tables are merged as overlayfs merges
directories.  No path is treated specially and everything is kept.
"""

from collections.abc import Sequence

from hypothesis import reject

from tests.rig.layer_items import Item

Node = tuple[str, bytes]
"""Kind and content: of a file its bytes, of a link where it points."""
Tree = dict[str, Node]

DIRECTORY: Node = ("d", b"")
MOST_LINKS = 40


def union(layers: Sequence[Sequence[Item]]) -> Tree:
    """Return the tree that `layers`, bottom first, amount to."""
    merged: Tree = {}
    for items in layers:
        for item in items:
            folder, _, name = item.path.rpartition("/")
            if name == ".wh..wh..opq":
                make_folders(merged, folder)
                drop_below(merged, folder)
            elif name.startswith(".wh."):
                make_folders(merged, folder)
                drop(merged, f"{folder}/{name[4:]}".lstrip("/"))
        own = unpacked([item for item in items if not item.path.rpartition("/")[2].startswith(".wh.")])
        for path in sorted(own, key=lambda path: path.count("/")):
            if own[path] != DIRECTORY or merged.get(path) != DIRECTORY:
                drop(merged, path)
                merged[path] = own[path]
    return merged


def unpacked(items: Sequence[Item]) -> Tree:
    """Return the tree of one layer alone."""
    tree: Tree = {}
    for item in items:
        path = real_path(tree, item.path)
        make_folders(tree, path.rpartition("/")[0], strict=True)
        if item.kind == "h":
            node = tree.get(real_path(tree, item.content.decode()))
            # engines refuse such layers
            if node is None or node == DIRECTORY or path == real_path(tree, item.content.decode()):
                reject()
        else:
            node = (item.kind, item.content)
        if node != DIRECTORY or tree.get(path) != DIRECTORY:
            drop(tree, path)
            tree[path] = node
    return tree


def real_path(tree: Tree, path: str) -> str:
    """Return the path with the links of its folders followed, its last part left as it is."""
    folder, _, name = path.rpartition("/")
    return f"{follow(tree, folder)}/{name}".lstrip("/")


def follow(tree: Tree, path: str) -> str:
    """Return where `path` leads, links included, as far as anything is there."""
    found: list[str] = []
    todo = path.split("/")
    links = 0
    while todo:
        name = todo.pop(0)
        if name in {"", "."}:
            continue
        if name == "..":
            found = found[:-1]
            continue
        node = tree.get("/".join([*found, name]))
        if node is not None and node[0] == "s":
            links += 1
            if links > MOST_LINKS:
                reject()
            target = node[1].decode()
            if target.startswith("/"):
                found = []
            todo = [*target.split("/"), *todo]
        else:
            found.append(name)
    return "/".join(found)


def lookup(tree: Tree, path: str) -> bytes | None:
    """Return the content a process reads at `path`, if it is a regular file."""
    found: list[str] = []
    todo = [name for name in path.split("/") if name not in {"", "."}]
    links = 0
    while todo:
        name = todo.pop(0)
        if name == "..":
            found = found[:-1]
            continue
        here = "/".join([*found, name])
        node = tree.get(here)
        if node is None:
            return None
        if node[0] == "s":
            links += 1
            if links > MOST_LINKS:
                return None
            target = node[1].decode()
            found = [] if target.startswith("/") else found
            todo = [*(part for part in target.split("/") if part not in {"", "."}), *todo]
        elif node[0] == "d":
            found.append(name)
        else:
            return node[1] if not todo and node[0] == "f" else None
    return None


def make_folders(tree: Tree, path: str, *, strict: bool = False) -> None:
    """Make the folders of `path`; a file in the way gives way, or spoils the layer when it is its own."""
    parts = [part for part in path.split("/") if part]
    for end in range(1, len(parts) + 1):
        here = "/".join(parts[:end])
        if tree.get(here) != DIRECTORY:
            if strict and here in tree:
                reject()
            drop(tree, here)
            tree[here] = DIRECTORY


def drop(tree: Tree, path: str) -> None:
    tree.pop(path, None)
    drop_below(tree, path)


def drop_below(tree: Tree, path: str) -> None:
    prefix = f"{path}/" if path else ""
    for other in [other for other in tree if other.startswith(prefix)]:
        del tree[other]
