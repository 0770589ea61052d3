"""TensorBoard's hook with doubles of writers; the real ones: tests/integration/test_runtime_trackers.py."""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import envbuild_runtime
import pytest

TAGS = ["envbuild/card", "envbuild/environment", "envbuild/record"]


class SummaryWriterDouble:
    """PyTorch's and tensorboardX's."""

    def __init__(self, folder: Path | None = None) -> None:
        self.texts: dict[str, str] = {}
        self.flushed = False
        if folder is not None:
            self.log_dir = str(folder)

    def add_text(self, tag: str, text: str, step: int) -> None:
        assert step == 0
        self.texts[tag] = text

    def flush(self) -> None:
        self.flushed = True


def test_a_summary_writer_gets_three_texts_and_its_folder_the_record(
    recorded: dict[str, Any], tmp_path: Path
) -> None:
    writer = SummaryWriterDouble(tmp_path / "logs")

    assert envbuild_runtime.tensorboard.record(writer) is True
    assert sorted(writer.texts) == TAGS
    assert writer.flushed
    assert json.loads(writer.texts["envbuild/record"]) == recorded
    assert json.loads(writer.texts["envbuild/environment"])["run"] == recorded
    assert writer.texts["envbuild/card"] == envbuild_runtime.card()
    assert json.loads((tmp_path / "logs" / "envbuild-run.json").read_bytes()) == recorded


def test_without_a_record_there_is_neither_text_nor_file_of_it(tmp_path: Path) -> None:
    writer = SummaryWriterDouble(tmp_path / "logs")

    assert envbuild_runtime.tensorboard.record(writer) is True
    assert sorted(writer.texts) == TAGS[:2]
    assert not (tmp_path / "logs").exists()


def test_a_writer_whose_folder_is_not_known_gets_the_texts(recorded: dict[str, Any]) -> None:
    writer = SummaryWriterDouble()

    assert envbuild_runtime.tensorboard.record(writer) is True
    assert sorted(writer.texts) == TAGS


def test_a_folder_in_a_bucket_gets_no_plain_file(
    recorded: dict[str, Any], monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriterDouble()
    writer.log_dir = "s3://bucket/logs"

    assert envbuild_runtime.tensorboard.record(writer) is True
    assert list(tmp_path.iterdir()) == []


def test_a_writer_of_tensorflow_is_written_with_tensorflow(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    active: list[str] = []
    found: dict[str, str] = {}

    @contextlib.contextmanager
    def as_default() -> Iterator[None]:
        active.append("writer")
        yield
        active.pop()

    def text(tag: str, data: str, *, step: int) -> None:
        assert active
        assert step == 0
        found[tag] = data

    module = SimpleNamespace(summary=SimpleNamespace(text=text))
    monkeypatch.setitem(sys.modules, "tensorflow", module)
    writer = SimpleNamespace(as_default=as_default, flush=lambda: None)

    assert envbuild_runtime.tensorboard.record(writer) is True
    assert sorted(found) == TAGS


@pytest.mark.parametrize("writer", [None, 17, object(), "s3://bucket/logs"])
def test_what_is_neither_gives_one_warning(writer: object, warned: list[str]) -> None:
    assert envbuild_runtime.tensorboard.record(writer) is False
    assert "neither a folder of this machine nor a writer" in warned[0]


def test_no_tensorboard_gives_one_warning(
    recorded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)

    assert envbuild_runtime.tensorboard.record(tmp_path / "logs") is False
    assert len(warned) == 1


def test_a_folder_that_cannot_be_written_gives_one_warning(
    recorded: dict[str, Any], tmp_path: Path, warned: list[str]
) -> None:
    (tmp_path / "logs").write_text("a file")
    writer = SummaryWriterDouble(tmp_path / "logs")

    assert envbuild_runtime.tensorboard.record(writer) is False
    assert sorted(writer.texts) == TAGS
    assert len(warned) == 1


def test_a_writer_that_raises_gives_one_warning(warned: list[str]) -> None:
    assert envbuild_runtime.tensorboard.record(SimpleNamespace(add_text=lambda: None)) is False
    assert "TypeError" in warned[0]
