"""Rules the catalogue's small languages keep: versions, capabilities, tags, updates."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envbuild.catalog.capability import ComputeCapability
from envbuild.catalog.cuda_images import cuda_images, parse_tag
from envbuild.catalog.gpus import all_gpus, find_gpu
from envbuild.catalog.tables import Catalog, digest_of
from envbuild.catalog.update import combined, read_update, update_from_tags, write_update
from envbuild.catalog.versions import is_version, reaches, version_key
from envbuild.errors import SpecError

pytestmark = pytest.mark.property

NUMBERS = st.integers(0, 700)
VERSIONS = st.lists(NUMBERS, min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
SCOPES = st.sampled_from(["", "a", "f"])
CAPABILITIES = st.builds(ComputeCapability, st.integers(1, 20), st.integers(0, 9), SCOPES)
REAL = st.sampled_from([gpu.compute_capability for gpu in all_gpus()])
TAGS = st.sampled_from([image.tag for image in cuda_images()])
POOL = [image.tag for image in cuda_images(cuda="12")][:150]
ENOUGH_TAGS = st.sets(st.sampled_from(POOL), max_size=50).map(lambda gone: sorted(set(POOL) - gone))
FEW = settings(max_examples=min(20, settings().max_examples))
"""For what takes a whole catalogue each time."""


@given(VERSIONS, VERSIONS)
def test_versions_are_ordered_as_their_numbers(left: str, right: str) -> None:
    numbers = [[int(part) for part in version.split(".")] for version in (left, right)]

    assert (version_key(left) < version_key(right)) is (numbers[0] < numbers[1])
    assert reaches(left, left)
    assert reaches(left, right) or reaches(right, left)


@given(VERSIONS, NUMBERS)
def test_what_a_version_leaves_open_is_reached(version: str, more: int) -> None:
    assert reaches(version, f"{version}.{more}")
    assert reaches(f"{version}.{more}", version)


@given(st.text(max_size=12))
def test_what_is_no_version_is_refused_and_never_breaks(text: str) -> None:
    if is_version(text):
        assert len(version_key(text)) == text.count(".") + 1
    else:
        with pytest.raises(ValueError):
            version_key(text)


@given(CAPABILITIES)
def test_every_spelling_of_a_capability_is_read_back(capability: ComputeCapability) -> None:
    for spelling in (capability.dotted, capability.sm, capability.compute):
        assert ComputeCapability.parse(spelling) == capability


@given(REAL, REAL, SCOPES)
def test_what_runs_as_machine_code_would_also_run_as_ptx(gpu, made, scope) -> None:
    code = ComputeCapability(made.major, made.minor, scope)

    if gpu.runs_cubin_of(code):
        assert gpu.runs_ptx_of(code)


@given(REAL, REAL, REAL)
def test_running_each_others_machine_code_is_passed_on(oldest, middle, newest) -> None:
    if newest.runs_cubin_of(middle) and middle.runs_cubin_of(oldest):
        assert newest.runs_cubin_of(oldest)


@given(REAL, REAL)
def test_a_scope_only_ever_narrows(gpu, made) -> None:
    plain = ComputeCapability(made.major, made.minor)
    for scope in ("f", "a"):
        scoped = ComputeCapability(made.major, made.minor, scope)
        assert gpu.runs_cubin_of(plain) or not gpu.runs_cubin_of(scoped)
        assert gpu.runs_ptx_of(plain) or not gpu.runs_ptx_of(scoped)


@given(st.text(max_size=40))
def test_any_tag_is_read_whole_or_not_at_all(tag: str) -> None:
    parsed = parse_tag(tag)

    assert parsed is None or f"{parsed.cuda}-{parsed.flavour}-{parsed.distribution}" == tag


@given(TAGS, st.text(min_size=1, max_size=5))
def test_what_follows_a_tag_makes_it_another(tag: str, more: str) -> None:
    parsed = parse_tag(tag + more)

    # only further digits of the distribution's version make a tag of it again
    assert parsed is None or (parsed.tag == tag + more and set(more) <= set("0123456789."))


@given(st.text(max_size=30))
def test_any_name_of_a_gpu_is_found_or_refused_with_a_hint(name: str) -> None:
    try:
        found = find_gpu(name)
    except SpecError as error:
        refused = error
    else:
        assert ComputeCapability.parse(found.capability).dotted == found.capability
        return
    assert refused.hint


@FEW
@given(ENOUGH_TAGS)
def test_an_update_from_tags_has_those_tags_and_no_others(tags: list[str]) -> None:
    found = update_from_tags([*tags, "latest"], source="mirror.example.com/cuda")
    images = cuda_images(catalog=Catalog(found.update))

    assert sorted(image.tag for image in images) == sorted(tags)
    assert (found.listed, found.new, found.passed_over) == (len(tags), (), 1)
    assert read_update(write_update(found.update)) == found.update


@FEW
@given(ENOUGH_TAGS, st.randoms())
def test_the_order_of_tags_does_not_matter(tags: list[str], random) -> None:
    shuffled = list(tags)
    random.shuffle(shuffled)

    one, other = (update_from_tags(each, source="mirror.example.com/cuda") for each in (tags, shuffled))
    assert write_update(one.update) == write_update(other.update)
    assert digest_of(one.update) == digest_of(other.update)


KEYS = st.sampled_from(["a", "b", "c"])
UPDATES = st.dictionaries(KEYS, st.dictionaries(KEYS, st.dictionaries(KEYS, NUMBERS)))


@given(UPDATES, UPDATES, UPDATES)
def test_updates_add_up_in_any_grouping(first, second, third) -> None:
    assert combined(combined(first, second), third) == combined(first, combined(second, third))
    assert combined(first, first) == combined({}, first)
