#!/usr/bin/env python
import glob
import os
from os import path
from setuptools import find_packages, setup

import torch
from torch.utils.cpp_extension import CUDAExtension

PROJECTS = {"detector.projects.point_rend": "projects/PointRend/point_rend"}


def get_extensions():
    here = path.dirname(path.abspath(__file__))
    sources = glob.glob(path.join(here, "detector", "layers", "csrc", "*.cu"))
    return [CUDAExtension("detector._C", sources)]


setup(
    name="detector",
    version="0.6",
    packages=find_packages(exclude=("configs", "tests*")) + list(PROJECTS.keys()),
    python_requires=">=3.7",
    install_requires=[
        # These dependencies are not pure-python.
        "Pillow>=7.1",
        "matplotlib",
        "pycocotools>=2.0.2",
        # Do not add opencv here
        "termcolor>=1.1",
        "yacs>=0.1.8",
        "tabulate",
        "cloudpickle",
        "tqdm>4.29.0",
        "tensorboard",
        "omegaconf>=2.1,<2.4",
        "packaging",
    ],
    extras_require={
        "all": ["fairscale", "timm", "scipy>1.5.1", "shapely", "psutil"],
        "dev": ["flake8==3.8.1", "isort==4.3.21"],
    },
    ext_modules=get_extensions(),
)
