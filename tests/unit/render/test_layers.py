import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.render.layers import (
    ALONE_BYTES,
    FIXED_LAYERS,
    LAYERS,
    MOST_LAYERS,
    layer_budget,
    plan_wheel_layers,
)
from tests.rig.locks import wheel

SIZES = st.lists(st.integers(1, 50 * ALONE_BYTES), max_size=40)


def wheels_of(sizes):
    return [wheel(f"package-{position}", size=size) for position, size in enumerate(sizes)]


def test_large_wheels_lie_alone_below_the_small_ones():
    plan = plan_wheel_layers(wheels_of([10, 3_000_000, 20, 9_000_000]), budget=6)
    assert [[item.name for item in layer.wheels] for layer in plan] == [
        ["package-3"],
        ["package-1"],
        ["package-0", "package-2"],
    ]


def test_no_wheels_no_layers():
    assert plan_wheel_layers([], budget=6) == ()


def test_the_smallest_large_ones_are_joined_when_room_is_short():
    plan = plan_wheel_layers(wheels_of([4_000_000, 2_000_000, 1_000_000, 9_000_000, 5]), budget=4)
    assert [[item.name for item in layer.wheels] for layer in plan] == [
        ["package-3"],
        ["package-0"],
        ["package-1", "package-2"],
        ["package-4"],
    ]


@pytest.mark.property
@given(SIZES, st.integers(1, 8), st.randoms())
def test_every_wheel_once_within_budget_whatever_the_order(sizes, budget, random):
    wheels = wheels_of(sizes)
    plan = plan_wheel_layers(wheels, budget=budget)
    assert len(plan) <= budget
    assert sorted(item.file for layer in plan for item in layer.wheels) == sorted(
        item.file for item in wheels
    )
    random.shuffle(wheels)
    assert plan_wheel_layers(wheels, budget=budget) == plan


@pytest.mark.property
@given(SIZES)
def test_with_room_for_all_membership_depends_on_no_neighbour(sizes):
    wheels = wheels_of(sizes)
    plan = plan_wheel_layers(wheels, budget=len(wheels) + 1)
    for layer in plan:
        assert len(layer.wheels) == 1 or all(item.size < ALONE_BYTES for item in layer.wheels)


@pytest.mark.property
@given(
    st.lists(st.integers(ALONE_BYTES, 50 * ALONE_BYTES), max_size=20),
    st.lists(st.integers(1, ALONE_BYTES - 1)),
)
def test_small_wheels_move_no_large_one(large, small):
    """Layers below the last are those of the large wheels, in one order, whatever lies on top."""
    plan = plan_wheel_layers(wheels_of([*large, *small]), budget=LAYERS)
    below = plan_wheel_layers(wheels_of(large), budget=LAYERS)
    assert plan[: len(below)] == below
    assert [layer.size for layer in below] == sorted(large, reverse=True)


@pytest.mark.property
@given(st.integers(0, 200))
def test_an_image_has_no_more_layers_than_engines_take(base_layers):
    budget = layer_budget(base_layers)
    assert 1 <= budget <= LAYERS
    assert budget == 1 or base_layers + FIXED_LAYERS + budget <= MOST_LAYERS
