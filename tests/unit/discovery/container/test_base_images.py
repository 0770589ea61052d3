"""What the name of a base image says."""

import pytest

from envbuild.discovery.container.base_images import read_base_image
from envbuild.discovery.content import FileContent


def read(image: str) -> tuple[FileContent, str | None]:
    content = FileContent()
    return content, read_base_image(image, "Dockerfile:1", content)


@pytest.mark.parametrize(
    ("image", "base", "pythons", "own"),
    [
        ("python:3.11-slim", "python:3.11-slim", ["3.11"], "3.11"),
        ("docker.io/library/python:3.12.4", "docker.io/library/python:3.12.4", ["3.12.4"], "3.12.4"),
        ("m.example.com/library/python:3.11", "m.example.com/library/python:3.11", ["3.11"], "3.11"),
        ("python:3.9-slim", None, ["3.9"], "3.9"),
        ("ubuntu:22.04", "ubuntu:22.04", [], "3.10"),
        ("ubuntu:noble-20240605", "ubuntu:noble-20240605", [], "3.12"),
        ("debian:bookworm-slim", "debian:bookworm-slim", [], "3.11"),
        ("debian:12", "debian:12", [], "3.11"),
        ("registry.example.com/devcontainers/python:1-3.12-bullseye", None, ["3.12"], "3.12"),
        ("registry.example.com/astral-sh/uv:python3.12-bookworm-slim", None, ["3.12"], None),
    ],
)  # fmt: skip
def test_bases_that_are_understood(image, base, pythons, own):
    content, distribution_python = read(image)
    assert content.tables.get("base", {}).get("image") == base
    assert [python.text for python in content.pythons] == pythons
    assert (distribution_python, content.left) == (own, [])


@pytest.mark.parametrize(
    ("image", "packages", "has_gpu", "pythons"),
    [
        ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", ["torch==2.1.0"], True, ["3.10"]),
        ("pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime", ["torch==2.5.1"], True, ["3.11"]),
        ("pytorch/pytorch:latest", ["torch"], True, []),
        ("tensorflow/tensorflow:2.17.0-gpu", ["tensorflow[and-cuda]==2.17.0"], True, ["3.11"]),
        ("tensorflow/tensorflow:2.15.0-gpu", ["tensorflow==2.15.0"], True, ["3.11"]),
        ("tensorflow/tensorflow:2.16.1", ["tensorflow==2.16.1"], False, ["3.11"]),
    ],
)
def test_images_of_frameworks_are_requirements(image, packages, has_gpu, pythons):
    content, _ = read(image)
    assert content.tables["pip"]["packages"] == packages
    assert content.tables.get("gpu") == ({"cuda": "auto"} if has_gpu else None)
    assert [python.text for python in content.pythons] == pythons
    assert "base" not in content.tables


def test_an_image_of_cuda_is_a_gpu_and_says_which_cuda_it_was():
    content, own = read("nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04")
    assert (content.tables, own) == ({"gpu": {"cuda": "auto"}}, "3.10")
    (problem,) = content.left
    assert problem.message == (
        "`nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04`: GPUs are taken, its CUDA 12.1 is not demanded"
    )
    assert problem.hint == (
        'wheels bring the CUDA they are built for; `cuda = "12.1"` in [gpu] demands this one, '
        '`image = "devel"` keeps nvcc in the image'
    )


def test_a_torch_for_another_cuda_than_the_indexs_is_reported():
    content, _ = read("pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime")
    assert [str(problem) for problem in content.left] == [
        (
            "Dockerfile:1: `pytorch/pytorch:2.1.0-cuda11.8-cudnn8-runtime` is for CUDA 11.8, "
            "torch 2.1.0 of the index for 12.1"
        )
    ]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("python:latest", "`python:latest` does not say which Python it has"),
        ("python:3.11-alpine", "`python:3.11-alpine` is Alpine, for whose libc few wheels are built"),
        ("ubuntu", "`ubuntu` names no release"),
        ("mambaorg/micromamba:1", "`mambaorg/micromamba:1` is not taken: envbuild brings conda's packages"),
        ("alpine:3.19", "`alpine:3.19` is not Debian or Ubuntu"),
        ("r.example.com/ours/base:1",
         "`r.example.com/ours/base:1` is not known: what is in it is not taken"),
        ("r.example.com/nvidia/pytorch:24.01-py3",
         "`r.example.com/nvidia/pytorch:24.01-py3` has builds of its own, which its name does not say"),
        ("rocm/pytorch:latest",
         "`rocm/pytorch:latest`: GPUs of AMD are taken, what else it has is not known"),
    ],
)  # fmt: skip
def test_bases_that_are_not_understood_are_reported(image, message):
    content, _ = read(image)
    assert [str(problem) for problem in content.left] == [f"Dockerfile:1: {message}"]
    assert all(problem.hint for problem in content.left)
    assert "base" not in content.tables
