"""The file system of an image as one digest, whatever engine, layers or times made it.

Form ``fsdigest v1``: one JSON line a path, sorted by bytes: type, mode, owner, and sha256 or link target; no
times.  What the engine mounts into every container, and ldconfig's cache of directory times, are left out.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping

import docker

LEFT_OUT = frozenset(
    {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "var/cache/ldconfig/aux-cache"}
)
MOUNTS = ("dev", "proc", "sys")


def tree_of_image(docker_host: str, reference: str) -> dict[str, tuple[str, int, int, int, str]]:
    """Return every path of an image: kind, mode, uid, gid, and content digest or link target."""
    client = docker.DockerClient(base_url=docker_host)
    try:
        container = client.containers.create(reference, command=["true"])
        try:
            chunks: Iterable[bytes] = container.export()  # type: ignore[assignment]
            exported = io.BytesIO(b"".join(chunks))
        finally:
            container.remove(force=True)
    finally:
        client.close()
    tree: dict[str, tuple[str, int, int, int, str]] = {}
    with tarfile.open(fileobj=exported) as archive:
        for entry in archive:
            path = entry.name.removeprefix("./").rstrip("/")
            if not path or path in LEFT_OUT or path.split("/")[0] in MOUNTS:
                continue
            if entry.islnk():
                tree[path] = tree[entry.linkname.removeprefix("./")]
                continue
            stream = archive.extractfile(entry) if entry.isreg() else None
            content = hashlib.sha256(stream.read()).hexdigest() if stream else entry.linkname
            kind = (
                "file" if entry.isreg() else "dir" if entry.isdir() else "link" if entry.issym() else "other"
            )
            mode = 0 if entry.issym() else entry.mode & 0o7777
            tree[path] = (kind, mode, entry.uid, entry.gid, content)
    return tree


def digest_of_tree(tree: Mapping[str, tuple[str, int, int, int, str]]) -> str:
    """Return the digest of a tree."""
    state = hashlib.sha256()
    for path in sorted(tree, key=str.encode):
        state.update(json.dumps([path, tree[path]], separators=(",", ":")).encode() + b"\n")
    return state.hexdigest()
