import pytest

from envbuild.errors import LockInvalidError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.identity import target_digest
from envbuild.lock.merge import merge_locks
from envbuild.lock.model import Lock
from envbuild.resolve.merge import join_locks
from tests.rig.growing import with_wheels, without_wheels
from tests.rig.locks import BUILD_TOOL, COMPILER, deb, image_base, sample_lock, source_lock, wheel

BASE = sample_lock()

BUILD_LINE = f'requires = [\n    "{BUILD_TOOL.file}"'


def test_a_lock_with_sources_is_version_2_and_reads_as_it_was() -> None:
    text = dumps(source_lock())

    assert "\nversion = 2\n" in text
    assert loads(text) == source_lock()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('builder = "', 'builder = "no ', "is not among the builders"),
        ('"gcc_4:12.2.0-3_amd64.deb"', '"gcc_9_amd64.deb"', "is not among the debs"),
        ('hash-source = "built"\n', "", "must have a source exactly when it is built"),
        (BUILD_LINE, 'requires = [\n    "x-1-py3-none-any.whl"', "is not among the wheels"),
    ],
    ids=["builder", "deb", "built", "requires"],
)  # fmt: skip
def test_a_source_that_leads_nowhere_is_named(old: str, new: str, problem: str) -> None:
    text = dumps(source_lock())
    assert old in text

    with pytest.raises(LockInvalidError) as caught:
        loads(text.replace(old, new, 1) if "deb" not in old else _in_builder(text, old, new))

    assert problem in " ".join(str(item) for item in caught.value.problems)


def _in_builder(text: str, old: str, new: str) -> str:
    before, mark, after = text.partition("[[builders]]")
    return before + mark + after.replace(old, new, 1)


def test_what_a_wheel_is_built_from_is_no_part_of_the_image() -> None:
    one, other = source_lock(source="one"), source_lock(source="other")

    assert target_digest(one, one.targets[0]) == target_digest(other, other.targets[0])


def test_a_merge_keeps_what_its_wheels_are_built_from() -> None:
    theirs = with_wheels(BASE, wheel("polars"), asks=["polars"])

    merged = merge_locks(BASE, source_lock(), theirs).lock

    assert merged is not None
    assert merged.sources == source_lock().sources
    assert merged.builders == source_lock().builders
    assert BUILD_TOOL in merged.wheels
    assert COMPILER in merged.debs
    assert loads(dumps(merged)) == merged


def test_two_builders_of_one_base_are_a_conflict() -> None:
    ours = source_lock()
    other = deb("make")
    theirs = _with_builder_debs(source_lock(name="wordninja"), (COMPILER.file, other.file), other)

    result = merge_locks(BASE, ours, theirs)

    assert [str(problem) for problem in result.conflicts] == [
        f"builders.{ours.builders[0].key}: the two sides build on other packages; run `envbuild lock`"
    ]


def test_a_builder_on_a_base_that_is_gone_is_a_conflict() -> None:
    built = source_lock()
    base = image_base()
    (target,) = built.targets
    moved = built.model_copy(
        update={
            "bases": (*built.bases, base),
            "targets": (target.model_copy(update={"base": base.key}),),
        }
    )

    result = merge_locks(moved, moved, moved)

    assert [problem.where for problem in result.conflicts] == ["builders"]


def test_what_nobody_needs_any_more_goes_with_its_source() -> None:
    ours = source_lock()
    theirs = without_wheels(ours, "langdetect", asked=[])

    joined = join_locks(ours, theirs, ours).lock

    assert joined is not None
    assert (joined.sources, joined.builders) == ((), ())
    assert loads(dumps(joined)) == joined


def _with_builder_debs(lock: Lock, files: tuple[str, ...], *debs: object) -> Lock:
    (builder,) = lock.builders
    return lock.model_copy(
        update={
            "builders": (builder.model_copy(update={"debs": tuple(sorted(files))}),),
            "debs": tuple(sorted((*lock.debs, *debs), key=lambda item: item.file)),
        }
    )
