"""What a cog.yaml asks for."""

import pytest

from envbuild.discovery.container.cog import read_cog
from envbuild.discovery.content import FileContent


def read(text: str, *files: str) -> FileContent:
    return read_cog(text, "cog.yaml", exists=files.__contains__)


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


def test_a_model_with_a_gpu():
    content = read(
        """build:
  gpu: true
  python_version: 3.10
  python_requirements: requirements.txt
  system_packages:
    - ffmpeg
  python_packages:
    - torch==2.0.1
    - git+https://git.example.com/a/clip.git
  run:
    - pip install xformers
    - command: |
        apt-get update
        apt-get install -y git
environment:
  - HF_HOME=/src/cache
""",
        "requirements.txt",
    )
    assert content.tables == {
        "gpu": {"cuda": "auto"},
        "pip": {"packages": ["torch==2.0.1", "clip @ git+https://git.example.com/a/clip.git", "xformers"]},
        "system": {"packages": ["ffmpeg", "git"]},
        "image": {"env": {"HF_HOME": "/src/cache"}},
    }
    assert content.files == ["requirements.txt"]
    # YAML would make a number of it: 3.1
    assert [(python.text, python.where) for python in content.pythons] == [("3.10", "cog.yaml:3")]
    assert left(content) == []
    assert [taken.what for taken in content.taken] == [
        "3 requirements, 2 Debian packages, installs from requirements.txt, GPUs"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("predict: p.py:P", "cog.yaml:1: `predict` is not taken"),
        ("train: p.py:t", "cog.yaml:1: `train` is not taken"),
        ("image: r.example.com/a/b", "cog.yaml:1: `image` is not taken"),
        ("predic: p", "cog.yaml:1: `predic` is not known"),
        ("build: {gpus: true}", "cog.yaml:1: `build.gpus` is not known"),
        ("build: {gpu: true, cuda: 11.8}", "cog.yaml:1: CUDA 11.8 is not demanded"),
        ("build: {python_version: new}", "cog.yaml:1: `build.python_version` is no version"),
        ("build: {python_requirements: r.txt}", "cog.yaml:1: `r.txt` is no file of the folder"),
        (
            "build: {python_packages: [a b]}",
            "cog.yaml:1: `a b` is not a requirement",
        ),
        ("build: {system_packages: [A]}", "cog.yaml:1: `A` is not a package name of the distribution"),
        ("build: {run: [make]}", "cog.yaml:1: `make`: builds something from source"),
        ("build: {run: x}", "cog.yaml: build.run: must be a list, not one value"),
        ("build: [1]", "cog.yaml: build: must be a table, not a list"),
        ("environment: [A]", "cog.yaml:1: an environment variable is `NAME=value`"),
        ("- a", "cog.yaml: must be a table, not a list"),
        ("a: [", "cog.yaml:1: is not YAML"),
        ("a: &a [*a]", "cog.yaml: is nested too deeply, or too large"),
        ("build: {gpu: true, gpu: false}", "cog.yaml:1: `gpu` is there twice"),
    ],
)
def test_what_cannot_be_taken_is_reported(text, message):
    assert left(read(text))[0].startswith(message)
