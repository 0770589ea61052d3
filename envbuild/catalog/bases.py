"""Default base images by Python version, and which Python each distribution has that can be bootstrapped.

Read raw: every command needs these few lines, and ``distributions.py`` has the rest of the same file, typed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from envbuild.catalog.tables import read_data

_DATA = read_data("bases")

IMAGES: Mapping[str, str] = MappingProxyType(_DATA["images"])
"""Python ``major.minor`` → image reference, with ``{python}`` where the wanted version goes."""

DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(
    {name: row["python"] for name, row in _DATA["distributions"].items()}
)
"""``distribution:suite`` → the Python ``major.minor`` it ships."""


def minor_of(python: str) -> str:
    """Return ``major.minor`` of a Python version that may name a patch release."""
    return ".".join(python.split(".")[:2])


def default_image(python: str) -> str:
    """Return the base image for a Python version, patch release kept.  :raises KeyError: unknown here."""
    return IMAGES[minor_of(python)].replace("{python}", python)


def mirrored(image: str, registry: str | None) -> str:
    """Return an image of Docker Hub as a mirror of it has it: official images are below ``library`` there."""
    if registry is None:
        return image
    return f"{registry}/{image}" if "/" in image else f"{registry}/library/{image}"
