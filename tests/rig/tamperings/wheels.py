"""The Python environment: files of wheels, their metadata, and what comes before them."""

import base64
import hashlib
import re
from collections.abc import Callable

from tests.rig.good_image import GoodImage
from tests.rig.tampering import (
    Change,
    Entry,
    Klass,
    Tampering,
    again,
    appended,
    emptied,
    file,
    flipped,
    hard_link,
    link,
    program,
    removed,
    replaced,
)
from tests.rig.tamperings.paths import MULTIARRAY, NUMPY, SITE, STDLIB, VENV

FILES = Klass("files of wheels")
SHADOWS = Klass("comes before a wheel")

SIX = "six-1.17.0.dist-info"
NOTE = b"\n# somebody was here\n"


def record_entry(path: str, data: bytes) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return b"%s,sha256=%s,%d" % (path.encode(), digest, len(data))


def fitting(path: str, edit: Callable[[bytes], bytes]) -> Callable[[GoodImage], Change]:
    """Change a file of a wheel, and the line of its RECORD with it."""

    def make(good: GoodImage) -> Change:
        wheel = "six" if path.startswith("six") else path.partition("/")[0]
        record = good.find(f"{wheel}-*.dist-info/RECORD")
        data = edit(good.read(f"{SITE}/{path}"))
        lines = [
            record_entry(path, data) if line.startswith(f"{path},".encode()) else line
            for line in good.read(record).split(b"\n")
        ]
        return Change(entries=(again(good, f"{SITE}/{path}", data), again(good, record, b"\n".join(lines))))

    return make


def older_six(good: GoodImage) -> Change:
    """Put six 1.16.0 in the place of 1.17.0, whole and with metadata that fit."""
    entries: list[Entry] = [removed(f"{SITE}/{SIX}")]
    files: dict[str, bytes] = {"six.py": good.read(f"{SITE}/six.py").replace(b"1.17.0", b"1.16.0")}
    older = SIX.replace("1.17.0", "1.16.0")
    for name in ("METADATA", "WHEEL", "top_level.txt", "INSTALLER", "LICENSE"):
        files[f"{older}/{name}"] = good.read(f"{SITE}/{SIX}/{name}").replace(b"1.17.0", b"1.16.0")
    record = b"".join(record_entry(path, data) + b"\n" for path, data in files.items())
    files[f"{older}/RECORD"] = record + f"{older}/RECORD,,\n".encode()
    entries += [file(f"{SITE}/{path}", data) for path, data in files.items()]
    return Change(entries=tuple(entries))


def metadata(text: str) -> str:
    return f"Metadata-Version: 2.1\nName: {text}\nVersion: 1.0\n"


TAMPERINGS: tuple[Tampering, ...] = (
    FILES.edits("a library differs in one bit", MULTIARRAY, flipped),
    FILES.edits(
        "a bundled library differs in one bit",
        f"{NUMPY}/random/mtrand.cpython-311-x86_64-linux-gnu.so",
        flipped,
    ),
    FILES.edits("a module has a line more", f"{NUMPY}/__init__.py", appended(NOTE)),
    FILES.does(
        "a module has a line more and its record fits",
        f"{NUMPY}/__init__.py",
        fitting("numpy/__init__.py", appended(NOTE)),
    ),
    FILES.does(
        "a small module differs and its record fits", f"{SITE}/six.py", fitting("six.py", appended(NOTE))
    ),
    FILES.edits("the record alone", f"{SITE}/{SIX}/RECORD", appended(b"evil.py,,\n")),
    FILES.edits(
        "the metadata require more",
        f"{SITE}/{SIX}/METADATA",
        replaced(b"Name: six\n", b"Name: six\nRequires-Dist: evil\n"),
    ),
    FILES.edits(
        "the metadata say another version",
        f"{SITE}/{SIX}/METADATA",
        replaced(b"Version: 1.17.0", b"Version: 1.18.0"),
    ),
    FILES.edits("who installed it", f"{SITE}/{SIX}/INSTALLER", lambda _: b"conda\n"),
    FILES.edits("the tags of the wheel", f"{SITE}/{SIX}/WHEEL", appended("Tag: cp311-none-any\n")),
    FILES.adds(
        "where it came from",
        file(f"{SITE}/{SIX}/direct_url.json", '{"url": "https://index.invalid/six.whl"}'),
    ),
    FILES.adds("it was asked for", file(f"{SITE}/{SIX}/REQUESTED")),
    FILES.edits("the script of a wheel", f"{VENV}/bin/f2py", appended("import os\n")),
    FILES.edits(
        "the interpreter of a script",
        f"{VENV}/bin/f2py",
        replaced(b"#!/opt/venv/bin/python", b"#!/tmp/opt/v/bin/python"),
    ),
    FILES.removes("a module is gone", f"{SITE}/six.py"),
    FILES.removes("a package is gone", f"{NUMPY}/fft"),
    FILES.adds("a package is emptied", emptied(f"{NUMPY}/fft"), named=f"{NUMPY}/fft/__init__.py"),
    FILES.removes("a licence is gone", f"{SITE}/{SIX}/LICENSE"),
    FILES.removes("bytecode is gone", f"{SITE}/__pycache__/six.cpython-311.pyc"),
    FILES.does(
        "another version with metadata that fit",
        re.compile(r"six\b.*1\.1[67]\.0|six\.py"),
        older_six,
        at=f"{SITE}/six.py",
    ),
    FILES.adds(
        "a second distribution of the same name",
        file(f"{SITE}/six-1.16.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: six\nVersion: 1.16.0\n"),
    ),
    FILES.adds(
        "a distribution more",
        file(f"{SITE}/evil-1.0.dist-info/METADATA", metadata("evil")),
        file(f"{SITE}/evil.py", "\n"),
    ),
    FILES.adds("a distribution as an egg", file(f"{SITE}/evil-1.0.egg-info", metadata("evil"))),
    FILES.does(
        "a module is a link to the same bytes",
        f"{SITE}/six.py",
        lambda good: Change(
            entries=(
                again(good, f"{SITE}/six.py", name="var/lib/misc/six.py"),
                link(f"{SITE}/six.py", "/var/lib/misc/six.py"),
            )
        ),
    ),
    FILES.does(
        "a module is a hard link to another file",
        f"{SITE}/six.py",
        lambda good: Change(
            entries=(
                again(good, f"{SITE}/{SIX}/LICENSE"),
                hard_link(f"{SITE}/six.py", f"{SITE}/{SIX}/LICENSE"),
            )
        ),
    ),
    FILES.adds(
        "a package is a link", removed(f"{NUMPY}/fft"), link(f"{NUMPY}/fft", "linalg"), named=f"{NUMPY}/fft"
    ),
    FILES.edits("a stub", f"{NUMPY}/version.pyi", appended(NOTE)),
    FILES.edits("a licence", f"{SITE}/{SIX}/LICENSE", flipped),
    SHADOWS.adds("a package before a module", file(f"{SITE}/six/__init__.py", "\n")),
    SHADOWS.adds(
        "a library before a module", program(f"{SITE}/six.cpython-311-x86_64-linux-gnu.so", b"\x7fELF")
    ),
    SHADOWS.adds("a library before a module, by a shorter name", program(f"{SITE}/six.so", b"\x7fELF")),
    SHADOWS.adds("a module in the standard library's folder", file(f"{STDLIB}/six.py", "\n")),
    SHADOWS.adds(
        "a library in the standard library's folder",
        program(f"{STDLIB}/lib-dynload/six.cpython-311-x86_64-linux-gnu.so", b"\x7fELF"),
    ),
    SHADOWS.adds("a path file", file(f"{SITE}/a.pth", "import os; os.environ['A'] = '1'\n")),
    SHADOWS.adds(
        "a hook that takes over imports",
        file(f"{SITE}/distutils-precedence.pth", "import _distutils_hack\n"),
        file(f"{SITE}/_distutils_hack/__init__.py", "\n"),
    ),
    SHADOWS.adds("a link to a folder of sources", file(f"{SITE}/evil.egg-link", "/workspace\n.\n")),
    SHADOWS.adds("a program in the environment", program(f"{VENV}/bin/pip")),
    SHADOWS.adds(
        "an environment for another Python", file(f"{VENV}/lib/python3.12/site-packages/six.py", "\n")
    ),
    SHADOWS.adds("the other name of the environment's library", link(f"{VENV}/lib64", "/var/lib/misc")),
    SHADOWS.adds("a header", file(f"{VENV}/include/python3.11/Python.h", "\n")),
    SHADOWS.adds(
        "a module of the system's Python", file("usr/local/lib/python3.11/dist-packages/six.py", "\n")
    ),
)
