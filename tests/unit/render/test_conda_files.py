import pytest
import yaml

from envbuild.errors import LockError
from envbuild.render.conda_files import ordered, render_conda_lock, render_explicit
from tests.rig.locks import conda_lock, conda_package, sample_lock


def address(package):
    return f"https://conda.example.com/{package.channel}/{package.path}"


def test_a_conda_lock_has_every_package_with_its_digests():
    lock = conda_lock()
    text = render_conda_lock(
        lock, "default", address_of=address, wheel_address_of=lambda wheel: f"https://x/{wheel.file}"
    )
    document = yaml.safe_load(text)
    assert document["version"] == 1
    assert document["metadata"]["channels"] == [{"url": "conda-forge", "used_env_vars": []}]
    entries = {entry["name"]: entry for entry in document["package"]}
    assert list(entries) == ["numpy", "proj", "python", "tqdm", "joblib"]
    numpy = next(package for package in lock.conda if package.name == "numpy")
    assert entries["numpy"] == {
        "name": "numpy",
        "version": "2.3.4",
        "manager": "conda",
        "platform": "linux-64",
        "dependencies": {"python": ">=3.11,<3.12.0a0"},
        "url": f"https://conda.example.com/conda-forge/{numpy.path}",
        "hash": {"md5": numpy.md5, "sha256": numpy.sha256},
        "category": "main",
        "optional": False,
    }
    assert entries["joblib"]["manager"] == "pip"


def test_an_explicit_list_installs_what_others_need_first():
    packages = (
        conda_package("a", depends=("b >=1", "c")),
        conda_package("b", depends=("c", "a")),
        conda_package("c", md5=None),
    )
    assert [package.name for package in ordered(packages)] == ["c", "b", "a"]
    lines = render_explicit(packages, "linux-64", address_of=address).splitlines()
    assert lines[:2] == ["# platform: linux-64", "@EXPLICIT"]
    assert lines[2] == f"{address(packages[2])}#sha256:{packages[2].sha256}"
    assert lines[4] == f"{address(packages[0])}#{packages[0].md5}"


def test_a_variant_without_conda_packages_has_nothing_to_export():
    with pytest.raises(LockError, match="variant `default` has no conda packages"):
        render_conda_lock(sample_lock(), "default", address_of=address, wheel_address_of=str)
