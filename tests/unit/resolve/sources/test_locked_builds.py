"""Wheels that are built, in locks: each under a name of its own, and each kept for its own source."""

from envbuild.lock.model import Wheel, WheelSource
from envbuild.resolve.locked_artifacts import LockedArtifacts
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.sources.release import WheelBuilds, source_key
from tests.rig.locks import hexadecimal, wheel
from tests.rig.source_builds import sample_builder

ARCHIVE = hexadecimal("archive")


def built(name: str, content: str) -> Wheel:
    return wheel(name).model_copy(update={"sha256": hexadecimal(content), "hash_source": "built"})


def source(of: Wheel, subdirectory: str | None = None) -> WheelSource:
    return WheelSource(
        wheel=of.file,
        file="mono-1.tar",
        size=10,
        sha256=ARCHIVE,
        url="https://git.example.com/mono.git",
        commit="a" * 40,
        subdirectory=subdirectory,
        builder=sample_builder().digest,
        contents=("a.py " + "0" * 64,),
    )


def resolved(*wheels: Wheel) -> PythonResolution:
    builds = WheelBuilds(sources=tuple(source(item) for item in wheels), builder=sample_builder())
    return PythonResolution(wheels=wheels, builds=builds)


def test_wheels_of_one_name_that_two_pythons_build_otherwise_are_told_apart() -> None:
    artifacts = LockedArtifacts()
    first, second = built("docopt", "by 3.11"), built("docopt", "by 3.9")
    artifacts.add_wheels(artifacts.apart(resolved(first)).wheels)

    found = artifacts.apart(resolved(second))

    name = f"docopt-1.0-0{second.sha256[:10]}-py3-none-any.whl"
    assert [item.file for item in found.wheels] == [name]
    assert [item.wheel for item in found.builds.sources] == [name]
    assert artifacts.add_wheels(found.wheels) == (name,)


def test_wheels_of_one_name_and_content_stay_one() -> None:
    artifacts = LockedArtifacts()
    python = resolved(built("docopt", "the same"))
    artifacts.add_wheels(artifacts.apart(python).wheels)
    assert artifacts.apart(python) == python


def test_two_projects_of_one_repository_are_two_sources() -> None:
    one, other = built("one", "one"), built("other", "other")
    builds = WheelBuilds(
        sources=(source(one, "packages/one"), source(other, "packages/other")), builder=sample_builder()
    )

    found = builds.by_source([one, other])

    assert {key: item.file for key, item in found.items()} == {
        source_key(ARCHIVE, "packages/one"): one.file,
        source_key(ARCHIVE, "packages/other"): other.file,
    }
