"""ML environments that are the same everywhere, and prove it."""

from envbuild.version import __version__

__all__ = ["__version__"]
