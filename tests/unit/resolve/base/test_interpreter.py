"""Which Python an image runs."""

import pytest

from envbuild.errors import SpecError
from envbuild.lock.model import Interpreter
from envbuild.resolve.base.interpreter import InterpreterSearch
from envbuild.resolve.base.system_files import InstalledDeb
from tests.rig.layer_items import ELF, Image, Item, file, link

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MERGED = [link("bin", "usr/bin"), link("sbin", "usr/sbin")]


def python(path: str, version: str = "") -> Item:
    return file(path, ELF + (f" {version}\0".encode() if version else b""))


def search(
    *items: Item, environment: dict[str, str] | None = None, debs: tuple[InstalledDeb, ...] = ()
) -> InterpreterSearch:
    variables = {"PATH": PATH} if environment is None else environment
    return InterpreterSearch(files=Image([*MERGED, *items]).files, environment=variables, debs=debs)


def deb(name: str, version: str) -> InstalledDeb:
    return InstalledDeb(name=name, version=version, architecture="amd64")


def summary(found: Interpreter) -> tuple[str, str, str]:
    return found.path, found.version, found.provider


def test_debians_python_belongs_to_its_package() -> None:
    found = search(
        python("usr/bin/python3.11", "3.11.2"),
        link("usr/bin/python3", "python3.11"),
        file("var/lib/dpkg/info/python3.11-minimal.list", "/.\n/usr\n/usr/bin\n/usr/bin/python3.11\n"),
        file("var/lib/dpkg/info/python3-minimal.list", "/.\n/usr/bin/python3\n"),
        debs=(deb("python3-minimal", "3.11.2-1+b1"), deb("python3.11-minimal", "3.11.2-6+deb12u3")),
    ).find("3.11", image="x")

    assert summary(found) == ("/usr/bin/python3.11", "3.11.2", "deb python3.11-minimal")
    assert found.sha256 is not None


def test_first_on_the_path_is_taken() -> None:
    both = (python("usr/bin/python3.11", "3.11.2"), python("usr/local/bin/python3.11", "3.11.9"))

    assert summary(search(*both).find("3.11", image="x")) == ("/usr/local/bin/python3.11", "3.11.9", "image")
    later = search(*both, environment={"PATH": "/usr/bin:/usr/local/bin"})
    assert summary(later.find("3.11", image="x"))[0] == "/usr/bin/python3.11"


def test_patch_release_that_is_asked_for_is_found_behind_another() -> None:
    both = (python("usr/bin/python3.11", "3.11.2"), python("usr/local/bin/python3.11", "3.11.9"))

    assert summary(search(*both).find("3.11.2", image="x"))[0] == "/usr/bin/python3.11"


def test_engines_own_path_counts_where_the_image_has_none() -> None:
    found = search(python("usr/bin/python3.11", "3.11.2"), environment={}).find("3.11", image="x")

    assert found.path == "/usr/bin/python3.11"


@pytest.mark.parametrize("path", ["bin:usr/bin:/opt/py/bin/", "/opt/py/bin"])
def test_folders_that_are_not_absolute_do_not_count(path: str) -> None:
    items = (python("usr/bin/python3.11", "3.11.2"), python("opt/py/bin/python3.11", "3.11.9"))

    found = search(*items, environment={"PATH": path}).find("3.11", image="x")

    assert found.path == "/opt/py/bin/python3.11"


def test_links_over_merged_folders_are_resolved() -> None:
    found = search(
        python("usr/bin/python3.11", "3.11.2"),
        link("usr/local/bin/python3.11", "/etc/alternatives/python"),
        link("etc/alternatives/python", "/bin/python3.11"),
        file("var/lib/dpkg/info/python3.11-minimal.list", "/bin/python3.11\n"),
        debs=(deb("python3.11-minimal", "3.11.2-6"),),
    ).find("3.11", image="x")

    assert summary(found) == ("/usr/bin/python3.11", "3.11.2", "deb python3.11-minimal")


def test_unversioned_name_will_do_if_it_is_the_release() -> None:
    items = (python("opt/conda/bin/python3", "3.12.4"), python("usr/bin/python3", "3.11.2"))

    found = search(*items, environment={"PATH": "/opt/conda/bin:/usr/bin"})

    assert found.find("3.12", image="x").path == "/opt/conda/bin/python3"
    assert found.find("3.11", image="x").path == "/usr/bin/python3"


def test_version_may_be_in_the_library() -> None:
    found = search(
        python("usr/local/bin/python3.11"), python("usr/local/lib/libpython3.11.so.1.0", "3.11.9")
    ).find("3.11", image="x")

    assert found.version == "3.11.9"


def test_version_may_be_in_the_header() -> None:
    header = file(
        "usr/local/include/python3.11/patchlevel.h",
        '#define PY_MICRO_VERSION 9\n/* x */\n#define PY_VERSION      \t"3.11.9"\n',
    )

    assert search(python("usr/local/bin/python3.11"), header).find("3.11", image="x").version == "3.11.9"


def test_version_may_be_the_packages() -> None:
    found = search(
        python("usr/bin/python3.11"),
        file("var/lib/dpkg/info/python3.11-minimal:amd64.list", "/usr/bin/python3.11\n"),
        debs=(deb("python3.11-minimal", "3.11.2-6"),),
        environment={"PATH": PATH, "PYTHON_VERSION": "3.11.9"},
    ).find("3.11", image="x")

    assert summary(found) == ("/usr/bin/python3.11", "3.11.2", "deb python3.11-minimal")


def test_distroless_packages_own_files_too() -> None:
    found = search(
        python("usr/bin/python3.11", "3.11.2"),
        file("var/lib/dpkg/status.d/python3.11-minimal.md5sums", f"{'0' * 32}  usr/bin/python3.11\n"),
        debs=(deb("python3.11-minimal", "3.11.2-6"),),
    ).find("3.11", image="x")

    assert found.provider == "deb python3.11-minimal"


@pytest.mark.parametrize(("variable", "version"), [("3.11.9", "3.11.9"), ("3.12.1", None), ("", None)])
def test_variable_of_the_official_images_is_the_last_witness(variable: str, version: str | None) -> None:
    environment = {"PATH": PATH, "PYTHON_VERSION": variable}
    found = search(python("usr/local/bin/python3.11"), environment=environment)

    if version:
        assert found.find("3.11", image="x").version == version
    else:
        with pytest.raises(SpecError) as caught:
            found.find("3.11", image="x")
        assert caught.value.hint == (
            "it has Python of an unknown version (/usr/local/bin/python3.11); "
            "ask for another `python`, or choose another `base.image`"
        )


def test_bytes_are_believed_rather_than_the_variable() -> None:
    environment = {"PATH": PATH, "PYTHON_VERSION": "3.11.1"}

    found = search(python("usr/local/bin/python3.11", "3.11.9"), environment=environment)

    assert found.find("3.11", image="x").version == "3.11.9"


def test_two_candidates_in_the_bytes_prove_nothing() -> None:
    found = search(
        python("usr/local/bin/python3.11", "3.11.9\0 3.11.1"),
        environment={"PATH": PATH, "PYTHON_VERSION": "3.11.9"},
    )

    assert found.find("3.11", image="x").version == "3.11.9"


def test_prerelease_is_reported_as_such() -> None:
    assert search(python("usr/bin/python3.14", "3.14.0rc2")).find("3.14", image="x").version == "3.14.0rc2"


def test_other_release_is_an_error_that_names_what_there_is() -> None:
    items = (
        python("usr/bin/python3.11", "3.11.2"),
        link("usr/bin/python3", "python3.11"),
        python("usr/local/bin/python3.9", "3.9.19"),
    )

    with pytest.raises(SpecError) as caught:
        search(*items).find("3.12", image="debian:bookworm")

    assert caught.value.message == "`debian:bookworm` has no Python 3.12"
    assert caught.value.hint == (
        "it has Python 3.9.19 (/usr/local/bin/python3.9), 3.11.2 (/usr/bin/python3.11); "
        "ask for another `python`, or choose another `base.image`"
    )


def test_other_patch_release_is_an_error() -> None:
    with pytest.raises(SpecError, match=r"`x` has no Python 3\.11\.9"):
        search(python("usr/bin/python3.11", "3.11.2")).find("3.11.9", image="x")


def test_release_is_not_mistaken_for_one_that_begins_alike() -> None:
    with pytest.raises(SpecError):
        search(python("usr/bin/python3", "3.11.2")).find("3.1", image="x")


def test_image_without_python_is_an_error() -> None:
    with pytest.raises(SpecError) as caught:
        search(python("opt/hidden/bin/python3.11", "3.11.2")).find("3.11", image="x")

    assert caught.value.hint == (
        "it has no Python on its PATH; ask for another `python`, or choose another `base.image`"
    )


def test_script_is_no_interpreter() -> None:
    with pytest.raises(SpecError) as caught:
        search(file("usr/local/bin/python3.11", "#!/bin/sh\nexec pyenv\n")).find("3.11", image="x")

    assert caught.value.message == "`/usr/local/bin/python3.11` of `x` is a script, not an interpreter"


def test_script_before_an_interpreter_is_passed_over() -> None:
    items = (file("usr/local/bin/python3.11", "#!/bin/sh\n"), python("usr/bin/python3.11", "3.11.2"))

    assert search(*items).find("3.11", image="x").path == "/usr/bin/python3.11"
