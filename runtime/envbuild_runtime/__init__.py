"""Which environment a run runs in, told to experiment trackers.

Images of envbuild carry this package.  It reads what `envbuild run` left in ``ENVBUILD_RUN`` and what the
image says of itself, and looks at the machine.  It never makes a run fail: what cannot be had is absent, and
there is one warning a process at most.

Importing it costs nothing; each function imports what it needs.
"""

from __future__ import annotations

from typing import Any

from envbuild_runtime.version import __version__

__all__ = ["__version__", "card", "dvc", "environment", "mlflow", "record", "tensorboard", "wandb"]

_HOOKS = frozenset({"dvc", "mlflow", "tensorboard", "wandb"})


def environment() -> dict[str, Any]:
    """Return all that is known of this environment and this run, as plain JSON values.

    The page of this package names the keys.  What is not known is absent; nothing is raised.
    """
    from envbuild_runtime import facts

    return facts.environment()


def record() -> dict[str, Any] | None:
    """Return the record of this run that `envbuild run` made, or None if there is none, or no valid one."""
    from envbuild_runtime import sources

    return sources.record()


def card() -> str:
    """Return a short card of this run, as Markdown."""
    from envbuild_runtime import texts

    return texts.card(environment())


def __getattr__(name: str) -> Any:
    """Import a tracker's hook where it is first named: `envbuild_runtime.mlflow`."""
    if name in _HOOKS:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
