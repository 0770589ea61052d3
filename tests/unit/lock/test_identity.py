import json
from datetime import timedelta

import pytest

from envbuild.digest import canonical_json
from envbuild.lock.codec import loads
from envbuild.lock.identity import (
    EARLIER_FORMATS,
    FORMAT_CHANGES,
    epoch_of,
    project_target,
    tag_of,
    target_digest,
)
from tests.rig.locks import CREATED, UPLOADED, conda_lock, gpu_lock, hexadecimal, image_base, sample_lock
from tests.rig.paths import CHECKOUT


def changed(**wheel_fields):
    lock = sample_lock()
    wheels = (*lock.wheels[:2], lock.wheels[2].model_copy(update=wheel_fields), lock.wheels[3])
    return lock.model_copy(update={"wheels": wheels})


def digest_of(lock):
    return target_digest(lock, lock.targets[0])


@pytest.mark.parametrize(
    "fields",
    [{"hash_source": "computed"}, {"index": "mirror"}, {"path": "packages/cc/dd/numpy.whl"}],
    ids=lambda fields: next(iter(fields)),
)
def test_where_bytes_came_from_is_no_part_of_the_identity(fields):
    assert digest_of(changed(**fields)) == digest_of(sample_lock())


@pytest.mark.parametrize(
    "fields",
    [{"sha256": hexadecimal("other")}, {"version": "2.3.5"}, {"requires": ("six",)}],
    ids=lambda fields: next(iter(fields)),
)
def test_what_a_wheel_is_makes_the_identity(fields):
    assert digest_of(changed(**fields)) != digest_of(sample_lock())


def test_other_targets_and_tools_are_no_part_of_it():
    lock = sample_lock()
    other = lock.targets[0].model_copy(update={"variant": "gpu"})
    wider = lock.model_copy(update={"targets": (*lock.targets, other), "tools": {"uv": "99"}})
    assert digest_of(wider) == digest_of(lock)
    assert target_digest(wider, other) != digest_of(lock)


def test_the_epoch_is_the_newest_thing_locked():
    lock = sample_lock()
    assert epoch_of(lock, lock.targets[0]) == int(UPLOADED.timestamp())
    undated = tuple(wheel.model_copy(update={"uploaded": None}) for wheel in lock.wheels)
    lock = lock.model_copy(update={"wheels": undated})
    assert epoch_of(lock, lock.targets[0]) == int(CREATED.timestamp())


def test_the_projection_is_json_and_names_no_address():
    lock = sample_lock(image_base("index.docker.io/library/python:3.11"))
    text = canonical_json(project_target(lock, lock.targets[0])).decode()
    document = json.loads(text)
    assert document["interpreter"]["path"] == "/usr/bin/python3.11"
    assert [item["name"] for item in document["wheels"]] == ["joblib", "numpy", "scikit-learn"]
    assert "packages/aa" not in text
    assert "pool/main" not in text


def test_the_tag_is_the_first_twelve_digits():
    assert tag_of("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"


def test_an_earlier_recipe_format_gives_the_tag_it_gave():
    lock = loads((CHECKOUT / "examples/sklearn/envbuild.lock").read_text(encoding="utf-8"))
    tags = {
        number: tag_of(target_digest(lock, lock.targets[0], recipe_format=number))
        for number in FORMAT_CHANGES
    }
    assert tags == {1: "6c3ff6c8c468", 2: "4b7784d76353", 3: "e4b95859886d", 4: "a3a6a3077fa0"}
    assert sorted(EARLIER_FORMATS) == [1, 2, 3]


def test_the_reference_lists_recipe_formats_with_their_reasons():
    page = (CHECKOUT / "docs/reference/lock.md").read_text(encoding="utf-8")
    rows = "".join(f"| {number} | {reason} |\n" for number, reason in FORMAT_CHANGES.items())
    assert f"| recipe format | what changed |\n|---|---|\n{rows}\n" in page


def test_a_table_that_is_absent_is_no_part_of_the_identity():
    lock = sample_lock()
    assert set(project_target(lock, lock.targets[0])) == {
        "base", "base_epoch", "command", "debs", "env", "epoch", "format", "installer", "interpreter",
        "name", "platform", "prefix", "user", "variant", "wheels", "workdir",
    }  # fmt: skip


def test_cuda_is_part_of_the_identity_where_there_is_any():
    lock = gpu_lock()
    (target,) = lock.targets
    document = json.loads(canonical_json(project_target(lock, target)))
    assert document["gpu"]["runtime"] == "13.0"
    assert document["gpu"]["fleet"][0]["driver-state"] == "toolkit"
    assert digest_of(lock) != digest_of(sample_lock())
    assert "gpu" not in project_target(sample_lock(), sample_lock().targets[0])


def test_conda_packages_are_part_of_the_identity_where_they_come_from_is_not():
    lock = conda_lock()
    (target,) = lock.targets
    projection = project_target(lock, target)
    assert projection["prefix"] == "/opt/conda"
    assert [package["name"] for package in projection["conda"]["packages"]] == [
        "numpy",
        "proj",
        "python",
        "tqdm",
    ]
    first, *others = lock.conda
    computed = lock.model_copy(
        update={"conda": (first.model_copy(update={"hash_source": "computed"}), *others)}
    )
    assert target_digest(computed, target) == target_digest(lock, target)
    rebuilt = lock.model_copy(update={"conda": (first.model_copy(update={"sha256": "0" * 64}), *others)})
    assert target_digest(rebuilt, target) != target_digest(lock, target)
    later = UPLOADED + timedelta(days=1)
    newer = lock.model_copy(update={"conda": (first.model_copy(update={"timestamp": later}), *others)})
    assert epoch_of(newer, target) == int(later.timestamp())
