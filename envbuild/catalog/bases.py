"""Default base images by Python version, and the distributions a base can be bootstrapped from."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

with Path(__file__).with_name("data").joinpath("bases.toml").open("rb") as _stream:
    _DATA = tomllib.load(_stream)

CATALOG_VERSION: str = _DATA["version"]
"""Version of the data file; recorded in each lock."""

IMAGES: Mapping[str, str] = MappingProxyType(_DATA["images"])
"""Python ``major.minor`` → image reference, with ``{python}`` where the wanted version goes."""

DISTRIBUTIONS: Mapping[str, str] = MappingProxyType(_DATA["distributions"])
"""``distribution:suite`` → the Python ``major.minor`` it ships."""


def minor_of(python: str) -> str:
    """Return ``major.minor`` of a Python version that may name a patch release."""
    return ".".join(python.split(".")[:2])


def default_image(python: str) -> str:
    """Return the base image for a Python version, patch release kept.  :raises KeyError: unknown here."""
    return IMAGES[minor_of(python)].replace("{python}", python)
