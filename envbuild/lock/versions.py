"""Versions of the lock format."""

from typing import Final

READ_VERSIONS: Final = (1, 2)
"""The format versions that this release reads, in order."""
