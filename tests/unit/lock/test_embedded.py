import json
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import LockInvalidError
from envbuild.lock.codec import loads
from envbuild.lock.diff import projections_of
from envbuild.lock.embedded import read_projection
from envbuild.lock.model import Lock
from tests.rig.locks import conda_lock, gpu_lock, image_base, sample_lock
from tests.rig.paths import CHECKOUT

EXAMPLES = sorted((CHECKOUT / "examples").glob("*/envbuild.lock"))


def projection(lock: Lock | None = None) -> dict[str, Any]:
    (found,) = projections_of(lock or sample_lock()).values()
    document: dict[str, Any] = json.loads(json.dumps(found))
    return document


@pytest.mark.parametrize(
    "lock",
    [sample_lock(), sample_lock(image_base()), gpu_lock(), conda_lock()],
    ids=["packages", "image", "gpu", "conda"],
)
def test_what_a_build_puts_into_an_image_is_read_as_it_stands(lock: Lock):
    document = projection(lock)

    assert read_projection(json.dumps(document).encode()) == document


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_what_the_examples_put_into_images_is_read(path: Path):
    for found in projections_of(loads(path.read_text(encoding="utf-8"))).values():
        assert read_projection(json.dumps(found).encode()) == found


def test_fields_of_a_later_release_stay():
    document = projection() | {"models": [{"name": "x"}]}

    assert read_projection(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    "data",
    [b"{", b"\xff\xfe{", b"[" * 100_000, b'{"a":' * 100_000, b"9" * 5_000, b'{"name": "\\ud800"}'],
    ids=["cut", "utf-16", "arrays", "objects", "digits", "half a character"],
)
def test_what_is_not_json_is_refused(data: bytes):
    with pytest.raises(LockInvalidError, match="the lock is not JSON that envbuild writes"):
        read_projection(data)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"variant": []}, "variant"),
        ({"base": None}, "base"),
        ({"wheels": {}}, "wheels"),
        ({"wheels": [{"name": "x", "version": "1", "sha256": "0", "size": "5"}]}, "wheels[0].size"),
        ({"debs": [{"name": "x", "version": "1", "sha256": "0", "size": 5}]}, "debs[0].architecture"),
        ({"conda": {"packages": [1]}}, "conda.packages[0]"),
        ({"env": {"A": 1}}, "env.A"),
        ({"command": "python"}, "command"),
        ({"user": {"name": "x", "uid": True, "gid": 0}}, "user.uid"),
        ({"gpu": {"vendor": "amd", "libraries": None}}, "gpu.libraries"),
        ({"gpu": {"vendor": "amd", "fleet": [{"target": "T4", "ok": 1, "reason": ""}]}}, "gpu.fleet[0].ok"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(change: dict[str, Any], field: str):
    with pytest.raises(LockInvalidError) as caught:
        read_projection(json.dumps(projection() | change).encode())

    assert [problem.where for problem in caught.value.problems] == [field]


def test_a_field_has_the_name_it_has_in_images():
    document = projection()
    document["base"]["os"]["pretty_name"] = document["base"]["os"].pop("pretty-name")

    with pytest.raises(LockInvalidError) as caught:
        read_projection(json.dumps(document).encode())

    assert [str(problem) for problem in caught.value.problems] == ["base.os.pretty-name: is missing"]


def test_a_base_comes_from_one_source():
    document = projection()
    document["base"]["packages"] = None

    with pytest.raises(LockInvalidError) as caught:
        read_projection(json.dumps(document).encode())

    assert [problem.where for problem in caught.value.problems] == ["base"]


def test_everything_wrong_is_said_at_once():
    with pytest.raises(LockInvalidError) as caught:
        read_projection(b'{"variant": "default", "platform": "linux/amd64"}')

    assert {"base", "wheels", "format"} <= {problem.where for problem in caught.value.problems}
