"""What ``docker buildx build --progress=rawjson`` says, understood: steps, their output, the one that failed.

Each message is one JSON object (BuildKit's SolveStatus), on one line or several depending on the release;
what is not JSON is the client's own closing words.
"""

import base64
import binascii
import json
import re
from collections import deque
from collections.abc import Callable
from typing import Any

_OPTION = re.compile(r"--(?:mount|network)=\S+\s*")

LAST_LINES = 20
"""Lines of a failed step's output worth showing."""


class BuildLog:
    """Follows one build.  Feed it lines; ask it afterwards what failed."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        self._on_step = on_step
        self._pending: list[str] = []
        self._names: dict[str, str] = {}
        self._announced: set[str] = set()
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
                message = json.loads(text)
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
        digest, name = vertex["digest"], readable_step(vertex.get("name", ""))
        self._names[digest] = name
        if vertex.get("error") and not vertex["error"].endswith("context canceled"):
            self._failed = (digest, vertex["error"])
        if vertex.get("started") and digest not in self._announced and not name.startswith("[internal]"):
            self._announced.add(digest)
            self._on_step(name)


def readable_step(name: str) -> str:
    """Return a step's name without the options of RUN, which say how and not what."""
    return " ".join(_OPTION.sub("", name).split())


def _decode(data: str) -> str:
    try:
        return base64.b64decode(data).decode(errors="replace")
    except (binascii.Error, ValueError):
        return ""
