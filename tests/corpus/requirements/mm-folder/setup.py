from setuptools import find_packages, setup


def parse_requirements(name="requirements.txt"):
    """Read a file, follow what it includes."""
    with open(name) as stream:
        return [line.strip() for line in stream if line.strip() and not line.startswith("-r")]


if __name__ == "__main__":
    setup(
        name="detector",
        version="0.1",
        packages=find_packages(exclude=("configs", "tools")),
        classifiers=[
            "Operating System :: OS Independent",
            "Programming Language :: Python :: 3",
            "Programming Language :: Python :: 3.10",
            "Programming Language :: Python :: 3.11",
        ],
        install_requires=parse_requirements("requirements/runtime.txt"),
    )
