import hashlib
import importlib.util
import marshal
import os
import py_compile
import signal
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.verify.probe import tree as tree_module
from envbuild.verify.probe.bytecode import bytecode_facts, judge_bytecode, same_code, split_cache_path
from envbuild.verify.probe.tree import walk_files
from envbuild.verify.probe.venv_scripts import environment_scripts
from envbuild.verify.probe.workers import WorkerError, deal, spread

TAG = sys.implementation.cache_tag
SOURCE = """\
'''Words.'''
def one(x, *, y=(1, 2.0, -0.0, None, True)):
    try:
        return [z for z in x if z in {'a', 'b'}] or (lambda: y)
    except ValueError as error:
        raise KeyError(f'{error}') from None
class Two:
    '''More words.'''
    def method(self):
        assert self
        return __class__
"""
Compile = Callable[..., str]


@pytest.fixture
def compiled(tmp_path: Path) -> Compile:
    def make(
        source: str = SOURCE,
        *,
        mode: py_compile.PycInvalidationMode = py_compile.PycInvalidationMode.UNCHECKED_HASH,
        optimize: int = 0,
    ) -> str:
        path = tmp_path / "site" / "demo.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
        made = py_compile.compile(
            str(path), dfile="/elsewhere/demo.py", doraise=True, optimize=optimize, invalidation_mode=mode
        )
        assert made is not None
        return "/" + str(Path(made).relative_to(tmp_path))

    return make


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def code_of(source: str) -> bytes:
    return marshal.dumps(compile(source, "x.py", "exec", dont_inherit=True))


@pytest.mark.parametrize("optimize", [0, 1, 2])
@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_sound_bytecode_of_every_kind_is_fine(
    compiled: Compile, tmp_path: Path, mode: py_compile.PycInvalidationMode, optimize: int
) -> None:
    path = compiled(mode=mode, optimize=optimize)
    assert judge_bytecode(tmp_path, path, kind=None) == ("fine", "")


def test_references_in_the_file_do_not_matter(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    # version 2 of the format knows no references
    flat = marshal.dumps(compile(SOURCE, "x.py", "exec", dont_inherit=True), 2)
    assert flat != code_of(SOURCE)
    rewrite(tmp_path / path[1:], lambda data: data[:16] + flat)
    assert judge_bytecode(tmp_path, path, kind=None) == ("fine", "")


def test_other_code_under_a_right_header_is_a_mismatch(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    other = SOURCE.replace("'b'", "'c'")
    rewrite(tmp_path / path[1:], lambda data: data[:16] + code_of(other))
    assert judge_bytecode(tmp_path, path, kind="unchecked-hash") == ("mismatch", "")


def test_a_changed_source_is_a_mismatch(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    (tmp_path / "site/demo.py").write_text(SOURCE.replace("2.0", "3.0"))
    assert judge_bytecode(tmp_path, path, kind="unchecked-hash") == ("mismatch", "")


def test_a_changed_comment_shows_in_the_header(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    (tmp_path / "site/demo.py").write_text(SOURCE + "# comment\n")
    assert judge_bytecode(tmp_path, path, kind="unchecked-hash") == ("header", "")


def test_a_source_that_does_not_compile_is_a_mismatch(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    (tmp_path / "site/demo.py").write_text("def (:\n")
    verdict, detail = judge_bytecode(tmp_path, path, kind=None)
    assert verdict == "mismatch"
    assert detail.startswith("the source does not compile: ")


def test_a_level_of_optimisation_is_told_apart(compiled: Compile, tmp_path: Path) -> None:
    plain, optimized = compiled(optimize=0), compiled(optimize=1)
    (tmp_path / optimized[1:]).write_bytes((tmp_path / plain[1:]).read_bytes())
    assert judge_bytecode(tmp_path, optimized, kind=None) == ("mismatch", "")


def test_bytecode_without_source_is_an_orphan(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    (tmp_path / "site/demo.py").unlink()
    assert judge_bytecode(tmp_path, path, kind=None) == ("orphan", "/site/demo.py cannot be read")


def test_stale_bytecode(compiled: Compile, tmp_path: Path) -> None:
    path = compiled(mode=py_compile.PycInvalidationMode.TIMESTAMP)
    os.utime(tmp_path / "site/demo.py", (1, 1))
    assert judge_bytecode(tmp_path, path, kind=None) == ("stale", "time or size of the source differ")
    path = compiled(mode=py_compile.PycInvalidationMode.CHECKED_HASH)
    (tmp_path / "site/demo.py").write_text("x = 1\n")
    assert judge_bytecode(tmp_path, path, kind=None) == ("stale", "the hash of the source differs")


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        (py_compile.PycInvalidationMode.TIMESTAMP, "timestamp"),
        (py_compile.PycInvalidationMode.CHECKED_HASH, "checked-hash"),
    ],
)
def test_another_kind_than_the_builds_is_told(
    compiled: Compile, tmp_path: Path, mode: py_compile.PycInvalidationMode, name: str
) -> None:
    path = compiled(mode=mode)
    expected = ("mode", f"{name}, the build writes unchecked-hash")
    assert judge_bytecode(tmp_path, path, kind="unchecked-hash") == expected


@pytest.mark.parametrize(
    ("change", "verdict", "detail"),
    [
        (lambda _: b"", "unreadable", "shorter than a header"),
        (lambda data: data[:4] + struct.pack("<I", 7) + data[8:], "unreadable", "unknown flags 0x7"),
        (lambda data: data[:40], "unreadable", None),
        (lambda data: data[:16] + marshal.dumps([1]), "unreadable", "holds list, not code"),
        (
            lambda data: b"abcd" + data[4:],
            "stale",
            "the magic number is another Python's, the name is this one's",
        ),
    ],
)
def test_broken_bytecode(
    compiled: Compile,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    verdict: str,
    detail: str | None,
) -> None:
    path = compiled()
    rewrite(tmp_path / path[1:], change)
    found = judge_bytecode(tmp_path, path, kind=None)
    assert found[0] == verdict
    assert detail in {None, found[1]}


def test_bytecode_of_another_python_is_foreign(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    other = path.replace(f".{TAG}.", ".cpython-36.")
    (tmp_path / path[1:]).rename(tmp_path / other[1:])
    rewrite(tmp_path / other[1:], lambda data: b"abcd" + data[4:])
    assert judge_bytecode(tmp_path, other, kind=None) == ("foreign", "")


def test_missing_bytecode_is_unreadable(tmp_path: Path) -> None:
    assert judge_bytecode(tmp_path, "/x.pyc", kind=None) == ("unreadable", "No such file or directory")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/__pycache__/m.cpython-311.pyc", ("/a/m.py", "cpython-311", 0)),
        ("/a/__pycache__/m.cpython-311.opt-1.pyc", ("/a/m.py", "cpython-311", 1)),
        ("/a/__pycache__/m.x.cpython-311.opt-2.pyc", ("/a/m.x.py", "cpython-311", 2)),
        ("/a/__pycache__/m.cpython-311.opt-9.pyc", ("/a/m.py", "cpython-311", 0)),
        ("/a/m.pyc", ("/a/m.py", None, 0)),
    ],
)
def test_cache_names(path: str, expected: tuple[str, str | None, int]) -> None:
    assert split_cache_path(path) == expected


@pytest.mark.parametrize(
    "change",
    [
        {"co_stacksize": 99},
        {"co_name": "other"},
        {"co_firstlineno": 9},
        {"co_linetable": b""},
        *([{"co_qualname": "other"}, {"co_exceptiontable": b"x"}] if sys.version_info >= (3, 11) else []),
    ],
)
def test_every_part_of_code_counts_in_nested_code_too(change: dict[str, object]) -> None:
    module = compile(SOURCE, "a.py", "exec", dont_inherit=True)
    again = compile(SOURCE, "b.py", "exec", dont_inherit=True)
    assert same_code(module, again)
    consts = tuple(
        const.replace(**change) if isinstance(const, types.CodeType) else const  # type: ignore[arg-type]
        for const in again.co_consts
    )
    assert not same_code(module, again.replace(co_consts=consts))


def test_all_bytecode_of_a_listing_is_judged(compiled: Compile, tmp_path: Path) -> None:
    path = compiled()
    files: dict[str, tuple[str, int, int, str | None]] = {
        path: ("f", 0o644, 10, "a"),
        "/site/gone.pyc": ("f", 0o644, 10, "a"),
        "/site/link.pyc": ("l", 0o777, 0, "x"),
        "/site/demo.py": ("f", 0o644, 10, "a"),
    }
    facts = bytecode_facts(tmp_path, files.items(), prefix="/opt/venv")
    assert (facts.checked, facts.foreign) == (2, 0)
    assert [(item.path, item.problem) for item in facts.findings] == [("/site/gone.pyc", "unreadable")]
    facts = bytecode_facts(tmp_path, files.items(), prefix="/site")
    assert [(item.path, item.problem) for item in facts.findings] == [("/site/gone.pyc", "unreadable")]


# --- workers ------------------------------------------------------------------------------------


def test_work_is_dealt_evenly() -> None:
    shares = deal([(5, "a"), (4, "b"), (3, "c"), (3, "d"), (0, "e")], 2)
    assert shares == [["a", "c"], ["b", "d", "e"]]
    assert deal([(1, "a")], 8) == [["a"]]
    assert deal([], 2) == []


def test_every_item_gets_its_result() -> None:
    items = [(number, str(number)) for number in range(50)]
    assert spread(items, lambda item: int(item) * 2) == {str(number): number * 2 for number in range(50)}
    assert spread([], lambda item: item) == {}


def test_an_item_that_kills_its_worker_is_found() -> None:
    def work(item: str) -> str:
        if item == "deadly":
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    items = [(1, "a"), (2, "deadly"), (3, "b"), (4, "c")]
    results = spread(items, work, when_fatal="fatal")
    assert results == {"a": "a", "b": "b", "c": "c", "deadly": "fatal"}


def test_a_failure_of_the_work_is_an_error() -> None:
    def work(item: str) -> str:
        raise RuntimeError(f"cannot do {item}")

    # servers of other tests may be children of this process too
    before = _children()
    with pytest.raises(WorkerError) as caught:
        spread([(1, "a"), (2, "b")], work)
    assert "a worker of the probe failed" in str(caught.value)
    assert "RuntimeError: cannot do" in str(caught.value)
    assert _children() <= before


def _children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


# --- files --------------------------------------------------------------------------------------


def test_every_kind_of_file_is_listed(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hosts").write_text("volatile")
    (tmp_path / "etc/conf").write_bytes(b"content")
    (tmp_path / "etc/conf").chmod(0o640)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/x").write_text("the kernel's")
    (tmp_path / "twin").hardlink_to(tmp_path / "etc/conf")
    (tmp_path / "link").symlink_to("./etc//conf")
    os.mkfifo(tmp_path / "pipe", 0o600)
    files, mounts = walk_files(tmp_path)
    digest = hashlib.sha256(b"content").hexdigest()
    assert {path: (entry[0], entry[3]) for path, entry in files.items()} == {
        "/etc": ("d", None),
        "/etc/conf": ("f", digest),
        "/link": ("l", "./etc//conf"),
        "/pipe": ("o", None),
        "/twin": ("f", digest),
    }
    assert files["/etc/conf"][1:3] == (0o640, 7)
    assert mounts == ()


def test_mounts_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    table = (
        "1 0 0:1 / / rw - overlay overlay rw\n"
        "2 1 0:2 / /etc/hosts rw - ext4 /dev/x rw\n"
        "3 1 0:3 / /data\\040sets rw - ext4 /dev/y rw\n"
    )
    monkeypatch.setattr(tree_module, "read_text", lambda _: table)
    assert tree_module._mount_points(Path("/")) == {"/etc/hosts", "/data sets"}


def test_names_that_are_no_utf8_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (tmp_path / name).write_bytes(b"")
    files, _ = walk_files(tmp_path)
    assert list(files) == [f"/{name}"]


def test_the_scripts_of_venv_are_made_again(tmp_path: Path) -> None:
    import venv  # noqa: PLC0415 - slow to load

    prefix = tmp_path / "env"
    venv.create(prefix, with_pip=False, symlinks=True)
    scripts = environment_scripts(str(prefix))
    assert scripts is not None
    written = {
        str(path.relative_to(prefix)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in prefix.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "pyvenv.cfg"
    }
    assert len(written) >= 4
    for name, digest in written.items():
        assert digest in scripts[name], name


def test_magic_numbers_are_this_interpreters(compiled: Compile, tmp_path: Path) -> None:
    assert (tmp_path / compiled()[1:]).read_bytes()[:4] == importlib.util.MAGIC_NUMBER
