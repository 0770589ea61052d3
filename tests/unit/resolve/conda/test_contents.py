"""What is read out of a package's file: real archives of both formats."""

import pytest

from envbuild.formats.conda_package import CondaArchive
from envbuild.resolve.conda.contents import read_contents
from tests.rig.conda import Package, text, write_package


@pytest.mark.parametrize(
    ("path", "distributions"),
    [
        ("site-packages/Foo_Bar-1.0.0.dist-info/METADATA", ("foo-bar==1.0.0",)),
        ("lib/python3.11/site-packages/pycosat-0.6.6-py3.11.egg-info", ("pycosat==0.6.6",)),
        ("lib/python3.11/site-packages/pycosat-0.6.6-py3.11.egg-info/PKG-INFO", ("pycosat==0.6.6",)),
        ("site-packages/a_b-2-py3.11-linux-x86_64.egg-info/PKG-INFO", ("a-b==2",)),
        ("site-packages/plain-1.5.egg-info/PKG-INFO", ("plain==1.5",)),
        ("site-packages/unknown-version.egg-info/PKG-INFO", ()),
        ("share/site-1.0.txt", ()),
    ],
)
def test_distributions_are_read_from_the_names_of_their_folders(tmp_path, path, distributions):
    package = Package(name="some", files={path: text("Metadata-Version: 2.1\n")})
    file = write_package(package, tmp_path)

    assert read_contents(CondaArchive(file, name=file.name)).distributions == distributions
