"""The distribution's packages: their files, and dpkg's books about them."""

import hashlib
import re

from tests.rig.good_image import GoodImage
from tests.rig.tampering import (
    Change,
    Klass,
    Tampering,
    again,
    appended,
    file,
    flipped,
    link,
    removed,
    replaced,
)
from tests.rig.tamperings.paths import DPKG, LIBRARY

PACKAGES = Klass("system packages")
GOMP = f"{DPKG}/info/libgomp1:amd64"

STANZA = re.compile(rb"^Package: libgomp1\n.*?\n\n", re.MULTILINE | re.DOTALL)
EVIL = (
    b"Package: evil\nStatus: install ok installed\nMaintainer: x <x@invalid>\n"
    b"Architecture: amd64\nVersion: 1\nDescription: x\n\n"
)


def fitting_sums(good: GoodImage) -> Change:
    """Change a library, and dpkg's sum of it."""
    path = f"{LIBRARY}/libgomp.so.1.0.0"
    before, after = good.read(path), flipped(good.read(path))
    sums = good.read(f"{GOMP}.md5sums").replace(_md5(before), _md5(after))
    return Change(entries=(again(good, path, after), again(good, f"{GOMP}.md5sums", sums)))


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()


def hidden_package(good: GoodImage) -> Change:
    """Have dpkg not know of libgomp1, whose files stay."""
    status = STANZA.sub(b"", good.read(f"{DPKG}/status"))
    lists = [path for path in good.nodes if path.startswith(f"{GOMP}.")]
    return Change(entries=(again(good, f"{DPKG}/status", status), *(removed(path) for path in sorted(lists))))


def removed_package(good: GoodImage) -> Change:
    """Remove libgomp1's files, which dpkg still knows."""
    return Change(entries=(removed(f"{LIBRARY}/libgomp.so.1"), removed(f"{LIBRARY}/libgomp.so.1.0.0")))


TAMPERINGS: tuple[Tampering, ...] = (
    PACKAGES.edits("a program differs in one bit", "usr/bin/sort", flipped),
    PACKAGES.edits("a library differs in one bit", f"{LIBRARY}/libgomp.so.1.0.0", flipped),
    PACKAGES.does("a library differs and dpkg's sum fits", f"{LIBRARY}/libgomp.so.1.0.0", fitting_sums),
    PACKAGES.adds("a library's name points to another", link(f"{LIBRARY}/libgomp.so.1", "libcap.so.2.66")),
    PACKAGES.adds(
        "a library's name points elsewhere", link(f"{LIBRARY}/libcap.so.2", "/usr/local/lib/libcap.so.2")
    ),
    PACKAGES.does("a library is gone", f"{LIBRARY}/libgomp.so.1.0.0", removed_package),
    PACKAGES.removes("a copyright is gone", "usr/share/doc/libc6/copyright"),
    PACKAGES.removes("a setting of a package is gone", "etc/ld.so.conf.d/libc.conf"),
    PACKAGES.does(
        "dpkg does not know of a package", re.compile(r"libgomp1"), hidden_package, at=f"{DPKG}/status"
    ),
    PACKAGES.edits("dpkg knows of a package more", f"{DPKG}/status", appended(b"\n" + EVIL)),
    PACKAGES.edits("dpkg has another version", f"{DPKG}/status", replaced(b"\nVersion: ", b"\nVersion: 9:")),
    PACKAGES.edits(
        "dpkg has a package half installed",
        f"{DPKG}/status",
        lambda content: content.replace(b"install ok installed", b"install ok half-configured", 1),
    ),
    PACKAGES.edits(
        "dpkg holds packages", f"{DPKG}/status", replaced(b"install ok installed", b"hold ok installed")
    ),
    PACKAGES.edits(
        "dpkg describes a package otherwise",
        f"{DPKG}/status",
        replaced(b"\nMaintainer: ", b"\nMaintainer: evil "),
    ),
    PACKAGES.edits("a maintainer script does more", f"{DPKG}/info/iputils-ping.postinst", appended("\nid\n")),
    PACKAGES.adds("a maintainer script more", file(f"{GOMP}.postinst", "#!/bin/sh\nid\n", mode=0o755)),
    PACKAGES.edits("a package's list of files", f"{GOMP}.list", appended("/usr/local/bin/git\n")),
    PACKAGES.edits("a package's sums", f"{GOMP}.md5sums", flipped),
    PACKAGES.edits("a package's triggers", f"{GOMP}.triggers", appended("interest-noawait ldconfig\n")),
    PACKAGES.edits("what triggers packages", f"{DPKG}/triggers/File", appended("/usr/bin evil\n")),
    PACKAGES.adds("a list without a package", file(f"{DPKG}/info/evil.list", "/.\n/usr/local/bin/git\n")),
    PACKAGES.adds(
        "dpkg leaves files out",
        file(f"{DPKG.replace('var/lib', 'etc')}/dpkg.cfg.d/nodoc", "path-exclude=/usr/share/doc/*\n"),
    ),
    PACKAGES.edits(
        "which packages came by themselves",
        "var/lib/apt/extended_states",
        appended("Package: libc6\nArchitecture: amd64\nAuto-Installed: 1\n\n"),
    ),
    PACKAGES.edits("the status before", f"{DPKG}/status-old", appended(EVIL)),
    PACKAGES.edits("what is available", f"{DPKG}/available", appended(EVIL)),
    PACKAGES.adds("a list of an archive", file("var/lib/apt/lists/archive.invalid_dists_x_InRelease", "\n")),
    PACKAGES.adds("an update of dpkg's books", file(f"{DPKG}/updates/0001", EVIL)),
    PACKAGES.adds("a package of another architecture", file(f"{DPKG}/arch", "amd64\narm64\n")),
)
