"""Compiling in batches: what both engines say to the target's interpreter."""

import marshal
from collections.abc import Iterator

import pytest

from envbuild.formats import bytecode
from envbuild.formats.bytecode import OutputError, compile_sources
from envbuild.image.local.layers.bytecode import program
from tests.rig.wheels import VERSION, run_this_python, this_python

SOURCES = tuple((f"/opt/venv/m{number}.py", f"value = {number}\n".encode() * 40) for number in range(10))


def compiled(sources, calls):
    def run(words, frames):
        calls.append(len(frames))
        return run_this_python(words, frames).stdout

    return list(compile_sources(program(), this_python().series, sources, run))


def test_large_packages_are_compiled_by_several_interpreters(monkeypatch):
    monkeypatch.setattr(bytecode, "BATCH_BYTES", 1500)
    calls: list[int] = []

    batches = compiled(SOURCES, calls)

    assert len(calls) == len(batches) == 3
    assert max(calls) < 1500 + 600
    assert {batch.version for batch in batches} == {VERSION}
    files = [file for batch in batches for file in batch.files]
    assert [source for source, _, _ in files] == [source for source, _ in SOURCES]
    for number, (_, path, data) in enumerate(files):
        assert path.startswith(f"/opt/venv/__pycache__/m{number}.")
        assert marshal.loads(data[16:]).co_consts[0] == number  # noqa: S302 - it was made here


def test_texts_are_read_when_their_batch_is_compiled(monkeypatch):
    monkeypatch.setattr(bytecode, "BATCH_BYTES", 1)
    calls: list[int] = []
    seen: list[int] = []

    def texts() -> Iterator[tuple[str, bytes]]:
        for source in SOURCES:
            seen.append(len(calls))
            yield source

    compiled(texts(), calls)

    assert seen == list(range(10))


def test_what_does_not_compile_has_no_bytecode():
    (batch,) = compiled((("/a.py", b"x ="), ("/b.py", b"x = 1")), [])
    assert [source for source, _, _ in batch.files] == ["/b.py"]


def test_nothing_is_started_for_nothing():
    calls: list[int] = []
    assert compiled((), calls) == []
    assert calls == []


@pytest.mark.parametrize("output", [b"", b"cpython-311 a7 3.11.2\n", b"who knows\nAAAA\n", b"a b c\n!\n"])
def test_anything_else_is_refused(output):
    with pytest.raises(OutputError, match="the compiling interpreter"):
        list(compile_sources("", (3, 11), (("/a.py", b""),), lambda _words, _frames: output))
