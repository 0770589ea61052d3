"""What ``docker buildx build --progress=rawjson`` says, understood: steps, their output, the one that failed.

A step is told in the words of the person who asked for the build; one that failed has the name it has in the
Dockerfile, which can be built by hand.

Each message is one JSON object (BuildKit's SolveStatus), on one line or several depending on the release;
what is not JSON is the client's own closing words.
"""

import base64
import binascii
import re
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from envbuild.formats.json_text import parse_json

FilesIn = Callable[[str], Sequence[str]]
"""Names of the files in a folder of the build's artifacts, sorted: of ``/wheels/1``, say."""

_OPTION = re.compile(r"--(?:mount|network)=\S+\s*")
_MOUNTED = re.compile(r"--mount=type=bind,from=(?:artifacts|conda),source=([^\s,]+)")
_SCRIPT = re.compile(r"/recipe/([a-z-]+)\.sh\"")
_BASE = re.compile(r"\] FROM (\S+?)(?:@\S+)?$")

SCRIPTS: Final = {
    "bootstrap": "installing the {count} package{s} of the base",
    "system": "installing {count} system package{s}",
    "python": "unpacking Python",
    "conda": "laying {count} conda package{s} down",
    "conda-layer": "adding conda packages, layer {folder}",
    "venv": "making the Python environment",
    "wheels": "installing wheels: {names}",
    "finish": "adding the user and the lock",
}
"""What the scripts of a recipe do."""

OTHERS: Final = (
    (re.compile(r"^\[(?:internal|auth)\]"), ""),
    (re.compile(r"^\[context artifacts\]"), "handing the artifacts to the engine"),
    (re.compile(r"^\[bootstrap .*\] ADD |\] COPY --from=bootstrap "), "preparing the base"),
    (re.compile(r"\] WORKDIR "), "setting the working directory"),
    (re.compile(r"^exporting to "), "exporting the image"),
    (re.compile(r"^(?:sending tarball|importing to docker)"), "loading the image into the engine"),
)
"""What the other steps do, by their names; nothing for those that a person need not know of."""

NAMED = 4
"""Wheels that are named."""

LAST_LINES = 20
"""Lines of a failed step's output worth showing."""


class BuildLog:
    """Follows one build.  Feed it lines; ask it afterwards what failed."""

    def __init__(self, on_step: Callable[[str], None], *, files_in: FilesIn = lambda _folder: ()) -> None:
        """Tell ``on_step`` in plain words what is being done; ``files_in`` says what a step installs."""
        self._on_step = on_step
        self._files_in = files_in
        self._pending: list[str] = []
        self._names: dict[str, str] = {}
        self._announced: set[str] = set()
        self._running: dict[str, str] = {}
        self._told = ""
        self._output: dict[str, deque[str]] = {}
        self._failed: tuple[str, str] | None = None
        self._words: deque[str] = deque(maxlen=LAST_LINES)

    def feed(self, line: str) -> None:
        """Take the next line of the program's standard error."""
        if not self._pending and not line.startswith("{"):
            if line.strip():
                self._words.append(line)
            return
        self._pending.append(line)
        if line.rstrip().endswith("}") and (line.startswith("}") or len(self._pending) == 1):
            text = "\n".join(self._pending)
            try:
                message = parse_json(text)
            except ValueError:
                return
            self._pending.clear()
            self._take(message)

    @property
    def failed_step(self) -> str | None:
        """Name of the step that failed, as the Dockerfile has it, or None."""
        return self._names.get(self._failed[0]) if self._failed else None

    def evidence(self) -> str:
        """Return the last lines of the failed step, or the client's closing words when no step failed."""
        if self._failed is None:
            return "\n".join(self._words)
        vertex, error = self._failed
        return "\n".join([*self._output.get(vertex, ()), error])

    def _take(self, message: dict[str, Any]) -> None:
        for vertex in message.get("vertexes") or ():
            self._take_vertex(vertex)
        for log in message.get("logs") or ():
            lines = self._output.setdefault(log["vertex"], deque(maxlen=LAST_LINES))
            lines.extend(_decode(log.get("data", "")).splitlines())

    def _take_vertex(self, vertex: dict[str, Any]) -> None:
        digest, name = vertex["digest"], vertex.get("name", "")
        self._names[digest] = readable_step(name)
        if vertex.get("error") and not vertex["error"].endswith("context canceled"):
            self._failed = (digest, vertex["error"])
        text = plain_step(name, self._files_in) if vertex.get("started") and not vertex.get("cached") else ""
        if not text:
            return
        if digest not in self._announced:
            self._announced.add(digest)
            self._running[digest] = text
            self._tell(text)
        if vertex.get("completed"):
            self._running.pop(digest, None)
            # what began earlier may still go on
            self._tell(next(reversed(self._running.values()), self._told))

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._on_step(text)


def plain_step(name: str, files_in: FilesIn = lambda _folder: ()) -> str:
    """Return what the step of this name does, or nothing when it is the builder's own affair.

    A step that no recipe of ours has keeps its name.
    """
    script = _SCRIPT.search(name)
    if script and script[1] in SCRIPTS:
        # the last is what is installed, those before are tools
        folder = (_MOUNTED.findall(name) or [""])[-1]
        files = files_in(folder)
        count = str(len(files)) if files else ""
        told = SCRIPTS[script[1]].format(
            count=count,
            s="" if len(files) == 1 else "s",
            folder=folder.rpartition("/")[2],
            names=_distributions(files),
        )
        return " ".join(told.split()).removesuffix(":")
    base = _BASE.search(name)
    if base:
        return f"fetching {base[1].removeprefix('docker.io/').removeprefix('library/')}"
    return next((text for pattern, text in OTHERS if pattern.search(name)), readable_step(name))


def files_below(artifacts: Path) -> FilesIn:
    """Return what lists the folders of the artifacts that a build is given."""

    def files_in(folder: str) -> tuple[str, ...]:
        try:
            return tuple(sorted(path.name for path in (artifacts / folder.lstrip("/")).iterdir()))
        except OSError:
            return ()

    return files_in


def _distributions(wheels: Sequence[str]) -> str:
    names = [canonicalize_name(wheel.partition("-")[0]) for wheel in wheels]
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def readable_step(name: str) -> str:
    """Return a step's name without the options of RUN, which say how and not what."""
    return " ".join(_OPTION.sub("", name).split())


def _decode(data: str) -> str:
    try:
        return base64.b64decode(data).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
