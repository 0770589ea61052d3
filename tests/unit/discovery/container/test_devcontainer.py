"""What a devcontainer.json asks for, and what stays in it."""

import pytest

from envbuild.discovery.container.devcontainer import DockerfileCall, dockerfile_of, read_devcontainer
from envbuild.discovery.content import FileContent

FILE = ".devcontainer/devcontainer.json"


def read(text: str, *files: str) -> FileContent:
    return read_devcontainer(text, FILE, exists=files.__contains__)


def left(content: FileContent) -> list[str]:
    return [str(problem).removeprefix(f"{FILE}:") for problem in content.left]


def test_a_template_with_comments_is_taken_whole():
    content = read(
        """// For format details, see the reference.
{
    "name": "Python 3",
    "image": "registry.example.com/devcontainers/python:1-3.12-bullseye",
    "features": {
        "registry.example.com/devcontainers/features/python:1": {"version": "3.11"},
        "registry.example.com/rocker/apt-packages:1": {"packages": "ffmpeg,libgl1"},
        "registry.example.com/devcontainers/features/node:1": {"version": "lts"},
    },
    "containerEnv": {"A": "b", "PATH": "/x:${containerEnv:PATH}"},
    "postCreateCommand": "pip3 install --user -r requirements.txt",
    "customizations": {"vscode": {"extensions": ["charliermarsh.ruff"], "settings": {}}},
    "forwardPorts": [8000],
    "remoteUser": "vscode",
}
""",
        "requirements.txt",
    )
    assert content.tables == {
        "devcontainer": {
            "extensions": ["charliermarsh.ruff"],
            "features": {"registry.example.com/devcontainers/features/node:1": {"version": "lts"}},
        },
        "image": {"env": {"A": "b"}, "prepend": {"PATH": ["/x"]}},
        "system": {"packages": ["ffmpeg", "libgl1"]},
    }
    assert content.files == ["requirements.txt"]
    # a feature's Python is the one that is found first
    assert [(python.text, python.where) for python in content.pythons] == [
        ("3.11", f"{FILE}:6"),
        ("3.12", f"{FILE}:4"),
    ]
    assert left(content) == []


@pytest.mark.parametrize("key", ["onCreateCommand", "updateContentCommand", "postCreateCommand"])
@pytest.mark.parametrize(
    "command", ['"pip install a && pip install b"', '["pip", "install", "a", "b"]',
                '{"x": "pip install a", "y": ["pip", "install", "b"]}']
)  # fmt: skip
def test_commands_are_read_in_each_of_their_forms(key, command):
    assert read(f'{{"{key}": {command}}}').tables == {"pip": {"packages": ["a", "b"]}}


@pytest.mark.parametrize(
    "text", ['{"runArgs": ["--gpus", "all"]}', '{"hostRequirements": {"gpu": "optional"}}',
             '{"features": {"registry.example.com/features/nvidia-cuda:1": {}}}']
)  # fmt: skip
def test_gpus(text):
    assert read(text).tables == {"gpu": {"cuda": "auto"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "1: is not JSON with comments: a key in double quotes is missing; there is the end"),
        ("[]", " must be an object"),
        ('{"imag": "x"}', "1: `imag` is not known"),
        ('{"image": 3}', "1: `image` names no image"),
        ('{"image": "${localEnv:X}"}', "1: `image` names no image"),
        ('{"features": {"nope": {}}}', "1: `nope` is not a dev container feature"),
        ('{"containerEnv": {"A": 1}}', "1: `containerEnv.A` is no text"),
        ('{"remoteEnv": {"A": "${localEnv:B}"}}', "1: `A` is known when the container starts"),
        ('{"postCreateCommand": "make"}', "1: `make`: builds something from source"),
        ('{"postCreateCommand": 3}', "1: `postCreateCommand` is no command"),
    ],
)
def test_what_cannot_be_taken_is_reported(text, message):
    content = read(text)
    assert left(content) == [message]
    assert content.left[0].hint


def test_the_dockerfile_and_how_it_is_built():
    text = """{"build": {"dockerfile": "../docker/Dockerfile", "context": "..", "target": "dev",
               "args": {"VARIANT": "3.11", "X": "${localEnv:X}", "N": 3}}}"""
    assert dockerfile_of(text, FILE) == DockerfileCall("docker/Dockerfile", ".", {"VARIANT": "3.11"}, "dev")
    assert dockerfile_of('{"dockerFile": "Dockerfile"}', FILE) == DockerfileCall(
        ".devcontainer/Dockerfile", ".devcontainer"
    )
    assert [dockerfile_of(other, FILE) for other in ("{}", "[]", "{", '{"build": 1}')] == [None] * 4
