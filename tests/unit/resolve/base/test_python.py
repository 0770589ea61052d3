import gzip
import io
import tarfile
from datetime import date
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError, NoSolutionError, SpecError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.identity import project_target, target_digest
from envbuild.lock.model import Interpreter, OsRelease, PythonArchive
from envbuild.platforms import AMD64
from envbuild.remote.address import Address
from envbuild.remote.python_builds import StandalonePython
from envbuild.render.recipe import render_recipe
from envbuild.resolve.base import python as python_for_base
from envbuild.resolve.base.python import (
    distribution_python,
    executable_of,
    packaged_interpreter,
    standalone_python,
)
from envbuild.resolve.resolvers import Foundation
from envbuild.store.plan import artifacts_of
from envbuild.store.store import Store
from tests.rig.locks import deb, hexadecimal, image_base, sample_lock

FILE = "cpython-3.12.9+20250317-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"


def archive(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as made:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 4
            made.addfile(member, io.BytesIO(b"ELF!"))
    return data.getvalue()


def test_a_build_is_fetched_verified_and_its_program_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive("python/lib/python3.12/os.py", "python/bin/python3.12")
    build = StandalonePython(
        version="3.12.9",
        file=FILE,
        path=f"20250317/{FILE.replace('+', '%2B')}",
        sha256=sha256_bytes(content),
        released=date(2025, 3, 17),
    )
    monkeypatch.setattr(python_for_base, "find_standalone", lambda *_, **__: build)
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / FILE).write_bytes(content)
    found = standalone_python(
        "3.12",
        AMD64,
        image="nvidia/cuda:x",
        snapshot=None,
        store=Store(tmp_path / "store"),
        vendor=tmp_path / "vendor",
    )
    assert found == Interpreter(
        version="3.12.9",
        path="/opt/python/bin/python3.12",
        provider="standalone",
        sha256=sha256_bytes(b"ELF!"),
        archive=PythonArchive(file=FILE, path=build.path, size=len(content), sha256=build.sha256),
    )


def test_without_a_build_it_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        standalone_python(
            "3.12",
            AMD64,
            image="nvidia/cuda:x",
            snapshot=date(2010, 1, 1),
            store=Store(tmp_path),
        )
    assert caught.value.message == (
        "`nvidia/cuda:x` has no Python 3.12, and there is no standalone build of it "
        "that was there on 2010-01-01"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(archive("python/bin/python3.11"), "has no bin/python3.12", id="another version"),
        pytest.param(archive("python/../etc/passwd"), "outside the folder", id="leads out"),
        pytest.param(archive("etc/passwd"), "outside the folder", id="elsewhere"),
        pytest.param(gzip.compress(b"no tar" * 200), "is no archive", id="no tar"),
        pytest.param(b"no gzip", "is no archive", id="no gzip"),
        pytest.param(archive("python/bin/python3.12")[:40], "is no archive", id="cut short"),
    ],
)
def test_what_is_no_archive_of_a_python_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(IntegrityError, match=message):
        executable_of(io.BytesIO(content), "bin/python3.12", file=FILE)


def test_the_distributions_own_python_is_known_for_images_and_packages() -> None:
    debian = OsRelease(id="debian", version_id="12", codename="bookworm", pretty_name="Debian")
    ubuntu = OsRelease(id="ubuntu", version_id="24.04", codename="noble", pretty_name="Ubuntu")
    other = OsRelease(id="alpine", version_id="3.20", pretty_name="Alpine")
    assert [distribution_python(os) for os in (debian, ubuntu, other)] == ["3.11", "3.12", None]


def test_packages_of_python_name_the_interpreter_they_bring() -> None:
    found = packaged_interpreter(
        "3.11", (deb("python3.11", "3.11.2-6"), deb("python3.11-minimal", "3.11.2-6"))
    )
    assert (found.version, found.path, found.provider) == (
        "3.11.2",
        "/usr/bin/python3.11",
        "deb python3.11-minimal",
    )
    with pytest.raises(NoSolutionError):
        packaged_interpreter("3.11", (deb("python3.11", "3.11.2-6"),))


def test_packages_that_bring_it_are_laid_on_an_image_that_has_them_not() -> None:
    interpreter = Interpreter(version="3.11.2", path="/usr/bin/python3.11", provider="deb python3.11-minimal")
    image = image_base()
    having = image.model_copy(update={"debs": ("python3.11-minimal=3.11.2-6:amd64",)})
    assert Foundation(base=image, interpreter=interpreter).python_packages == ("python3.11",)
    assert Foundation(base=having, interpreter=interpreter).python_packages == ()
    own = interpreter.model_copy(update={"provider": "image"})
    assert Foundation(base=image, interpreter=own).python_packages == ()


def standalone_lock():
    lock = sample_lock(image_base())
    (target,) = lock.targets
    interpreter = Interpreter(
        version="3.12.9",
        path="/opt/python/bin/python3.12",
        provider="standalone",
        sha256=hexadecimal("program"),
        archive=PythonArchive(
            file=FILE,
            path=f"20250317/{FILE.replace('+', '%2B')}",
            size=30_000_000,
            sha256=hexadecimal("archive"),
        ),
    )
    return lock.model_copy(update={"targets": (target.model_copy(update={"interpreter": interpreter}),)})


def test_a_lock_holds_the_archive_and_no_host():
    lock = standalone_lock()
    assert loads(dumps(lock)) == lock
    assert "://" not in dumps(lock)


def test_what_is_unpacked_makes_the_identity_and_where_it_lies_does_not():
    lock = standalone_lock()
    (target,) = lock.targets
    moved = target.interpreter.archive.model_copy(update={"path": "elsewhere.tar.gz"})
    other = target.interpreter.archive.model_copy(update={"sha256": hexadecimal("other")})
    digests = [
        target_digest(
            lock,
            target.model_copy(
                update={"interpreter": target.interpreter.model_copy(update={"archive": item})}
            ),
        )
        for item in (target.interpreter.archive, moved, other)
    ]
    assert digests[0] == digests[1] != digests[2]
    assert "archive" not in project_target(sample_lock(), sample_lock().targets[0])["interpreter"]


def test_the_recipe_fetches_it_by_its_hash_and_unpacks_it_before_the_environment():
    lock = standalone_lock()
    recipe = render_recipe(lock, lock.targets[0], probe=b"")
    text = recipe.files["Dockerfile"].decode()
    assert f"ADD --checksum=sha256:{hexadecimal('archive')} ${{PYTHON_URL}}/20250317/" in text
    assert text.index("recipe/python.sh") < text.index("recipe/venv.sh")
    assert '"/opt/python/bin/python3.12"' in text
    assert b"tar -xzof" in recipe.files["recipe/python.sh"]
    plain = render_recipe(sample_lock(), sample_lock().targets[0], probe=b"")
    assert "recipe/python.sh" not in plain.files
    assert "PYTHON_URL" not in plain.arguments


def test_a_build_needs_it_as_an_artifact():
    lock = standalone_lock()
    found = artifacts_of(lock, lock.targets[0], wheels=Nowhere(), debs=Nowhere(), conda=Nowhere())
    (python,) = (item for item in found if item.kind == "python")
    assert (python.name, python.filename, python.size) == ("cpython 3.12.9", FILE, 30_000_000)
    assert str(next(iter(python.locate()))).endswith(f"/20250317/{FILE.replace('+', '%2B')}")


class Nowhere:
    def locate(self, item: object) -> tuple[Address, ...]:
        return ()
