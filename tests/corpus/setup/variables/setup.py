from setuptools import find_namespace_packages, setup

__version__ = "2.1.0"

REQUIREMENTS = ["gymnasium>=0.29.1,<1.3", "numpy>=1.20,<3.0", "cloudpickle"]
PLOTS = ["pandas", "matplotlib"]

setup(
    name="baselines",
    version=__version__,
    packages=find_namespace_packages(include=["baselines*"]),
    install_requires=REQUIREMENTS + PLOTS,
    python_requires=">=3.10",
    classifiers=[
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
    ],
)
