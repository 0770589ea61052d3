from typing import TYPE_CHECKING

import pytest

from envbuild.errors import Problem
from envbuild.spec.model import Spec
from envbuild.spec.request import BaseRequest, GpuRequest
from envbuild.spec.variants import effective, variant_names, written_at

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Ask, Refuse

SPEC = """
    [base]
    packages = "debian:bookworm"
    [pip]
    packages = ["torch"]
    project = false
    indexes = { gpu = "https://index.example.com/gpu", cpu = "https://index.example.com/cpu" }
    sources = { torch = "gpu", scipy = "cpu" }
    [system]
    packages = ["git"]
    [image]
    repository = "registry.example.com/train"
    env = { A = "1", B = "1" }
    command = ["python", "-m", "train"]
    [determinism]
    seed = 1
    [variants.cpu]
    python = "3.13"
    snapshot = 2026-01-01
    base.packages = "debian:trixie"
    determinism = false
    [variants.cpu.pip]
    packages = ["scipy"]
    sources = { Torch = "cpu" }
    [variants.cpu.image]
    env = { B = "2", C = "2" }
    command = ["bash"]
    [variants.bare]
    base = false
    pip = false
    system = false
    image = false
"""


def test_lists_append_tables_merge_and_the_rest_replaces(ask: "Ask") -> None:
    variant = ask(SPEC).variants["cpu"]
    assert (variant.python, str(variant.snapshot), variant.base.packages) == (
        "3.13",
        "2026-01-01",
        "debian:trixie",
    )
    assert variant.pip.requirements == ("scipy", "torch")
    assert variant.pip.sources == {"scipy": "cpu", "torch": "cpu"}
    assert variant.pip.indexes == {"cpu": "https://index.example.com/cpu"}
    assert variant.system.packages == ("git",)
    assert variant.image.env == {"A": "1", "B": "2", "C": "2"}
    assert variant.image.command == ("bash",)
    assert variant.seed is None


def test_the_spec_itself_is_untouched_by_its_variants(ask: "Ask") -> None:
    with_variants = ask(SPEC).variants["default"]
    alone = ask(SPEC[: SPEC.index("[variants.cpu]")]).variants["default"]
    assert with_variants == alone


def test_false_switches_a_table_off(ask: "Ask") -> None:
    bare = ask(SPEC).variants["bare"]
    plain = ask("[determinism]\nseed = 1\n[image]\nrepository = 'registry.example.com/train'").variants[
        "default"
    ]
    assert bare == plain
    assert ask(SPEC).repository == "registry.example.com/train"


def test_a_base_image_replaces_a_base_from_packages(ask: "Ask") -> None:
    request = ask(SPEC + '[variants.image]\nbase.image = "debian:13"\n')
    assert (request.variants["image"].base.image, request.variants["image"].base.packages) == (
        "debian:13",
        None,
    )


def test_default_is_a_source_that_frees_a_package(ask: "Ask") -> None:
    request = ask(SPEC + '[variants.free.pip]\nsources = { torch = "default" }\n')
    assert request.variants["free"].pip.sources == {"scipy": "cpu"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("", ("default",), id="none"),
        pytest.param("variants.cpu = {}", ("cpu", "default"), id="the spec and a variant"),
        pytest.param('default-variant = "gpu"\nvariants.cpu = {}', ("cpu", "gpu"), id="the spec has a name"),
        pytest.param('default-variant = "cpu"\nvariants.cpu = {}', ("cpu",), id="declared ones only"),
        pytest.param("variants.default = {}\nvariants.cpu = {}", ("cpu", "default"), id="default declared"),
    ],
)
def test_the_default_variant_is_the_spec_itself_unless_declared(
    ask: "Ask", text: str, names: tuple[str, ...]
) -> None:
    request = ask(text)
    assert tuple(request.variants) == names
    assert request.default_variant in names


def test_a_value_is_written_where_it_was_set_last() -> None:
    spec = Spec.model_validate(
        {
            "name": "x",
            "python": "3.11",
            "pip": {"packages": ("a", "b"), "sources": {"a": "x", "b": "x"}},
            "image": {"command": ("a", "b")},
            "variants": {
                "cpu": {"pip": {"packages": ("c",), "sources": {"b": "y"}}, "image": {"command": ("c",)}},
                "off": {"pip": False},
            },
        }
    )
    assert variant_names(spec) == ("cpu", "default", "off")
    assert effective(spec, "cpu").pip.packages == ("a", "b", "c")
    assert written_at(spec, "cpu", "pip", "sources", "a") == ("pip", "sources", "a")
    assert written_at(spec, "cpu", "pip", "sources", "b") == ("variants", "cpu", "pip", "sources", "b")
    assert written_at(spec, "cpu", "pip", "packages", index=1) == ("pip", "packages", 1)
    assert written_at(spec, "cpu", "pip", "packages", index=2) == ("variants", "cpu", "pip", "packages", 0)
    assert written_at(spec, "cpu", "image", "command", index=0) == ("variants", "cpu", "image", "command", 0)
    assert written_at(spec, "default", "pip", "packages", index=1) == ("pip", "packages", 1)
    assert written_at(spec, "off", "pip", "packages", index=1) == ("pip", "packages", 1)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            '[pip.sources]\ntorch = "pytroch"\n[pip.indexes]\npytorch = "https://h/a"\n',
            [
                Problem("pip.sources.torch", "there is no index `pytroch`", "did you mean `pytorch`?"),
                Problem(
                    "pip.indexes.pytorch",
                    "no package comes from this index",
                    'bind packages to it, one by one: sources = { name = "pytorch" }; all others come from '
                    "the client's own index",
                ),
            ],
            id="misspelt index",
        ),
        pytest.param(
            '[variants.cpu.pip.sources]\ntorch = "cpu"\n',
            [
                Problem(
                    "variants.cpu.pip.sources.torch",
                    "there is no index `cpu`",
                    "declare it in [pip] indexes: a name and its simple address",
                )
            ],
            id="undeclared index in a variant",
        ),
        pytest.param(
            '[base]\npackages = "debian:trixie"\n',
            [
                Problem(
                    "base.packages",
                    "debian:trixie has Python 3.13, not 3.11",
                    'python = "3.13", packages = "debian:bookworm", or a base image',
                )
            ],
            id="distribution without that Python",
        ),
        pytest.param(
            '[base]\npackages = "debian:bookworm"\n[variants.new]\npython = "3.14"\n',
            [
                Problem(
                    "base.packages",
                    "debian:bookworm has Python 3.11, not 3.14",
                    'python = "3.11", or a base image',
                )
            ],
            id="variant with another Python",
        ),
        pytest.param(
            '[system]\npackages = ["git=1", "git", "git=2"]\n[variants.cpu.system]\npackages = ["git=3"]\n',
            [
                Problem("variants.cpu.system.packages[0]", "`git` is already wanted as 1"),
                Problem("system.packages[2]", "`git` is already wanted as 1"),
            ],
            id="one package in two versions",
        ),
    ],
)
def test_what_does_not_fit_together(refuse: "Refuse", text: str, problems: list[Problem]) -> None:
    assert sorted(refuse(text), key=str) == sorted(problems, key=str)


def test_a_variant_without_gpu_stands_on_the_plain_image(ask: "Ask") -> None:
    request = ask(
        """
        [gpu]
        targets = ["T4", "sm_90", "T4"]
        driver = ">= 535"
        [variants.cpu]
        gpu = false
        [variants.slim.gpu]
        image = "slim"
        targets = ["A100"]
        """
    )
    gpu, cpu, slim = (request.variants[name] for name in ("default", "cpu", "slim"))
    assert gpu.gpu == GpuRequest(targets=("T4", "sm_90"), driver=">=535")
    assert gpu.base == BaseRequest()
    assert cpu.gpu is None
    assert cpu.base == slim.base == BaseRequest(image="python:3.11-slim-bookworm")
    assert slim.gpu == GpuRequest(targets=("A100", "T4", "sm_90"), driver=">=535", image="slim")
