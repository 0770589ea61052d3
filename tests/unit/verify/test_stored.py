"""A stored image against its lock, as a whole."""

from dataclasses import replace
from typing import Any

import pytest

from envbuild.digest import sha256_bytes
from envbuild.image.local.reference import Reference
from envbuild.image.stored.image import StoredImage
from envbuild.lock.identity import project_target, target_digest
from envbuild.oci.manifest import ManifestError
from envbuild.render import labels
from envbuild.verify.checks.target import read_target
from envbuild.verify.configuration import expected_configuration
from envbuild.verify.stored import StoredComparison, StoredEvidence, compare_stored
from tests.rig.locks import sample_lock
from tests.rig.stored_images import SmallImage, as_json, digest_of
from tests.rig.tar_layers import Entry, file, folder, listing

LOCK = sample_lock()
FILES = [folder("etc"), file("etc/motd", "1")]


def image(*layers: list[Entry], engine: str = "docker", **changes: Any) -> tuple[StoredImage, SmallImage]:
    """Return the image of the lock with these layers, as `engine` would have built it."""
    expected = expected_configuration(LOCK, LOCK.targets[0], None)
    settings = {**expected.settings, "Labels": {**expected.settings["Labels"], labels.ENGINE: engine}}
    small = SmallImage(layers, settings=settings, changes={"created": expected.created, **changes})
    stored = StoredImage(
        source="a test",
        digest=digest_of(small.config),
        config=small.config,
        read_layers=lambda wanted: iter(()),
    )
    return stored, small


def compare(stored: tuple[StoredImage, SmallImage], reference: Any, **fields: Any) -> StoredEvidence:
    target = LOCK.targets[0]
    found, small = stored
    made = None
    if reference is not None:
        _, other = reference
        made = Reference(config=other.config, listings=tuple(listing(*entries) for entries in other.layers))
    return compare_stored(
        StoredComparison(
            lock=LOCK,
            target=target,
            locked=read_target(project_target(LOCK, target), target_digest(LOCK, target)),
            image=found,
            listings=tuple(listing(*entries) for entries in small.layers),
            reference=made,
            no_reference=None if made else "no reference: why",
            **fields,
        )
    )


def outcome(evidence: StoredEvidence, key: str) -> tuple[str, str | None] | None:
    return next(((item.outcome, item.found) for item in evidence.results if item.id == key), None)


def test_an_image_that_is_its_reference_holds() -> None:
    evidence = compare(image(FILES), image(FILES, engine="local"))
    assert evidence.held
    assert evidence.proof is None, "nobody asked"
    assert outcome(evidence, "exact") is None
    assert outcome(evidence, "coverage") == ("passed", "3 paths")


def test_the_same_configuration_is_the_same_image() -> None:
    evidence = compare(image(FILES, engine="local"), image(FILES, engine="local"), exact=True)
    assert (evidence.held, evidence.proof) == (True, "digest")
    digest = sha256_bytes(image(FILES, engine="local")[0].config)
    assert outcome(evidence, "exact") == ("passed", f"by digest: configuration sha256:{digest}")


def test_another_engine_makes_the_same_tree_of_other_layers() -> None:
    """Its layers have other times, and are cut elsewhere."""
    layers = ([folder("etc"), file("etc/motd", "0")], FILES)
    evidence = compare(image(*layers), image(FILES, engine="local"), exact=True)
    assert (evidence.held, evidence.proof) == (True, "tree")


def test_the_local_engine_makes_no_other_layers() -> None:
    layers = ([folder("etc"), file("etc/motd", "0")], FILES)
    evidence = compare(image(*layers, engine="local"), image(FILES, engine="local"), exact=True)
    assert (evidence.held, evidence.proof) == (False, None)
    (result,) = (item for item in evidence.results if item.id == "exact")
    assert result.outcome == "failed"
    assert "its engine always makes the same" in (result.reason or "")


@pytest.mark.parametrize(
    "differing",
    [
        image([folder("etc"), file("etc/motd", "2")]),
        image([*FILES, file("x")]),
        image([]),
        image(FILES, os="windows"),
        image(FILES, novel="x"),
    ],
    ids=["content", "extra", "missing", "configuration", "extra configuration"],
)
def test_a_difference_is_no_proof(differing: tuple[StoredImage, SmallImage]) -> None:
    evidence = compare(differing, image(FILES, engine="local"), exact=True)
    assert (evidence.held, evidence.proof) == (False, None)
    assert outcome(evidence, "exact") == ("failed", "not so: see the other differences")


@pytest.mark.parametrize(("required", "expected"), [(False, "skipped"), (True, "failed")])
def test_what_is_not_covered_is_a_result(*, required: bool, expected: str) -> None:
    evidence = compare(image(FILES), None, require_complete=required)
    assert outcome(evidence, "coverage") == (expected, "3 of 3 not covered")
    assert evidence.held is (not required)
    assert evidence.coverage.reason == "no reference: why"


def test_without_a_reference_nothing_is_proved() -> None:
    evidence = compare(image(FILES), None, exact=True)
    assert evidence.proof is None
    assert outcome(evidence, "exact") is None


def test_a_configuration_that_is_no_table_is_an_error_of_ours() -> None:
    stored, small = image(FILES)
    for config in (b"[]", b"{", as_json(5)):
        with pytest.raises(ManifestError):
            compare((replace(stored, config=config), small), None)
