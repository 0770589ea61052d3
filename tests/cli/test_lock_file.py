import json
import re
from collections.abc import Callable

import pytest

from envbuild.lock.codec import dumps
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC, Program

READERS = (("build",), ("render",), ("verify",))
MISSING = "error: there is no envbuild.lock in .\n\nhint: run `envbuild lock`{also}\n"
ALSO = {"build": ", or `envbuild build --lock`"}
"""What else can be typed: by the commands that lock first if they are told to."""

STALE = """\
error: envbuild.lock is out of date with envbuild.toml
  • pip.requirements: + polars, - scikit-learn
  • determinism.seed: 7 → 8

hint: run `envbuild lock`"""


@pytest.mark.parametrize("command", READERS)
def test_a_missing_lock_is_asked_for(program: Program, command: tuple[str, ...]):
    program.spec.write_text(SPEC)

    answer = program(*command)

    assert (answer.code, answer.stdout, answer.stderr) == (
        4,
        "",
        MISSING.format(also=ALSO.get(command[0], "")),
    )


def test_check_fails_without_a_lock(program: Program):
    program.spec.write_text(SPEC)

    answer = program("lock", "--check")

    assert (answer.code, answer.stdout) == (4, "")
    assert answer.stderr == "error: there is no envbuild.lock\n\nhint: run `envbuild lock`\n"
    assert not program.lock.exists()


def test_a_lock_that_answers_the_spec_is_left_alone(locked: Program):
    before = locked.lock.stat()

    answer = locked("lock")

    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr == "envbuild.lock is up to date\n"
    assert locked.lock.stat().st_mtime_ns == before.st_mtime_ns


def test_check_passes_when_only_form_differs(locked: Program):
    text = SPEC.replace('"numpy>=2", "scikit-learn"', '"Scikit_Learn", "numpy >= 2",')
    locked.spec.write_bytes(f"# a comment\n{text}".replace("\n", "\r\n").encode())

    answer = locked("lock", "--check")

    assert (answer.code, answer.stderr) == (0, "envbuild.lock is up to date\n")


@pytest.mark.parametrize("command", READERS)
def test_a_stale_lock_is_refused_with_the_fields(locked: Program, command: tuple[str, ...]):
    _make_stale(locked)

    answer = locked(*command)

    assert (answer.code, answer.stdout) == (4, "")
    assert answer.stderr == f"{STALE}{ALSO.get(command[0], '')}, or use the lock as it stands with --frozen\n"


@pytest.mark.parametrize("more", [(), ("--json",), ("--quiet",)])
def test_check_names_the_fields_and_writes_nothing(locked: Program, more: tuple[str, ...]):
    _make_stale(locked)
    before = locked.lock.read_bytes()

    answer = locked("lock", "--check", *more)

    assert (answer.code, answer.stdout, answer.stderr) == (4, "", f"{STALE}\n")
    assert locked.lock.read_bytes() == before


def test_frozen_uses_a_stale_lock_as_it_stands(locked: Program):
    fresh = locked("render").stdout
    _make_stale(locked)

    answer = locked("render", "--frozen")

    assert (answer.code, answer.stdout, answer.stderr) == (0, fresh, "")


def test_a_stale_lock_cannot_be_renewed_offline(locked: Program):
    _make_stale(locked)

    answer = locked("lock", "--offline")

    assert answer.code == 9
    assert answer.stderr == (
        "error: locking asks the index, the archive and the registry\n"
        "\nhint: run `envbuild lock` with a network, then the other commands with --offline\n"
    )


@pytest.mark.parametrize("command", [*READERS, ("lock",), ("lock", "--check"), ("lock", "--upgrade")])
def test_a_lock_of_a_newer_format_is_refused_and_kept(locked: Program, command: tuple[str, ...]):
    text = locked.lock.read_text().replace("\nversion = 1\n", "\nversion = 3\n", 1)
    locked.lock.write_text(text)

    answer = locked(*command)

    assert (answer.code, answer.stdout) == (4, "")
    assert answer.stderr == (
        "error: the lock has format version 3; this envbuild reads versions 1 and 2\n"
        "\nhint: upgrade envbuild to a release that reads version 3\n"
    )
    assert locked.lock.read_text() == text


@pytest.mark.parametrize("command", [*READERS, ("lock",), ("lock", "--check")])
def test_a_lock_with_merge_markers_is_refused_and_kept(locked: Program, command: tuple[str, ...]):
    text = f"<<<<<<< HEAD\n{locked.lock.read_text()}=======\n>>>>>>> other\n"
    locked.lock.write_text(text)

    answer = locked(*command)

    assert (answer.code, answer.stdout) == (4, "")
    assert answer.stderr == (
        "error: the lock is not valid TOML: Invalid statement (at line 1, column 1)\n"
        "\nhint: it holds an unresolved merge: take one side whole, then run `envbuild lock`\n"
    )
    assert locked.lock.read_text() == text


def _edit(pattern: str, replacement: str) -> Callable[[str], bytes]:
    def edit(text: str) -> bytes:
        changed, count = re.subn(pattern, replacement, text, count=1)
        assert count == 1
        return changed.encode()

    return edit


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param(
            lambda text: _edit(r"\nsize = \d+", '\nsize = "big"')(text).replace(b"license", b"licence", 1),
            [
                "error: the lock is not valid",
                "  • debs[0].size: input should be a valid integer, unable to parse string as an integer",
                "  • wheels[0].licence: is not a field of this format",
            ],
            id="fields",
        ),
        pytest.param(
            _edit(r'installer = "installer-1\.1\.0', 'installer = "installer-1.2.0'),
            [
                "error: the lock is not valid",
                "  • targets[0].installer: `installer-1.2.0-py3-none-any.whl` is not among the wheels",
            ],
            id="reference",
        ),
        pytest.param(
            _edit(r"\nversion = 1\n", "\n"),
            ["error: the lock has no format version", "  • version: must be an integer"],
            id="no-version",
        ),
        pytest.param(
            lambda _: b"",
            ["error: the lock has no format version", "  • version: must be an integer"],
            id="empty",
        ),
        pytest.param(
            lambda text: f"{text}broken".encode(),
            [
                (
                    "error: the lock is not valid TOML: "
                    "Expected '=' after a key in a key/value pair (at end of document)"
                )
            ],
            id="not-toml",
        ),
        pytest.param(lambda _: b"\xff\xfe\x00", ["error: the lock is not UTF-8 text"], id="not-text"),
    ],
)
@pytest.mark.parametrize("command", ["build", "lock"])
def test_a_damaged_lock_is_refused_and_kept(
    locked: Program, command: str, damage: Callable[[str], bytes], said: list[str]
):
    locked.lock.write_bytes(damage(locked.lock.read_text()))
    before = locked.lock.read_bytes()

    answer = locked(command)

    fault, _, hint = answer.stderr.rpartition("\n\n")
    assert (answer.code, answer.stdout) == (4, "")
    assert fault.splitlines() == said
    assert hint.startswith("hint: restore it from version control, or ")
    assert locked.lock.read_bytes() == before


def test_nothing_to_do_as_json(locked: Program):
    answer = locked("lock", "--json")

    (target,) = json.loads(answer.stdout)["targets"]
    assert (answer.code, answer.stderr) == (0, "")
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", target.pop("target"))
    assert json.loads(answer.stdout)["written"] is False
    assert target == {"variant": "default", "platform": "linux/amd64", "wheels": 3, "conda": 0, "debs": 6}


def test_the_sample_answers_the_sample_spec(locked: Program):
    assert locked.lock.read_text() == dumps(sample_lock())
    assert locked("lock", "--check", "--quiet").stderr == ""


def _make_stale(program: Program) -> None:
    program.spec.write_text(SPEC.replace('"scikit-learn"', '"polars"').replace("seed = 7", "seed = 8"))
