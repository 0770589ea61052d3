"""The version in locks stands for the data: no change of one without the other."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import envbuild.catalog
from envbuild.catalog.tables import BUILT_IN

DATA = Path(envbuild.catalog.__file__).parent / "data"


def test_the_version_is_raised_with_every_change_of_the_data(golden: Callable[[str, str], None]) -> None:
    state = hashlib.sha256()
    for path in sorted(DATA.glob("*.toml")):
        state.update(f"{path.name}\n".encode() + path.read_bytes())

    # differs: raise `version` in data/catalog.toml, then `make golden`
    golden("catalog-version.txt", f"{BUILT_IN.version} {state.hexdigest()}\n")
