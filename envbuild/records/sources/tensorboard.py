"""Runs of TensorBoard: the plain file that `envbuild_runtime` writes beside the event files, or these.

Event files are read by TensorBoard's own reader, where this Python has it.
"""

import importlib
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from envbuild.errors import RecordError
from envbuild.records.found import FoundRun
from envbuild.records.model import LARGEST, read_record
from envbuild.records.sources.bounds import (
    MOST_VALUES,
    is_below,
    nothing_recorded,
    numbers,
    paths,
    read_below,
)

RUN_FILE: Final = "envbuild-run.json"
TAG: Final = "envbuild/record"
HOW: Final = "`envbuild_runtime.tensorboard.record(FOLDER)` in a run that `envbuild run` started writes one"
LARGEST_EVENTS: Final = 1 << 30
"""Bytes: they are read whole, a hundred megabytes in some seconds."""

MOST_EVENTS: Final = 1
"""Of each tag that are kept: the last."""


def find_tensorboard(name: str, folder: Path) -> FoundRun:
    """Return the run of a log folder; if it has none itself, the only one in the folders below.

    :raises RecordError: there is no such folder, there are several runs, or none with a usable record.
    """
    source, root = f"tensorboard:{name}", folder / name
    if not root.is_dir():
        raise RecordError(f"there is no folder {name}", hint="name the log folder of a run")
    place = _run_below(root, name)
    text: str | bytes | None = read_below(place, RUN_FILE, LARGEST)
    found_in = f"{RUN_FILE} in {name}"
    events, unread = _events(place)
    if text is None:
        text, found_in = _text(events), f"tag {TAG} of the events in {name}"
    if text is None:
        said = f" (not read: {unread})" if unread else ""
        raise nothing_recorded(source, (RUN_FILE, f"tag {TAG} of the event files{said}"), HOW)
    return FoundRun(
        source=source,
        record=read_record(text, where=source),
        place=found_in,
        name=place.name,
        metrics=_metrics(events),
        artifacts=paths(
            path.name for path, _ in zip(sorted(place.iterdir()), range(MOST_VALUES), strict=False)
        ),
        missing=(f"metrics: {unread}",) if unread else (),
    )


def _run_below(root: Path, name: str) -> Path:
    if (root / RUN_FILE).exists() or any(root.glob("events.out.tfevents.*")):
        return root
    runs = sorted({path.parent for pattern in ("*", "*/*") for path in root.glob(f"{pattern}/{RUN_FILE}")})
    if len(runs) > 1:
        listed = [f"tensorboard:{Path(name) / run.relative_to(root)}" for run in runs[:20]]
        raise RecordError(f"{name} has {len(runs)} runs", hint="name one of them", detail="\n".join(listed))
    return runs[0] if runs else root


def _events(place: Path) -> tuple[Any, str | None]:
    """Return TensorBoard's reader of a folder, which has read it; else None, and why not."""
    # all that its reader takes for events
    files = [path for path in place.iterdir() if "tfevents" in path.name]
    if any(not path.is_file() or not is_below(place, path) for path in files):
        # a pipe would be waited for
        return None, "its event files are no files"
    if sum(path.stat().st_size for path in files) > LARGEST_EVENTS:
        return None, f"its event files have more than {LARGEST_EVENTS >> 20} MiB"
    try:
        module = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    except Exception:  # noqa: BLE001 - whatever an installation of somebody else's is missing
        return None, "this Python has no tensorboard"
    events = module.EventAccumulator(
        str(place), size_guidance={module.SCALARS: MOST_EVENTS, module.TENSORS: MOST_EVENTS}
    )
    try:
        events.Reload()
    except Exception as error:
        raise RecordError(f"TensorBoard cannot read {place}: {type(error).__name__}") from error
    return events, None


def _text(events: Any) -> str | None:
    if events is None:
        return None
    tags = events.Tags().get("tensors", ())
    tag = next((found for found in (f"{TAG}/text_summary", TAG) if found in tags), None)
    if tag is None:
        return None
    values = events.Tensors(tag)[-1].tensor_proto.string_val
    # shown as code in TensorBoard: each line is indented
    return textwrap.dedent(bytes(values[0]).decode(errors="replace")) if values else None


def _metrics(events: Any) -> Mapping[str, float]:
    if events is None:
        return {}
    tags = sorted(events.Tags().get("scalars", ()))[:MOST_VALUES]
    return numbers((tag, events.Scalars(tag)[-1].value) for tag in tags)
