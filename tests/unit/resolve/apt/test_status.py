from envbuild.formats.deb822 import stanzas
from envbuild.formats.dpkg_status import InstalledPackage, installed_packages, provided_names
from envbuild.lock.model import Deb
from envbuild.resolve.apt.status import status_of_debs

STATUS = """\
Package: mawk
Status: install ok installed
Architecture: amd64
Version: 1.3.4-1
Provides: awk, newawk (= 2)
Description: pattern scanning
 and text processing

Package: nano
Status: deinstall ok config-files
Architecture: amd64
Version: 7.2-1

Package: held
Status: hold ok installed
Architecture: all
Version: 1:1
"""


def deb(name: str, version: str = "1", *, sha256: str = "a" * 64, **fields: object) -> Deb:
    values: dict[str, object] = {
        "architecture": "all",
        "file": f"{name}_{version}_all.deb",
        "size": 1,
        "archive": "debian",
        "path": f"pool/{name}.deb",
        "source": name,
    }
    return Deb.model_validate({"name": name, "version": version, "sha256": sha256} | values | fields)


def test_only_what_is_there_counts_as_installed() -> None:
    assert list(installed_packages(STATUS)) == [
        InstalledPackage(name="mawk", version="1.3.4-1", architecture="amd64", provides=("awk", "newawk")),
        InstalledPackage(name="held", version="1:1", architecture="all"),
    ]


def test_provided_names() -> None:
    assert provided_names("a (= 1), b:any , , c") == ("a", "b", "c")
    assert provided_names("") == ()


def test_status_of_debs_takes_relations_from_the_index_and_else_from_the_lock() -> None:
    indexed = deb("b", sha256="b" * 64, depends=("only in the lock",))
    gone = deb("a", essential=True, depends=("b (>= 1)", "c"), provides=("d",), source="src (2)")
    record = {
        "Package": "b",
        "Version": "1",
        "Architecture": "all",
        "Conflicts": "x",
        "Filename": "pool/b.deb",
        "SHA256": "b" * 64,
    }

    text = status_of_debs([indexed, gone], [record])

    assert list(stanzas(text)) == [
        {
            "Package": "a",
            "Status": "install ok installed",
            "Essential": "yes",
            "Architecture": "all",
            "Source": "src (2)",
            "Version": "1",
            "Provides": "d",
            "Depends": "b (>= 1), c",
        },
        {
            "Package": "b",
            "Status": "install ok installed",
            "Version": "1",
            "Architecture": "all",
            "Conflicts": "x",
        },
    ]
    assert status_of_debs([gone, indexed], [record]) == text
