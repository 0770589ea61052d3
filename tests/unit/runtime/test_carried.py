"""The wheels that lie in envbuild's own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import envbuild_runtime
import pytest

from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError
from envbuild.runtime import carried
from envbuild.runtime.carried import carried_wheel, carried_wheels, newest_wheel, read_wheel

FOLDER = Path(carried.__file__).parent / "wheels"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the folder that is read in its place."""
    shutil.copytree(FOLDER, tmp_path / "wheels")
    monkeypatch.setattr(carried, "_FOLDER", tmp_path / "wheels")
    carried_wheels.cache_clear()
    yield tmp_path / "wheels"
    carried_wheels.cache_clear()


def test_the_newest_is_that_of_the_source() -> None:
    assert newest_wheel().version == envbuild_runtime.__version__
    assert newest_wheel() is carried_wheels()[-1]


def test_each_is_what_its_list_says() -> None:
    for wheel in carried_wheels():
        content = read_wheel(wheel.file)
        assert (len(content), sha256_bytes(content)) == (wheel.size, wheel.sha256)
        assert carried_wheel(wheel.file) == wheel


def test_every_wheel_in_the_folder_is_in_the_list() -> None:
    assert {path.name for path in FOLDER.glob("*.whl")} == {wheel.file for wheel in carried_wheels()}


def test_every_released_wheel_is_carried_unchanged() -> None:
    carried_lines = (FOLDER / "carried.sha256").read_text("ascii").splitlines()

    assert set((FOLDER / "released.sha256").read_text("ascii").splitlines()) <= set(carried_lines)


def test_versions_are_in_the_order_of_numbers(wheels: Path) -> None:
    (wheels / "carried.sha256").write_text("")
    for version in ("0.10.0", "0.9.0", "1.0.0"):
        file = f"envbuild_runtime-{version}-py3-none-any.whl"
        (wheels / file).write_bytes(version.encode())
        with (wheels / "carried.sha256").open("a") as stream:
            stream.write(f"{sha256_bytes(version.encode())}  {file}\n")

    assert [wheel.version for wheel in carried_wheels()] == ["0.9.0", "0.10.0", "1.0.0"]
    assert newest_wheel().version == "1.0.0"
    assert read_wheel("envbuild_runtime-0.9.0-py3-none-any.whl") == b"0.9.0"


@pytest.mark.parametrize("file", ["envbuild_runtime-9.9.9-py3-none-any.whl", "../../errors.py", "", "a\0b"])
def test_another_wheel_is_not_carried(file: str) -> None:
    assert carried_wheel(file) is None
    with pytest.raises(IntegrityError, match="carries no"):
        read_wheel(file)


def test_a_damaged_wheel_is_refused(wheels: Path) -> None:
    file = newest_wheel().file
    content = bytearray((wheels / file).read_bytes())
    content[1000] ^= 1
    (wheels / file).write_bytes(content)

    with pytest.raises(IntegrityError, match="is damaged") as caught:
        read_wheel(file)
    assert caught.value.hint == "install envbuild again"


def test_a_wheel_that_went_away_is_refused(wheels: Path) -> None:
    file = newest_wheel().file
    (wheels / file).unlink()

    with pytest.raises(IntegrityError, match="cannot be read"):
        read_wheel(file)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense\n",
        f"{'a' * 64}  ../../x.whl\n",
        f"{'A' * 64}  envbuild_runtime-1.0.0-py3-none-any.whl\n",
        "é\n",
    ],
)
def test_a_damaged_list_is_refused(text: str, wheels: Path) -> None:
    (wheels / "carried.sha256").write_text(text)

    with pytest.raises(IntegrityError, match="cannot be read"):
        carried_wheels()


def test_a_list_that_went_away_is_refused(wheels: Path) -> None:
    (wheels / "carried.sha256").unlink()

    with pytest.raises(IntegrityError, match="cannot be read"):
        newest_wheel()
