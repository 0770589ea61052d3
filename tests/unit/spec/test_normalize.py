from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from envbuild.errors import Problem, SpecError
from envbuild.spec.load import read_spec
from envbuild.spec.normalize import normalize
from envbuild.spec.request import (
    BaseRequest,
    ImageRequest,
    PipRequest,
    Request,
    SystemRequest,
    VariantRequest,
)
from tests.rig.specs import request_of

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Ask, Refuse, WriteFiles


def test_the_shortest_spec_asks_for_the_defaults_of_a_request(ask: "Ask") -> None:
    assert ask() == Request(
        name="train",
        platforms=("linux/amd64",),
        default_variant="default",
        variants={
            "default": VariantRequest(python="3.11", base=BaseRequest(image="python:3.11-slim-bookworm"))
        },
    )


def test_everything_asked_for_is_in_the_request(write: "WriteFiles") -> None:
    path = write(
        """
        name = "train"
        python = "3.11.9"
        platforms = ["linux/arm64", "linux/amd64", "linux/arm64"]
        snapshot = 2026-11-01
        [base]
        packages = "debian:bookworm"
        [pip]
        requirements = ["deps/requirements.txt"]
        packages = ["Torch>=2.6", "torch <3"]
        constraints = ["deps/constraints.txt"]
        resolver = "pip-tools"
        indexes = { pytorch = "https://index.example.com/cu126/" }
        sources = { Torch = "pytorch", numpy = "default" }
        [system]
        packages = ["git"]
        files = ["apt.txt"]
        [image]
        repository = "registry.example.com/ml/train"
        env = { B = "2", A = "1" }
        user = "root"
        workdir = "/work/"
        command = ["python", "-m", "train"]
        [determinism]
        seed = 42
        [build]
        engine = "docker"
        """,
        {
            "deps/requirements.txt": "torch>=2.6\nscikit_learn\n-c constraints.txt\n",
            "deps/constraints.txt": "NumPy<2\n",
            "apt.txt": "libgl1 ffmpeg # video\r\n\r\n# git\r\n\tgit\r\n",
        },
    )
    assert request_of(path) == Request(
        name="train",
        repository="registry.example.com/ml/train",
        platforms=("linux/amd64", "linux/arm64"),
        default_variant="default",
        variants={
            "default": VariantRequest(
                python="3.11.9",
                snapshot=date(2026, 11, 1),
                base=BaseRequest(packages="debian:bookworm"),
                pip=PipRequest(
                    resolver="pip-tools",
                    requirements=("scikit-learn", "torch<3", "torch>=2.6"),
                    constraints=("numpy<2",),
                    indexes={"pytorch": "https://index.example.com/cu126"},
                    sources={"torch": "pytorch"},
                ),
                system=SystemRequest(packages=("ffmpeg", "git", "libgl1")),
                image=ImageRequest(
                    env={"A": "1", "B": "2"},
                    user="root",
                    workdir="/work",
                    command=("python", "-m", "train"),
                ),
                seed=42,
            )
        },
    )


def test_tables_of_a_request_are_sorted(ask: "Ask") -> None:
    variant = ask('image.env = { B = "2", A = "1" }\nvariants.b = {}\nvariants.a = {}')
    assert list(variant.variants) == ["a", "b", "default"]
    assert list(variant.variants["a"].image.env) == ["A", "B"]


def test_the_patch_release_reaches_the_default_image(write: "WriteFiles") -> None:
    request = request_of(write('name = "x"\npython = "3.12.7"\n'))
    assert request.variants["default"].base.image == "python:3.12.7-slim-bookworm"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xef\xbb\xbfnumpy\r\n", id="UTF-8 with a byte order mark"),
        pytest.param("numpy\r\n".encode("utf-16"), id="UTF-16, as PowerShell redirects"),
        pytest.param(b"\xfe\xff" + "numpy\n".encode("utf-16-be"), id="UTF-16, big end first"),
    ],
)
def test_encodings_with_a_byte_order_mark_are_read(write: "WriteFiles", data: bytes) -> None:
    path = write('name = "x"\npython = "3.11"\npip.requirements = ["r.txt"]\n')
    path.with_name("r.txt").write_bytes(data)
    assert request_of(path).variants["default"].pip.requirements == ("numpy",)


def test_files_that_cannot_be_read_are_named(write: "WriteFiles") -> None:
    path = write(
        'name = "x"\npython = "3.11"\n'
        'pip.requirements = ["latin.txt", "folder", "a\\u0001b", "missing.txt"]\n'
        'system.files = ["folder", "system.txt"]\n',
        {"system.txt": "git\nlibGL1 ffmpeg\n"},
    )
    path.with_name("latin.txt").write_bytes(b"numpy\n# \xe9\n")
    path.with_name("folder").mkdir()
    with pytest.raises(SpecError) as caught:
        request_of(path)
    assert [str(problem) for problem in caught.value.problems] == [
        "pip.requirements[2]: contains a line break or another control character",
        "system.files[0]: `folder` is a folder",
        "system.txt:2: `libGL1` is not a package name of the distribution",
    ]
    path.write_text(path.read_text().replace('"a\\u0001b", ', ""))
    with pytest.raises(SpecError) as caught:
        request_of(path)
    assert [str(problem) for problem in caught.value.problems] == [
        "pip.requirements[0]: `latin.txt` is not UTF-8 text: line 2",
        "pip.requirements[1]: `folder` is a folder",
        "pip.requirements[2]: `missing.txt` does not exist",
        "system.files[0]: `folder` is a folder",
        "system.txt:2: `libGL1` is not a package name of the distribution",
    ]


def test_a_file_name_no_system_takes_is_refused(refuse: "Refuse") -> None:
    name = "x" * 300
    assert refuse(f'pip.requirements = ["{name}"]') == (
        Problem("pip.requirements[0]", f"`{name}` cannot be read: File name too long"),
    )


def test_a_problem_all_variants_share_is_named_once(refuse: "Refuse") -> None:
    files = {"r.txt": "torch=2\n"}
    spec = 'pip.requirements = ["r.txt"]\nvariants.a = {}\nvariants.b.system.packages = ["git"]'
    assert refuse(spec, files) == (Problem("r.txt:1", "`torch=2` is not a requirement", "write `torch==2`"),)


def test_a_file_only_a_variant_names_is_refused_there(refuse: "Refuse") -> None:
    spec = """
        [pip]
        requirements = ["r.txt"]
        [variants.cpu.pip]
        requirements = ["cpu.txt"]
        groups = ["test"]
        [variants.cpu.system]
        files = ["apt.txt"]
    """
    assert [str(problem) for problem in refuse(spec, {"r.txt": ""})] == [
        "variants.cpu.pip.requirements[0]: `cpu.txt` does not exist",
        "variants.cpu.pip.groups[0]: `pyproject.toml` does not exist",
        "variants.cpu.system.files[0]: `apt.txt` does not exist",
    ]


def test_a_loaded_spec_is_normalised_with_the_files_of_a_folder(write: "WriteFiles", tmp_path: Path) -> None:
    path = write('name = "x"\npython = "3.11"\npip.requirements = ["r.txt"]\n', {"elsewhere/r.txt": "numpy"})
    spec = read_spec(path).checked()
    request = normalize(spec, tmp_path / "elsewhere")
    assert request.variants["default"].pip.requirements == ("numpy",)
    with pytest.raises(SpecError) as caught:
        normalize(spec, tmp_path)
    assert caught.value.problems == (Problem("pip.requirements[0]", "`r.txt` does not exist"),)


def test_a_request_survives_its_file_form(write: "WriteFiles") -> None:
    request = request_of(
        write('name = "x"\npython = "3.11"\nsnapshot = 2026-11-01\nvariants.cpu.image.env = { A = "b" }\n')
    )
    assert Request.model_validate(request.model_dump(by_alias=True, mode="json")) == request
