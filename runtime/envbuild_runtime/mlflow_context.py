"""The run context provider that MLflow loads by entry point, at `import mlflow`.

MLflow lets any exception but two through while it loads a provider: this module and its class must not be
able to raise.  It imports nothing but the standard library's `os`; the rest is imported where it is needed.
MLflow also asks for tags at each trace: they are computed once.
"""

from __future__ import annotations

import os
from typing import Any

PATIENCE = 2.0
"""Seconds after which the tags are left out: a file system or a driver that hangs must not hang a run."""

CONTEXT_VARIABLE = "MLFLOW_RUN_CONTEXT"

_answers: dict[tuple[Any, ...], dict[str, str]] = {}


class EnvbuildRunContext:
    """What MLflow asks; no subclass of its own class, which would have to be imported."""

    def in_context(self) -> bool:
        """Return whether this is an environment of envbuild, or a run that it started."""
        try:
            from envbuild_runtime import sources

            return sources.in_image()
        except Exception:
            return False

    def tags(self) -> dict[str, str]:
        """Return the tags that ``MLFLOW_RUN_CONTEXT`` does not hold already; never raises."""
        try:
            import sys

            # what is imported later brings its libraries along: asked again then, and no more
            state = ("numpy" in sys.modules, "torch" in sys.modules)
            if state not in _answers:
                _answers[state] = _ask()
            return dict(_answers[state])
        except Exception:
            return {}


def _ask() -> dict[str, str]:
    from envbuild_runtime import facts, guard, sources

    try:
        record = sources.record()
        known = _known()
        return guard.within(PATIENCE, lambda: facts.tags(record, known))
    except Exception as error:
        guard.failed("no tags for MLflow", error)
        return {}


def _known() -> frozenset[str]:
    """Return the names of tags that MLflow takes from its variable."""
    import json

    try:
        value = json.loads(os.environ.get(CONTEXT_VARIABLE, "{}"))
    except Exception:
        # MLflow itself says so
        return frozenset()
    return frozenset(value) if isinstance(value, dict) else frozenset()
