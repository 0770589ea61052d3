from datetime import date
from typing import Any

import pytest

from envbuild.errors import Problem
from envbuild.lock.freshness import stale_fields
from envbuild.spec.request import (
    BaseRequest,
    CondaRequest,
    DataRequest,
    ExperimentsRequest,
    GpuRequest,
    ImageRequest,
    PipRequest,
    Request,
    SystemRequest,
    VariantRequest,
)

PLAIN = VariantRequest(
    python="3.11",
    base=BaseRequest(image="python:3.11-slim-bookworm"),
    pip=PipRequest(requirements=("numpy", "pandas<2"), sources={"torch": "pytorch"}),
)


def request(*, variants: dict[str, VariantRequest] | None = None, **changes: Any) -> Request:
    plain = Request(
        name="train",
        platforms=("linux/amd64",),
        default_variant="default",
        variants=variants or {"default": PLAIN},
    )
    return plain.model_copy(update=changes)


def changed(**changes: Any) -> VariantRequest:
    return PLAIN.model_copy(update=changes)


def test_equal_requests_are_fresh() -> None:
    assert stale_fields(request(), request()) == ()


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (changed(python="3.12"), Problem("python", "3.11 → 3.12")),
        (changed(snapshot=date(2026, 11, 1)), Problem("snapshot", "unset → 2026-11-01")),
        (
            changed(experiments=ExperimentsRequest(record=False)),
            Problem("experiments", "unset → record = false"),
        ),
        (
            changed(base=BaseRequest(image="python:3.11-slim-trixie")),
            Problem("base.image", "python:3.11-slim-bookworm → python:3.11-slim-trixie"),
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"requirements": ("numpy", "scipy>=1.11")})),
            Problem("pip.requirements", "+ scipy>=1.11, - pandas<2"),
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"requirements": ("pandas<2", "numpy")})),
            None,
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"constraints": ("numpy<2",)})),
            Problem("pip.constraints", "+ numpy<2"),
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"resolver": "pip-tools"})),
            Problem("pip.resolver", "uv → pip-tools"),
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"sources": {}})),
            Problem("pip.sources.torch", "pytorch → unset"),
        ),
        (
            changed(pip=PLAIN.pip.model_copy(update={"indexes": {"a": "https://index.example.com"}})),
            Problem("pip.indexes.a", "unset → https://index.example.com"),
        ),
        (changed(system=SystemRequest(packages=("git",))), Problem("system.packages", "+ git")),
        (changed(image=ImageRequest(env={"A": ""})), Problem("image.env.A", 'unset → ""')),
        (changed(image=ImageRequest(user="root")), Problem("image.user", "app → root")),
        (
            changed(image=ImageRequest(command=("python", "-c", "1 + 1"))),
            Problem("image.command", "python → python -c '1 + 1'"),
        ),
        (changed(seed=0), Problem("determinism.seed", "unset → 0")),
    ],
)
def test_each_field_of_a_variant_makes_a_lock_stale(asked: VariantRequest, problem: Problem | None) -> None:
    expected = () if problem is None else (problem,)
    assert stale_fields(request(variants={"default": asked}), request()) == expected


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "other"}, Problem("name", "train → other")),
        ({"repository": "h/x"}, Problem("image.repository", "unset → h/x")),
        ({"platforms": ("linux/amd64", "linux/arm64")}, Problem("platforms", "+ linux/arm64")),
        ({"default_variant": "cpu"}, Problem("default-variant", "default → cpu")),
    ],
)
def test_each_common_field_makes_a_lock_stale(changes: dict[str, Any], problem: Problem) -> None:
    assert stale_fields(request(**changes), request()) == (problem,)


def test_command_arguments_have_an_order() -> None:
    one, other = (
        changed(image=ImageRequest(command=("a", "b"))),
        changed(image=ImageRequest(command=("b", "a"))),
    )
    assert stale_fields(request(variants={"default": one}), request(variants={"default": other})) == (
        Problem("image.command", "b a → a b"),
    )


def test_all_differences_are_named_at_once() -> None:
    asked = request(name="other", variants={"default": changed(python="3.12", seed=1)})
    assert [str(problem) for problem in stale_fields(asked, request())] == [
        "name: train → other",
        "python: 3.11 → 3.12",
        "determinism.seed: unset → 1",
    ]


def test_the_variant_is_named_where_there_are_several() -> None:
    asked = request(variants={"cpu": changed(seed=1), "default": PLAIN})
    locked = request(variants={"cpu": PLAIN, "default": PLAIN})
    assert stale_fields(asked, locked) == (Problem("variants.cpu.determinism.seed", "unset → 1"),)


def test_what_differs_in_every_variant_is_named_once() -> None:
    asked = request(variants={"cpu": changed(python="3.12", seed=1), "default": changed(python="3.12")})
    locked = request(variants={"cpu": PLAIN, "default": PLAIN})
    assert stale_fields(asked, locked) == (
        Problem("python", "3.11 → 3.12"),
        Problem("variants.cpu.determinism.seed", "unset → 1"),
    )


def test_variants_that_come_and_go_are_named() -> None:
    asked = request(variants={"cpu": PLAIN, "default": changed(seed=1)})
    locked = request(variants={"default": PLAIN, "gpu": PLAIN})
    assert stale_fields(asked, locked) == (
        Problem("variants", "+ cpu, - gpu"),
        Problem("variants.default.determinism.seed", "unset → 1"),
    )
    renamed = stale_fields(request(variants={"cpu": PLAIN}), request(variants={"gpu": PLAIN}))
    assert renamed == (Problem("variants", "+ cpu, - gpu"),)


def test_every_field_of_a_request_counts() -> None:
    """A field added to a request must not slip past: each is changed here, one at a time."""
    other = VariantRequest(
        python="3.12",
        snapshot=date(2026, 1, 1),
        base=BaseRequest(packages="debian:bookworm"),
        pip=PipRequest(
            resolver="pip-tools",
            requirements=("a",),
            constraints=("a",),
            indexes={"a": "https://index.example.com"},
            sources={"a": "a"},
        ),
        system=SystemRequest(packages=("a",)),
        gpu=GpuRequest(),
        conda=CondaRequest(channels=("conda-forge",)),
        image=ImageRequest(env={"A": "b"}, user="u", workdir="/u", command=("u",)),
        seed=1,
        experiments=ExperimentsRequest(runtime=True),
    )
    for field in VariantRequest.model_fields:
        asked = request(variants={"default": changed(**{field: getattr(other, field)})})
        assert stale_fields(asked, request()), field
    top: dict[str, Any] = {
        "name": "u",
        "repository": "h/u",
        "platforms": ("linux/arm64",),
        "default_variant": "u",
        "data": {"images": DataRequest(path="data/images", target="/data/images")},
    }
    assert {*top, "variants"} == set(Request.model_fields)
    for field, value in top.items():
        assert stale_fields(request(**{field: value}), request()), field
