"""The suspect answers for itself: what asks the image is the image's own, and lies."""

import marshal
import re
from collections.abc import Callable, Mapping

from tests.rig.good_image import GoodImage
from tests.rig.tampering import (
    Change,
    Entry,
    Klass,
    Tampering,
    again,
    appended,
    fifo,
    file,
    flipped,
    link,
    program,
)
from tests.rig.tamperings.metadata import CAPABILITY, SYS_ADMIN
from tests.rig.tamperings.paths import INTERPRETER, LIBRARY, NUMPY, SITE, STDLIB, VENV

ITSELF = Klass("answers for itself")
SUFFERS = Klass("makes the verifier suffer")

NOTE = b"\n# somebody was here\n"


def script_of(good: GoodImage, script: bytes) -> Entry:
    """Put a script in the interpreter's place, as long as that and of its time."""
    room = len(good.read(INTERPRETER)) - len(script)
    assert room > 0
    return again(good, INTERPRETER, script + b"\n" * room)


def canned(answers: Mapping[str, bytes], edit: Callable[[bytes], bytes] = bytes) -> tuple[bytes, list[Entry]]:
    """Return a script that gives the good image's answers, and the files those are in."""
    cases, files = b"", []
    for number, (arguments, answer) in enumerate(answers.items() or {"": b"{}"}.items()):
        path = f"var/lib/misc/answer-{number}"
        files.append(file(path, edit(answer)))
        # the probe's own path and interpreter flags may change: its arguments are what counts
        cases += b"  *%s) cat /%s ;;\n" % (_quoted(arguments).encode(), path.encode())
    return b'#!/bin/sh\ncase "$*" in\n' + cases + b"  *) cat /var/lib/misc/answer-0 ;;\nesac\nexit 0\n", files


def _quoted(text: str) -> str:
    return f"'{text}'" if text else ""


def answering(
    edit: Callable[[bytes], bytes] = bytes, *more: Callable[[GoodImage], Entry]
) -> Callable[[GoodImage], Change]:
    def make(good: GoodImage) -> Change:
        script, files = canned(good.answers, edit)
        return Change(entries=(script_of(good, script), *files, *(entry(good) for entry in more)))

    return make


def running(script: bytes) -> Callable[[GoodImage], Change]:
    return lambda good: Change(entries=(script_of(good, b"#!/bin/sh\n" + script),))


def version_of_numpy(good: GoodImage) -> Entry:
    return again(good, f"{NUMPY}/version.py", good.read(f"{NUMPY}/version.py") + NOTE)


def hidden_behind_answers(path: str) -> Callable[[GoodImage], Change]:
    return answering(bytes, lambda good: again(good, path, flipped(good.read(path))))


def bytecode_of(good: GoodImage, path: str, source: str) -> Entry:
    """Compile another source into the bytecode at a path, with the header of what is there."""
    old = good.read(path)
    return again(good, path, old[:16] + foreign_bytecode(source))


def foreign_bytecode(source: str) -> bytes:
    return marshal.dumps(compile(source, "<frozen>", "exec"))


OS_BYTECODE = f"{STDLIB}/__pycache__/os.cpython-311.pyc"

TAMPERINGS: tuple[Tampering, ...] = (
    ITSELF.does("the interpreter is a script with canned answers", INTERPRETER, answering()),
    ITSELF.does(
        "canned answers hide a changed wheel",
        f"{NUMPY}/version.py",
        answering(bytes, version_of_numpy),
    ),
    ITSELF.does(
        "canned answers hide a changed library",
        f"{LIBRARY}/libgomp.so.1.0.0",
        hidden_behind_answers(f"{LIBRARY}/libgomp.so.1.0.0"),
    ),
    ITSELF.does(
        "canned answers hide another lock",
        "etc/envbuild/lock.json",
        hidden_behind_answers("etc/envbuild/lock.json"),
    ),
    ITSELF.edits("the interpreter differs in one bit", INTERPRETER, flipped),
    ITSELF.does(
        "the interpreter is a link to another",
        INTERPRETER,
        lambda good: Change(
            entries=(
                again(good, INTERPRETER, name="usr/local/lib/python3.11/python"),
                link(INTERPRETER, "/usr/local/lib/python3.11/python"),
            )
        ),
    ),
    ITSELF.adds(
        "the environment's python is a wrapper",
        link(f"{VENV}/bin/python3.11", "/usr/local/bin/python3.11"),
        program("usr/local/bin/python3.11", '#!/bin/sh\nexec /usr/bin/python3.11 "$@"\n'),
    ),
    ITSELF.edits(
        "json lies",
        f"{STDLIB}/json/__init__.py",
        appended("\n_dumps = dumps\ndef dumps(value, **options):\n    return _dumps(value, **options)\n"),
    ),
    ITSELF.edits("hashlib lies", f"{STDLIB}/hashlib.py", appended(NOTE)),
    ITSELF.edits(
        "os does not see a name",
        f"{STDLIB}/os.py",
        appended(
            "\n_listdir = listdir\n"
            "def listdir(path='.'):\n    return [name for name in _listdir(path) if name != 'evil']\n"
        ),
    ),
    ITSELF.edits("zipfile lies", f"{STDLIB}/zipfile.py", appended(NOTE)),
    ITSELF.edits("importlib lies", f"{STDLIB}/importlib/__init__.py", appended(NOTE)),
    ITSELF.does(
        "bytecode of os is another's, its source stays",
        OS_BYTECODE,
        lambda good: Change(entries=(bytecode_of(good, OS_BYTECODE, "raise SystemExit(0)"),)),
    ),
    ITSELF.edits(
        "a module in C differs in one bit",
        f"{STDLIB}/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so",
        flipped,
    ),
    ITSELF.adds(
        "a zip comes before the standard library", file("usr/lib/python311.zip", b"PK\x05\x06" + bytes(18))
    ),
    ITSELF.edits(
        "Debian's sitecustomize runs more", "etc/python3.11/sitecustomize.py", appended("\nimport os\n")
    ),
    ITSELF.adds("a sitecustomize in the environment", file(f"{SITE}/sitecustomize.py", "import os\n")),
    ITSELF.adds(
        "a usercustomize below /usr/local",
        file("usr/local/lib/python3.11/dist-packages/usercustomize.py", "import os\n"),
    ),
    ITSELF.edits("libc differs in one bit", f"{LIBRARY}/libc.so.6", flipped),
    ITSELF.adds(
        "the loader is a link to another",
        link("usr/lib64/ld-linux-x86-64.so.2", "/usr/local/lib/ld.so"),
        program("usr/local/lib/ld.so", b"\x7fELF"),
    ),
    ITSELF.adds(
        "a library is loaded into every program",
        file("etc/ld.so.preload", "/usr/local/lib/liblie.so\n"),
        file("usr/local/lib/liblie.so", b"\x7fELF"),
    ),
    ITSELF.does(
        "dpkg-query is a script",
        "usr/bin/dpkg-query",
        lambda good: Change(entries=(again(good, "usr/bin/dpkg-query", b"#!/bin/sh\nexit 0\n"),)),
    ),
    ITSELF.adds("the shell is another", link("usr/bin/sh", "bash")),
    ITSELF.removes("there is no interpreter", INTERPRETER),
    ITSELF.changes("the interpreter may do everything", INTERPRETER, xattrs={CAPABILITY: SYS_ADMIN}),
    # --- what makes the verifier suffer
    SUFFERS.does(
        "an interpreter that sleeps", INTERPRETER, running(b"exec sleep 1000000\n"), is_hostile=True
    ),
    SUFFERS.does(
        "an interpreter that ignores being asked to end",
        INTERPRETER,
        running(b"trap '' TERM INT HUP\nwhile :; do sleep 1000; done\n"),
        is_hostile=True,
    ),
    SUFFERS.does(
        "a process in the background holds the output open",
        INTERPRETER,
        running(b"sleep 1000000 &\nexit 0\n"),
        is_hostile=True,
    ),
    # a bound, for the machine's sake: whoever reads it all has read far too much
    SUFFERS.does(
        "endless output",
        INTERPRETER,
        running(b"head -c 256000000 /dev/zero\nexec sleep 1000000\n"),
        is_hostile=True,
    ),
    SUFFERS.does(
        "endless complaints",
        INTERPRETER,
        running(b"head -c 256000000 /dev/zero >&2\nexec sleep 1000000\n"),
        is_hostile=True,
    ),
    SUFFERS.does(
        "a million brackets",
        INTERPRETER,
        running(b"head -c 1000000 /dev/zero | tr '\\0' '['\n"),
    ),
    SUFFERS.does(
        "a number of a million digits", INTERPRETER, running(b"head -c 1000000 /dev/zero | tr '\\0' 9\n")
    ),
    SUFFERS.does("an answer that is no UTF-8", INTERPRETER, running(b'printf \'{"a": "\\377\\376"}\'\n')),
    SUFFERS.does(
        "numbers that are none", INTERPRETER, running(b"printf '{\"a\": [NaN, Infinity, 1e999]}'\n")
    ),
    SUFFERS.does("an interpreter that kills itself", INTERPRETER, running(b"kill -9 $$\n")),
    SUFFERS.does(
        "escapes in the answer",
        INTERPRETER,
        answering(
            lambda answer: answer.replace(b'"version":"', b'"version":"\\u001b[2J\\u001b]0;owned\\u0007')
        ),
    ),
    SUFFERS.does(
        "escapes in complaints", INTERPRETER, running(b"printf '\\033[2J\\033]0;owned\\007' >&2; exit 3\n")
    ),
    SUFFERS.does(
        "escapes in a package's version",
        "var/lib/dpkg/status",
        lambda good: Change(
            entries=(again(good, "var/lib/dpkg/status", _with_escapes(good.read("var/lib/dpkg/status"))),)
        ),
    ),
    SUFFERS.does(
        "brackets in the lock that the image carries",
        "etc/envbuild/lock.json",
        lambda good: Change(entries=(again(good, "etc/envbuild/lock.json", b"[" * 1_000_000),)),
    ),
    SUFFERS.does(
        "a wheel's record of a million lines",
        re.compile(r"six-[0-9.]+\.dist-info/RECORD"),
        lambda good: Change(
            entries=(again(good, good.find("six-*.dist-info/RECORD"), b"six.py,,\n" * 1_000_000),)
        ),
        at=f"{SITE}/six-1.17.0.dist-info/RECORD",
    ),
    SUFFERS.adds("a setting of every program is a pipe that nobody writes", fifo("etc/nsswitch.conf")),
    SUFFERS.adds(
        "five thousand files",
        *(file(f"var/lib/misc/many/{number}") for number in range(5000)),
        named="var/lib/misc/many",
        at="var/lib/misc/many/0",
    ),
)


def _with_escapes(status: bytes) -> bytes:
    before, mark, after = status.partition(b"\nVersion: ")
    return before + mark + b"\x1b[2J\x1b]0;owned\x07" + after
