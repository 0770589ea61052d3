from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.store.store import Store
from tests.unit.store.server import FaultyServer, serving


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")
