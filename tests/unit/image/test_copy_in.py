"""What `run --copy` cannot find is named as in other messages."""

from pathlib import Path

import pytest

from envbuild.errors import UsageError
from envbuild.image.copy_in import tar_of


def test_everything_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    with pytest.raises(UsageError) as raised:
        tar_of([Path("no-such-file"), tmp_path / "there", Path("nor-this")], uid=0, gid=0)
    assert raised.value.message == "there is no `no-such-file`, `nor-this` to copy"
