"""Places for mounts in folders that are mounted themselves, made by the caller.

An engine of root makes what is missing as root, in the caller's own folder.
"""

from collections.abc import Iterable
from pathlib import PurePosixPath

from envbuild.image.container_options import Mount


def make_mount_points(mounts: Iterable[Mount], workdir: str | None) -> None:
    """Make what ``mounts`` and ``workdir`` need in mounted folders of this machine, as this user.

    What cannot be made is left to the engine, and so is what lies behind a link: in the container it leads
    elsewhere.
    """
    mounts = tuple(mounts)
    for mount in mounts:
        is_file = mount.source is not None and not mount.source.is_dir()
        _make(mount.target, [other for other in mounts if other is not mount], is_file=is_file)
    if workdir is not None:
        _make(workdir, mounts, is_file=False)


def _make(path: str, mounts: Iterable[Mount], *, is_file: bool) -> None:
    above = [mount for mount in mounts if PurePosixPath(path).is_relative_to(mount.target)]
    mount = max(above, key=lambda item: len(PurePosixPath(item.target).parts), default=None)
    if mount is None or mount.source is None or mount.read_only or not mount.source.is_dir():
        return
    here = mount.source
    parts = PurePosixPath(path).relative_to(mount.target).parts
    for number, part in enumerate(parts, 1):
        here /= part
        if here.is_symlink() or (here.exists() and not here.is_dir()):
            return
        try:
            if is_file and number == len(parts):
                here.touch()
            elif not here.exists():
                here.mkdir()
        except OSError:
            # the engine, as root, may be able to
            return
