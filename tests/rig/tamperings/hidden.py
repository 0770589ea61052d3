"""Skipped as known: mounts, links, bytecode, alternatives, overrides, caches, and files nobody owns."""

from tests.rig.good_image import GoodImage
from tests.rig.tampering import (
    Change,
    Klass,
    Tampering,
    again,
    appended,
    edited,
    file,
    flipped,
    hard_link,
    link,
    program,
    removed,
    setting,
)
from tests.rig.tamperings.answers import bytecode_of, foreign_bytecode
from tests.rig.tamperings.paths import DPKG, INTERPRETER, LIBRARY, NUMPY, SITE, STDLIB, VENV

MOUNTS = Klass("seen through a mount")
KNOWN = Klass("skipped as known")

VERSION_BYTECODE = f"{NUMPY}/__pycache__/version.cpython-311.pyc"


def below_a_volume(volume: str, path: str) -> Tampering:
    return MOUNTS.does(
        f"a change below the volume {volume}",
        path,
        lambda good: Change(
            entries=(again(good, path, flipped(good.read(path))),),
            config=edited(setting("Volumes", {volume: {}})),
        ),
    )


def overridden(good: GoodImage) -> Change:
    return Change(
        entries=(
            file(f"{DPKG}/statoverride", "root root 4755 /usr/bin/dash\n"),
            again(good, "usr/bin/dash", mode=0o4755),
        )
    )


def diverted(good: GoodImage) -> Change:
    listed = good.read(f"{DPKG}/diversions") + b"/usr/bin/sort\n/usr/bin/sort.distrib\n:\n"
    return Change(
        entries=(
            again(good, f"{DPKG}/diversions", listed),
            again(good, "usr/bin/sort", name="usr/bin/sort.distrib"),
            again(good, "usr/bin/sort", b'#!/bin/sh\nexec /usr/bin/sort.distrib "$@"\n'),
        )
    )


def folder_of_bytecode_as_link(good: GoodImage) -> Change:
    """Move numpy.fft's bytecode elsewhere, with one of it changed."""
    inside = f"{NUMPY}/fft/__pycache__"
    paths = sorted(path for path in good.nodes if path.startswith(f"{inside}/"))
    moved = [again(good, path, name=path.replace(inside, "var/lib/misc/cache")) for path in paths]
    first, *others = moved
    return Change(
        entries=((first[0], flipped(first[1])), *others, removed(inside), link(inside, "/var/lib/misc/cache"))
    )


TAMPERINGS: tuple[Tampering, ...] = (
    below_a_volume(f"/{NUMPY}", f"{NUMPY}/version.py"),
    below_a_volume("/usr/lib/python3.11", f"{STDLIB}/hashlib.py"),
    below_a_volume("/etc", "etc/ssl/openssl.cnf"),
    below_a_volume("/", "usr/bin/sort"),
    MOUNTS.does(
        "a program below the volume /usr/local",
        "usr/local/bin/git",
        lambda _: Change(
            entries=(program("usr/local/bin/git"),), config=edited(setting("Volumes", {"/usr/local": {}}))
        ),
    ),
    KNOWN.does(
        "bytecode is a link",
        VERSION_BYTECODE,
        lambda good: Change(
            entries=(
                again(
                    good,
                    VERSION_BYTECODE,
                    good.read(VERSION_BYTECODE)[:16] + foreign_bytecode("version = '0'"),
                    name="var/lib/misc/a.pyc",
                ),
                link(VERSION_BYTECODE, "/var/lib/misc/a.pyc"),
            )
        ),
    ),
    KNOWN.does("a folder of bytecode is a link", f"{NUMPY}/fft/__pycache__", folder_of_bytecode_as_link),
    KNOWN.does(
        "bytecode is another's under the old header",
        VERSION_BYTECODE,
        lambda good: Change(entries=(bytecode_of(good, VERSION_BYTECODE, "version = '0'"),)),
    ),
    KNOWN.does(
        "bytecode nobody compares with its source",
        VERSION_BYTECODE,
        lambda good: Change(
            entries=(
                again(
                    good,
                    VERSION_BYTECODE,
                    good.read(VERSION_BYTECODE)[:4]
                    + b"\x01\0\0\0"
                    + bytes(8)
                    + foreign_bytecode("version = '0'"),
                ),
            )
        ),
    ),
    KNOWN.adds(
        "bytecode without a source",
        file(f"{SITE}/hidden.pyc", b"\xa7\r\r\n" + bytes(12) + foreign_bytecode("x = 1")),
    ),
    KNOWN.adds(
        "stale bytecode earlier on the path",
        file(
            f"{STDLIB}/__pycache__/six.cpython-311.pyc", b"\xa7\r\r\n" + bytes(12) + foreign_bytecode("x = 1")
        ),
    ),
    KNOWN.adds(
        "bytecode of another optimisation",
        file(
            f"{NUMPY}/__pycache__/version.cpython-311.opt-2.pyc",
            b"\xa7\r\r\n" + bytes(12) + foreign_bytecode("x = 1"),
        ),
    ),
    KNOWN.edits(
        "the environment sees the system's packages",
        f"{VENV}/pyvenv.cfg",
        appended("\nInclude-System-Site-Packages=TRUE\n"),
    ),
    KNOWN.edits(
        "the environment's home is elsewhere", f"{VENV}/pyvenv.cfg", appended("\nHOME =/var/lib/misc\n")
    ),
    KNOWN.edits(
        "the environment's settings with other ends of lines",
        f"{VENV}/pyvenv.cfg",
        lambda content: content.replace(b"\n", b"\x0b"),
    ),
    KNOWN.edits("an activation script runs more", f"{VENV}/bin/activate", appended("id\n")),
    KNOWN.adds(
        "alternatives point elsewhere",
        link("etc/alternatives/awk", "/usr/local/bin/awk"),
        program("usr/local/bin/awk"),
    ),
    KNOWN.adds(
        "an alternative for python3",
        link("etc/alternatives/python3", "/usr/local/bin/python3"),
        link("usr/local/bin/python", "/etc/alternatives/python3"),
    ),
    KNOWN.adds(
        "files below a link into alternatives",
        file("var/lib/misc/fonts/tool", "id\n", mode=0o755),
        link("etc/alternatives/fonts", "/var/lib/misc/fonts"),
        link("usr/share/fonts", "/etc/alternatives/fonts"),
    ),
    KNOWN.edits("the record of an alternative", f"{DPKG}/alternatives/awk", appended("\n")),
    KNOWN.does("a mode that an override excuses", "usr/bin/dash", overridden),
    KNOWN.adds("an override alone", file(f"{DPKG}/statoverride", "root root 4755 /usr/bin/dash\n")),
    KNOWN.does("a program that was diverted", "usr/bin/sort", diverted),
    KNOWN.adds(
        "a type of file that runs a program", file("usr/share/mime/packages/evil.xml", "<mime-info/>\n")
    ),
    KNOWN.adds("a cache of types", file("usr/share/mime/mime.cache", b"\0" * 100)),
    KNOWN.adds("a font", file("usr/share/fonts/truetype/evil.ttf", b"\0\1\0\0")),
    KNOWN.adds("a cache of fonts", file("var/cache/fontconfig/evil.cache-7", b"\0" * 100)),
    KNOWN.adds("a cache of icons", program("usr/share/icons/hicolor/icon-theme.cache", "id\n")),
    KNOWN.edits("the cache of converters", f"{LIBRARY}/gconv/gconv-modules.cache", flipped),
    KNOWN.adds("a library called a cache", program(f"{LIBRARY}/evil.cache", b"\x7fELF")),
    KNOWN.adds("a locale archive", file("usr/lib/locale/locale-archive", b"\0" * 100)),
    KNOWN.edits("a locale", "usr/lib/locale/C.utf8/LC_CTYPE", flipped),
    KNOWN.adds("an index of information", file("usr/share/info/dir", "x\n")),
    KNOWN.adds("a module for everybody", file("usr/lib/python3/dist-packages/numpy.py", "\n")),
    KNOWN.adds("a path file for everybody", file("usr/lib/python3/dist-packages/a.pth", "import os\n")),
    KNOWN.does(
        "a hard link to a file of the image",
        "usr/local/bin/shell",
        lambda good: Change(
            entries=(again(good, "usr/bin/dash"), hard_link("usr/local/bin/shell", "usr/bin/dash"))
        ),
    ),
    KNOWN.adds("a link to the interpreter", link("usr/local/bin/python3.11", f"/{INTERPRETER}")),
)
