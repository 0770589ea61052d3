from collections.abc import Iterable

from envbuild.digest import sha256_bytes
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Wheel
from envbuild.remote.address import Address
from envbuild.runtime.carried import newest_wheel
from envbuild.runtime.names import CARRIED, PROJECT
from envbuild.store.artifact import Artifact
from envbuild.store.plan import artifact_of, artifacts_of
from tests.rig.locks import BASE_DEBS, GIT, INSTALLER, WHEELS, conda_lock, image_base, sample_lock, wheel


class FakeLocator:
    """Knows one mirror, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def locate(self, file: Wheel | Deb | CondaPackage) -> Iterable[Address]:
        self.asked.append(file.file)
        return (Address.of(f"https://mirror.example.com/{file.path}"),)


def planned(lock_base: object = None) -> tuple[tuple[Artifact, ...], FakeLocator]:
    lock = sample_lock(image_base()) if lock_base else sample_lock()
    locator = FakeLocator()
    return artifacts_of(lock, lock.targets[0], wheels=locator, debs=locator, conda=locator), locator


def test_a_target_on_packages_needs_all_debs_and_wheels() -> None:
    artifacts, locator = planned()

    assert [artifact.filename for artifact in artifacts] == [
        *sorted(deb.file for deb in (*BASE_DEBS, GIT)),
        *sorted(wheel.file for wheel in WHEELS),
    ]
    assert INSTALLER.file in {artifact.filename for artifact in artifacts}
    assert locator.asked == []


def test_a_target_on_an_image_needs_no_base_debs() -> None:
    artifacts, _ = planned("image")

    assert [artifact.filename for artifact in artifacts if artifact.kind == "deb"] == [GIT.file]


def test_an_artifact_says_what_the_lock_says() -> None:
    artifacts, locator = planned()
    git = next(artifact for artifact in artifacts if artifact.filename == GIT.file)

    assert (git.name, git.sha256, git.size) == ("git 1:2.39.5-0+deb12u2", GIT.sha256, GIT.size)
    assert "git_1%3a2.39.5-0+deb12u2_amd64.deb" in git.other_names
    assert str(git) == "git_1:2.39.5-0+deb12u2_amd64.deb (1.0 kB)"
    assert list(git.locate()) == [Address.of(f"https://mirror.example.com/{GIT.path}")]
    assert locator.asked == [GIT.file]


def test_the_installer_counts_once_when_it_is_installed_too() -> None:
    lock = sample_lock()
    target = lock.targets[0]
    both = target.model_copy(update={"wheels": (*target.wheels, target.installer)})

    artifacts = artifacts_of(lock, both, wheels=FakeLocator(), debs=FakeLocator(), conda=FakeLocator())

    assert [artifact.filename for artifact in artifacts].count(INSTALLER.file) == 1


def test_conda_packages_come_with_what_lays_them_down() -> None:
    lock = conda_lock()

    artifacts = artifacts_of(
        lock, lock.targets[0], wheels=FakeLocator(), debs=FakeLocator(), conda=FakeLocator()
    )

    assert [artifact.filename for artifact in artifacts if artifact.kind == "conda"] == [
        package.file for package in lock.conda
    ]
    assert [artifact.filename for artifact in artifacts if artifact.kind == "wheel"] == [
        wheel.file for wheel in lock.wheels
    ]
    numpy = next(artifact for artifact in artifacts if artifact.filename == lock.conda[0].file)
    assert list(numpy.locate()) == [Address.of(f"https://mirror.example.com/{lock.conda[0].path}")]


def test_only_the_very_wheel_that_is_locked_is_taken_from_envbuild() -> None:
    newest = newest_wheel()
    carried = wheel(PROJECT, newest.version).model_copy(
        update={"file": newest.file, "sha256": newest.sha256, "size": newest.size, "index": CARRIED}
    )
    locator = FakeLocator()
    assert sha256_bytes(artifact_of(carried, locator).carried() or b"") == newest.sha256
    for other in (
        {"sha256": "0" * 64},
        {"index": "default"},
        {"file": "envbuild_runtime-99.0.0-py3-none-any.whl"},
    ):
        assert artifact_of(carried.model_copy(update=other), locator).carried() is None
