"""Files of conda for a first spec: named where they can be, else written into it line by line."""

import pytest

from envbuild.discovery.content import FileContent
from envbuild.discovery.environments.conda_environment import read_conda_environment
from envbuild.discovery.environments.conda_lists import is_conda_list, read_conda_list


def read(text: str, *files: str, file: str = "environment.yml") -> FileContent:
    return read_conda_environment(text, file, exists=files.__contains__)


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


def test_a_file_that_can_be_taken_whole_is_named():
    content = read(
        "name: sci\nchannels: [conda-forge]\ndependencies:\n- python=3.11\n- numpy\n- pip: [six]\n"
    )
    assert content.tables == {"conda": {"files": ["environment.yml"]}}
    assert (content.names, [python.text for python in content.pythons]) == (["sci"], ["3.11"])
    assert [taken.what for taken in content.taken] == ["1 conda package, 1 requirement"]


def test_a_file_for_pip_alone_needs_no_conda():
    content = read(
        "channels: [conda-forge]\ndependencies: [python=3.11, pip, {pip: [six]}]\nvariables: {A: 1}\n"
    )
    assert content.tables == {"pip": {"packages": ["six"]}, "image": {"env": {"A": "1"}}}


def test_options_of_pip_are_understood():
    content = read(
        "channels: [conda-forge]\ndependencies:\n- numpy\n- pip:\n  - -r more.txt\n  - -e ..\n"
        "  - --extra-index-url https://index.example.com/whl/cu121\n  - torch==2.1.0\n",
        "env/more.txt",
        "setup.py",
        file="env/environment.yml",
    )
    assert content.files == ["env/more.txt", "setup.py"]
    assert content.tables == {
        "conda": {"channels": ["conda-forge"], "packages": ["numpy"]},
        "pip": {
            "packages": ["torch==2.1.0"],
            "indexes": {"cu121": "https://index.example.com/whl/cu121"},
            "sources": {"torch": "cu121"},
        },
    }
    assert left(content) == []


def test_an_export_from_defaults_is_put_in_the_words_of_conda_forge():
    content = read(
        "channels: [pytorch, defaults]\ndependencies:\n- numpy=1.26=py311h_0\n- _openmp_mutex=5.1=1_gnu\n"
        "- pytorch=2.1.0=py3.11_cuda12.1_0\n- vs2015_runtime=14.2=h_0\n"
    )
    assert content.tables["conda"] == {
        "channels": ["pytorch", "conda-forge"],
        "packages": ["numpy 1.26.*", "pytorch ==2.1.0 py3.11_cuda12.1_0"],
    }
    assert left(content) == [
        "environment.yml:1: `defaults` stands for several channels",
        "environment.yml:6: `vs2015_runtime` is not for Linux",
        (
            "environment.yml: of `defaults` alone, and left out or taken without their build: "
            "numpy, _openmp_mutex"
        ),
    ]


def test_selectors_are_reported_and_what_is_for_windows_is_left_out():
    content = read("channels: [conda-forge]\ndependencies:\n- a  # [win]\n- b  # [linux]\n- c  # [not win]\n")
    assert content.tables["conda"]["packages"] == ["b", "c"]
    assert left(content) == [
        "environment.yml:3: `a` is not for Linux",
        "environment.yml:4: `[linux]` beside `b` is a selector",
        "environment.yml:5: `[not win]` beside `c` is a selector",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "environment.yml: is empty"),
        ("- a", "environment.yml: must be a table, not a list"),
        ("name: x", "environment.yml: has no `dependencies`: it is no environment of conda"),
        ("dependencies: x", "environment.yml: dependencies: must be a list, not one value"),
        ("dependencies: [{pip: 5}]", "environment.yml:1: must be a list, not one value"),
        ("dependencies: [{pip: [[a]]}]", "environment.yml:1: is no requirement"),
        ("dependencies: [{npm: [a]}]", "environment.yml:1: `npm` is not known"),
        ("dependencies: [[a]]", "environment.yml:1: is no package"),
        ("dependencies: ['a b c d']", "environment.yml:1: `a b c d` cannot be read as `name version build`"),
        ("dependencies: [a]\nchannel: [b]", "environment.yml:2: `channel` is not known"),
        ("dependencies: [a]\nchannels: [[b]]", "environment.yml:2: is no channel"),
        ("dependencies: [a]\nchannels: ['b c']", "environment.yml:2: `b c` is not a channel"),
        ("dependencies: [a]\nvariables: {A: [1]}", "environment.yml:2: `A` is no text"),
        ("dependencies: [a]\ndependencies: [b]", "environment.yml:2: `dependencies` is there twice"),
        ("dependencies: [", "environment.yml:1: is not YAML"),
        ("package: 1\nmetadata: {}", "environment.yml: package: is one value"),
        (
            "version: 1\npackage: []\nmetadata: {channels: 5}",
            "environment.yml: is not a conda-lock.yml that can be read",
        ),
        ("dependencies: [a]\nprefix: 2001-13-45\nx: 1", "environment.yml:3: `x` is not known"),
    ],
)
def test_what_cannot_be_taken_is_reported(text, message):
    assert left(read(text))[0] == message


# --- lists --------------------------------------------------------------------------------------

EXPLICIT = """\
# platform: linux-64
@EXPLICIT
https://conda.example.com/conda-forge/linux-64/python-3.11.8-hab_0_cpython.conda
https://conda.example.com/pkgs/main/noarch/six-1.16.0-pyhd_0.tar.bz2#0123
https://conda.example.com/conda-forge/osx-64/a-1-0.conda
what
"""


def test_an_explicit_list_is_pinned_with_builds_and_channels():
    content = read_conda_list(EXPLICIT, "spec.txt", exists=lambda _: False)
    assert content.tables == {
        "conda": {
            "channels": ["conda-forge", "https://conda.example.com/pkgs/main"],
            "packages": ["python ==3.11.8 hab_0_cpython", "six ==1.16.0 pyhd_0"],
        }
    }
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "spec.txt:3")]
    assert left(content) == [
        "spec.txt:5: `a` is for osx-64",
        "spec.txt:6: is no package of such a list",
    ]


def test_an_exported_list_keeps_versions():
    text = (
        "# $ conda create --file <this file>\nnumpy=1.26.4=py311_0\nopenssl=3=h_0\n"
        "python=3.11.5=h_0\nsix=1=pypi_0\nvc=14=h_0\n"
    )
    content = read_conda_list(text, "requirements.txt", exists=lambda _: False)
    assert content.tables == {
        "conda": {"channels": ["conda-forge"], "packages": ["numpy ==1.26.4"]},
        "pip": {"packages": ["six==1"]},
    }
    assert [python.text for python in content.pythons] == ["3.11.5"]
    assert left(content) == [
        "requirements.txt:6: `vc` is not for Linux",
        "requirements.txt: builds of 2 packages are not kept: their channel is not said",
        "requirements.txt: left out, for only other packages ask for them: openssl",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EXPLICIT, True),
        ("a=1=b_0\nc=2=d_0\n", True),
        ("# c\n", False),
        ("a==1\nb==2\n", False),
        ("a=1\nb=2\n", False),
        ("", False),
    ],
)
def test_lists_of_conda_are_told_from_others(text, expected):
    assert is_conda_list(text) is expected
