"""Entries that no build writes: devices, pipes, odd names, links above files, two of the same path."""

import re

from tests.rig.good_image import GoodImage
from tests.rig.tampering import (
    Change,
    Klass,
    Tampering,
    again,
    device,
    emptied,
    fifo,
    file,
    folder,
    hard_link,
    holed,
    link,
    program,
    removed,
)
from tests.rig.tamperings.paths import NUMPY, SITE

SHAPES = Klass("kinds of entries")
NAMES = Klass("odd names")
ORDER = Klass("order of a layer")

SIX = f"{SITE}/six.py"
FFT = f"{NUMPY}/fft"


def twice(good: GoodImage) -> Change:
    """Have the right file first, and another one after it."""
    return Change(entries=(again(good, SIX), again(good, SIX, b"x = 1\n")))


def right_one_last(good: GoodImage) -> Change:
    """Have another file first, which some programs would read, and the right one after it."""
    return Change(entries=(again(good, SIX, b"x = 1\n"), again(good, SIX)))


def made_again(good: GoodImage) -> Change:
    """Remove a folder and have it back in the same layer, which engines make different things of."""
    paths = sorted(path for path in good.nodes if path.startswith(f"{FFT}/"))
    return Change(entries=(removed(FFT), again(good, FFT), *(again(good, path) for path in paths)))


def deep_name() -> str:
    return "srv/" + "/".join(["deeper"] * 300)


TAMPERINGS: tuple[Tampering, ...] = (
    SHAPES.adds("a device of characters", device("usr/lib/null", 1, 3)),
    SHAPES.adds("a device of blocks", device("srv/disk", 7, 200, is_block=True)),
    SHAPES.adds("a device among devices", device("dev/mem", 1, 1)),
    SHAPES.adds("a file is a device", device("etc/gai.conf", 1, 3)),
    SHAPES.adds("a module is a pipe that nobody writes", fifo(SIX)),
    SHAPES.adds("a pipe", fifo("srv/pipe")),
    SHAPES.adds("a folder is a file", file(f"{NUMPY}/fft", "x\n")),
    SHAPES.adds("a file is a folder", removed(SIX), folder(SIX), file(f"{SIX}/__init__.py"), named=SIX),
    SHAPES.adds("a link to itself", link("srv/loop", "loop")),
    SHAPES.adds("a link to nothing", link("srv/nothing", "/nonexistent")),
    SHAPES.adds("a link out of the image", link("srv/out", "../../../../../../etc/shadow")),
    SHAPES.adds(
        "a folder of the system is a link", removed("srv"), link("srv", "/var/lib/misc"), named="srv"
    ),
    SHAPES.adds("a link with a target of control characters", link("srv/odd", "a\x1b[2J\nb")),
    NAMES.adds(
        "a line feed", file("srv/a\nb"), named=re.compile(r"srv/a(\\n|\\x0a|␊|\?|\\012|.)b"), at="srv/a\nb"
    ),
    NAMES.adds(
        "escapes",
        file("srv/\x1b[2J\x1b]0;owned\x07"),
        named=re.compile(r"srv/[^\x1b]*\[2J"),
        at="srv/\x1b[2J\x1b]0;owned\x07",
    ),
    NAMES.adds("no UTF-8", file("srv/\udcff\udcfe"), named=re.compile(r"srv/\S+"), at="srv/\udcff\udcfe"),
    NAMES.adds(
        "a change of direction",
        file("srv/\u202egnp.exe"),
        named=re.compile(r"srv/\S*gnp\.exe"),
        at="srv/\u202egnp.exe",
    ),
    NAMES.adds(
        "a name like another",
        file(f"{SITE}/siх.py"),
        named=re.compile(r"site-packages/si(х|\\u0445)\.py"),
        at=f"{SITE}/siх.py",
    ),
    NAMES.adds("a name of two spellings", file("srv/e\u0301"), named=re.compile(r"srv/e"), at="srv/e\u0301"),
    NAMES.adds("a space at the end", file("srv/name ")),
    NAMES.adds("a dash at the beginning", file("srv/-rf")),
    NAMES.adds(
        "a backslash and quotes",
        file("srv/\\\"'`$(id)"),
        named=re.compile(r"srv/\S+\$\(id\)"),
        at="srv/\\\"'`$(id)",
    ),
    NAMES.adds("a name of 255 bytes", file(f"srv/{'n' * 255}"), named="srv/nnnnnnnn", at=f"srv/{'n' * 255}"),
    NAMES.adds(
        "three hundred folders deep", file(f"{deep_name()}/end"), named="srv/deeper", at=f"{deep_name()}/end"
    ),
    NAMES.adds("a hidden name of dots", file("srv/...")),
    NAMES.does(
        "a slash at the front",
        "usr/local/bin/git",
        lambda _: Change(entries=(program("/usr/local/bin/git"),), is_bare=True),
        is_refused=True,
    ),
    NAMES.adds("a dot at the front", program("./usr/local/bin/git"), named="usr/local/bin/git"),
    NAMES.does(
        "a way back inside",
        "usr/local/bin/git",
        lambda _: Change(entries=(program("usr/../usr/local/bin/git"),), is_bare=True),
        is_refused=True,
    ),
    NAMES.does(
        "a way out",
        re.compile(r"\.\./"),
        lambda _: Change(entries=(file("../tmp/out-of-the-image"),), is_bare=True),
        at="tmp/out-of-the-image",
        is_refused=True,
    ),
    ORDER.does("a path twice, the right one last", SIX, right_one_last),
    ORDER.does(
        "all layers in one, and one owner is another",
        "usr/bin/sort",
        lambda good: Change(entries=(again(good, "usr/bin/sort", uid=1000),), is_squashed=True),
    ),
    ORDER.does("the same path twice, the wrong one last", SIX, twice),
    ORDER.adds(
        "below a link of the image",
        program("bin/evil"),
        named=re.compile(r"bin/evil|(^|[ /])bin\b"),
        at="bin/evil",
        is_bare=True,
    ),
    ORDER.adds(
        "below a link of the same layer",
        link("srv/etc", "/etc"),
        file("srv/etc/evil"),
        named=re.compile(r"srv/etc|etc/evil"),
        at="srv/etc",
        is_bare=True,
    ),
    ORDER.adds(
        "below a link that leads out",
        link("srv/out", "../../../../tmp"),
        file("srv/out/out-of-the-image"),
        named=re.compile(r"srv/out|tmp/out-of-the-image"),
        at="srv/out",
        is_bare=True,
    ),
    # engines lay a layer out by itself: there is nothing to link to
    ORDER.does(
        "a hard link into a layer below",
        "srv/linked",
        lambda _: Change(entries=(hard_link("srv/linked", SIX),)),
        is_refused=True,
    ),
    ORDER.adds("removed and added again", removed(SIX), file(SIX, "x = 1\n"), named=SIX),
    ORDER.adds("a folder without the folders above it", file("srv/a/b/c"), is_bare=True),
    # engines give such a folder attributes of their own
    ORDER.adds(
        "a folder that no layer lists",
        file("srv/unlisted/file"),
        named=re.compile(r"srv/unlisted$"),
        at="srv/unlisted/file",
        is_bare=True,
    ),
    ORDER.does("a folder removed and there again", FFT, made_again),
    ORDER.does(
        "a folder removed, and there again without a file",
        re.compile(rf"{FFT}$"),
        lambda good: Change(entries=(removed(FFT), again(good, FFT))),
        at=f"{FFT}/__init__.py",
    ),
    # overlayfs does not know such a mark at the root of a layer
    ORDER.adds(
        "everything removed by a mark",
        emptied(""),
        file("srv/alone"),
        named=re.compile(r"is emptied"),
        at="etc",
        is_bare=True,
    ),
    ORDER.adds("a file with a hole", holed("srv/holes", b"content"), named="srv/holes"),
    ORDER.does(
        "a program with a hole",
        "usr/bin/sort",
        lambda _: Change(entries=(holed("usr/bin/sort", b"#!/bin/sh\n"),)),
    ),
    ORDER.adds(
        "a removal of nothing, and a file",
        removed("srv/nothing"),
        file("srv/something"),
        named="srv/something",
    ),
)
