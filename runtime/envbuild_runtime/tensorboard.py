"""TensorBoard: record, environment and card as text, without TensorFlow and PyTorch."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from envbuild_runtime import facts, guard, texts

RECORD_TAG = "envbuild/record"
ENVIRONMENT_TAG = "envbuild/environment"
CARD_TAG = "envbuild/card"

EVENT_FILE = "events.out.tfevents.0000000000.envbuild"
"""Sorted before the files of other writers: TensorBoard follows the last file of a folder alone."""

RUN_FILE = "envbuild-run.json"
"""The record as a file beside the event files."""


@guard.guarded("nothing, or not all, is written for TensorBoard")
def record(writer_or_folder: Any) -> bool:
    """Write record, environment and card as the texts ``envbuild/…``; return whether it was done.

    ``writer_or_folder`` is a folder of this machine (it gets an event file, TensorBoard being installed), a
    `SummaryWriter` of PyTorch or tensorboardX, TensorBoard's `EventFileWriter`, a writer of TensorFlow, or
    Keras' callback.  The record is also the plain file ``envbuild-run.json`` in the folder, if that is known.
    Nothing is raised: where it cannot be done there is a warning, and the run goes on.
    """
    environment = facts.environment()
    found = summaries(environment)
    folder = _folder_of(writer_or_folder)
    if hasattr(writer_or_folder, "add_text"):
        _add_text(writer_or_folder, found)
    elif hasattr(writer_or_folder, "add_event"):
        _add_events(writer_or_folder, found)
    elif hasattr(writer_or_folder, "as_default"):
        _write_with_tensorflow(writer_or_folder, found)
    elif folder is not None and "://" not in folder:
        _write_event_file(folder, found)
    else:
        kind = type(writer_or_folder).__name__
        raise TypeError(f"{kind} is neither a folder of this machine nor a writer that is known")
    if folder is not None and "://" not in folder and "run" in environment:
        os.makedirs(folder, exist_ok=True)
        texts.write_if_changed(os.path.join(folder, RUN_FILE), texts.pretty(environment["run"]).encode())
    return True


def summaries(environment: dict[str, Any]) -> dict[str, str]:
    """Return the texts by their tags.  JSON is indented, so it is shown as code, and is JSON still."""
    found = {
        ENVIRONMENT_TAG: texts.code_block(texts.pretty(environment)),
        CARD_TAG: texts.card(environment),
    }
    if "run" in environment:
        found[RECORD_TAG] = texts.code_block(texts.pretty(environment["run"]))
    return found


def _folder_of(writer_or_folder: Any) -> str | None:
    if isinstance(writer_or_folder, (str, os.PathLike)):
        return os.fsdecode(writer_or_folder)
    get = getattr(writer_or_folder, "get_logdir", None)
    if callable(get):
        return os.fsdecode(get())
    for name in ("log_dir", "logdir", "_log_dir"):
        folder = getattr(writer_or_folder, name, None)
        if isinstance(folder, (str, os.PathLike)):
            return os.fsdecode(folder)
    return None


def _add_text(writer: Any, found: dict[str, str]) -> None:
    for tag, text in sorted(found.items()):
        writer.add_text(tag, text, 0)
    flush = getattr(writer, "flush", None)
    if callable(flush):
        flush()


def _events(found: dict[str, str]) -> list[Any]:
    import time

    event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
    text_pb = importlib.import_module("tensorboard.plugins.text.summary_v2").text_pb
    return [
        event(wall_time=time.time(), step=0, summary=text_pb(tag, text))
        for tag, text in sorted(found.items())
    ]


def _add_events(writer: Any, found: dict[str, str]) -> None:
    for event in _events(found):
        writer.add_event(event)
    writer.flush()


def _write_event_file(folder: str, found: dict[str, str]) -> None:
    """Write the whole file at once; TensorBoard's writer has a thread that shows its errors itself."""
    import io
    import time

    first = importlib.import_module("tensorboard.compat.proto.event_pb2").Event(
        wall_time=time.time(), file_version="brain.Event:2"
    )
    content = io.BytesIO()
    writer = importlib.import_module("tensorboard.summary.writer.record_writer").RecordWriter(content)
    for event in [first, *_events(found)]:
        writer.write(event.SerializeToString())
    os.makedirs(folder, exist_ok=True)
    texts.write_if_changed(os.path.join(folder, EVENT_FILE), content.getvalue())


def _write_with_tensorflow(writer: Any, found: dict[str, str]) -> None:
    # whoever has such a writer has imported it
    tensorflow = sys.modules["tensorflow"]
    with writer.as_default():
        for tag, text in sorted(found.items()):
            tensorflow.summary.text(tag, text, step=0)
    writer.flush()
