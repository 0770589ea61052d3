import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from envbuild.verify.checks.versions import normalize_name, normalize_version


@pytest.mark.parametrize(
    "version",
    [
        "2024.02.06",
        "1.0",
        "v1.0.0",
        "1!2.0",
        "0!1",
        "1.0a1",
        "1.0.Alpha-2",
        "1.0c3",
        "1.0-preview",
        "1.0-1",
        "1.0.post",
        "1.0rev2",
        "1.0.dev",
        "1.0-dev03",
        "2.5.1+cu124",
        "1.0+Ubuntu-1.02",
        " 1.0rc1.post2.dev3 ",
    ],
)
def test_versions_are_spelled_as_packaging_does(version: str) -> None:
    assert normalize_version(version) == str(Version(version))


@pytest.mark.property
@given(
    st.from_regex(
        re.compile(
            r"v?(\d{1,2}!)?\d{1,3}(\.\d{1,3}){0,3}([-_.]?(a|beta|rc|pre)[-_.]?\d?)?(-\d|[-_.]?(post|rev|r)[-_.]?\d?)?([-_.]?dev[-_.]?\d?)?(\+[a-z0-9]{1,3}([-_.][a-z0-9]{1,3})?)?",
            re.ASCII,
        ),
        fullmatch=True,
    )
)
def test_any_version_is_spelled_as_packaging_does(version: str) -> None:
    try:
        expected = str(Version(version))
    except InvalidVersion:
        expected = version
    assert normalize_version(version) == expected


def test_what_is_no_version_stays() -> None:
    assert normalize_version(" Unknown ") == "unknown"


def test_names_are_spelled_as_in_indexes() -> None:
    assert normalize_name("Foo._-Bar.baz") == "foo-bar-baz"
