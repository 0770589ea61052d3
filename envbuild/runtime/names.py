"""What envbuild-runtime is called, and where locks say it comes from."""

from typing import Final

PROJECT: Final = "envbuild-runtime"
"""Normalised name of the project."""

CARRIED: Final = "envbuild"
"""Name that locks give the index of wheels which envbuild carries in itself; no other index is asked."""
