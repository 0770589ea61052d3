import os

from setuptools import setup


def deps():
    flavour = os.environ.get("FLAVOUR", "cpu")
    base = ["cffi", "cython", "hydra-core>=1.0.7,<1.1", "omegaconf<2.1", "regex", "sacrebleu>=1.4.12"]
    return base + (["torch>=1.13"] if flavour != "none" else [])


setup(name="translate", version="1.0", install_requires=deps(), python_requires=">=3.8,<3.12")
