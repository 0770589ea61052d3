"""Options that a program gives wrongly are refused when they are made, by the name of their field."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from envbuild import BuildOptions, ImageOutput, LockOptions, RunOptions, StatusOptions, VerifyOptions
from envbuild.errors import UsageError
from envbuild.workflows.engines import choose_engine
from envbuild.workflows.project import Project

Options = Callable[..., object]


@pytest.mark.parametrize("options", [BuildOptions, RunOptions, StatusOptions, VerifyOptions])
def test_an_engine_that_is_none_is_refused(options: Options) -> None:
    with pytest.raises(UsageError) as caught:
        options(engine="podman")
    assert caught.value.message == "`engine` cannot be 'podman'"
    assert caught.value.hint == "allowed values: docker, local"


def test_an_engine_that_is_none_is_not_chosen(project: Project) -> None:
    wrong: Any = "podman"
    with pytest.raises(UsageError, match="`engine` cannot be 'podman'"):
        choose_engine(wrong, project, {})


NO_CONTAINER = "--host takes no image, no --deep and no --exact"


@pytest.mark.parametrize(
    ("options", "values", "message"),
    [
        (BuildOptions, {"compression": "xz"}, "`compression` cannot be 'xz'"),
        (BuildOptions, {"outputs": "oci:here"}, "`outputs` cannot be 'oci:here'"),
        (BuildOptions, {"outputs": ["here"]}, "`here` is not a place for an image"),
        (BuildOptions, {"outputs": [Path("here")]}, f"`outputs` cannot hold {Path('here')!r}"),
        (VerifyOptions, {"profile": "strict"}, "`profile` cannot be 'strict'"),
        (
            VerifyOptions,
            {"host": True, "image": "no/such:image"},
            NO_CONTAINER,
        ),
        (VerifyOptions, {"host": True, "exact": True}, NO_CONTAINER),
        (VerifyOptions, {"require_complete": True}, "--require-complete needs --deep or --exact"),
        (VerifyOptions, {"use_cache": False}, "--no-cache needs --deep or --exact"),
        (VerifyOptions, {"exact": True, "require_gpu": True}, "--require-gpu needs an answer of the image"),
        (
            VerifyOptions,
            {"exact": True, "profile": "devcontainer"},
            "a dev container holds more than the lock: --exact is not for --profile devcontainer",
        ),
        (VerifyOptions, {"host": True, "deep": True}, NO_CONTAINER),
        (LockOptions, {"upgrade_packages": "six"}, "`upgrade_packages` cannot be 'six'"),
        (LockOptions, {"upgrade_packages": [6]}, "`upgrade_packages` holds something that is not text"),
        (RunOptions, {"copies": "/etc/hostname"}, "`copies` cannot be '/etc/hostname'"),
        (RunOptions, {"copies": Path("data")}, f"`copies` cannot be {Path('data')!r}"),
        (RunOptions, {"copies": [None]}, "`copies` holds something that is not a path"),
        (RunOptions, {"copies": None}, "`copies` cannot be None"),
        (RunOptions, {"env": ["A=1"]}, "`env` cannot be a list"),
    ],
)
def test_a_value_that_a_field_cannot_have_is_refused(
    options: Options, values: Mapping[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        options(**values)
    assert caught.value.message == message
    assert caught.value.hint


def test_any_iterable_will_do() -> None:
    names: Any = ["six", "numpy", "six"]
    copies: Any = ["a", Path("b")]
    outputs: Any = ["oci:layout", ImageOutput(kind="archive", path=Path("image.tar"))]
    assert LockOptions(upgrade_packages=names).upgrade_packages == frozenset({"six", "numpy"})
    assert RunOptions(copies=copies).copies == (Path("a"), Path("b"))
    assert list(map(str, BuildOptions(outputs=outputs).outputs)) == ["oci:layout", "archive:image.tar"]
