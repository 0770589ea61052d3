from pathlib import Path

from setuptools import setup

here = Path(__file__).parent

setup(
    name="scaffold",
    version="0.1.0",
    packages=["src"],
    install_requires=(here / "requirements.txt").read_text().splitlines(),
    extras_require={"dev": ["black"]},
)
