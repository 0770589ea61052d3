# -*- coding: utf-8 -*-
import re
import setuptools


def find_version():
    with open("imagemodels/version.py") as f:
        return re.search(r'"(.+)"', f.read())[1]


setuptools.setup(
    **dict(
        name="imagemodels",
        version=find_version(),
        install_requires=[
            "torch >= 1.7",
            "torchvision",
            "pyyaml",
            "huggingface_hub",
            "safetensors",
        ],
        python_requires=">=3.8",
    )
)
