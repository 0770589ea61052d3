import subprocess

from setuptools import setup

frozen = subprocess.run(["pip", "freeze"], capture_output=True, text=True).stdout

setup(name="whatever-is-there", install_requires=frozen.splitlines())
