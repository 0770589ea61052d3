import os
from pathlib import Path

import pytest

from envbuild.remote.index.configuration import ClientConfiguration
from tests.rig.desk import Desk
from tests.rig.index import PackageIndex


@pytest.fixture
def desk(package_index: PackageIndex, tmp_path: Path) -> Desk:
    """Ask an empty index, with nothing of this machine's configuration."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "UV_CACHE_DIR": str(tmp_path / "uv")}
    return Desk(
        index=package_index,
        cache=tmp_path / "cache",
        environment=environment,
        configuration=ClientConfiguration(default_url=package_index.index_url),
    )
