"""Specs on disk, read as commands read them."""

from pathlib import Path

from envbuild.spec.load import read_spec
from envbuild.spec.normalize import request_from
from envbuild.spec.request import Request


def request_of(path: Path) -> Request:
    """Read the spec in ``path`` and the files it names, and return what it asks for."""
    return request_from(read_spec(path))
