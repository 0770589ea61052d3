import pytest

from envbuild.spec.direct_references import INDEX_HINT, MOUNT_HINT
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_constraint, normalized_requirement


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("numpy", "numpy"),
        ("  Num_Py ", "num-py"),
        ("torch >= 2.6 , < 3", "torch<3,>=2.6"),
        ("torch (>=2.6)", "torch>=2.6"),
        ("x>=1.0RC1,>=1.0rc1", "x>=1.0rc1"),
        ("x==v1.0", "x==1.0"),
        ("x==1.0.*", "x==1.0.*"),
        ("x==2.6.0+CU126", "x==2.6.0+cu126"),
        ("x===2.A", "x===2.A"),
        ("Fast.API[Standard,all , ALL]", "fast-api[all,standard]"),
        (
            "x;python_version<'3.12' and (os_name=='posix')",
            'x; python_version < "3.12" and os_name == "posix"',
        ),
        ("x ; sys_platform == 'linux'", 'x; sys_platform == "linux"'),
    ],
)
def test_each_requirement_has_one_spelling(text: str, spelled: str) -> None:
    assert normalized_requirement(text) == spelled
    assert normalized_requirement(spelled) == spelled


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is empty", None),
        ("torch_", "`torch_` is not a name", "names end with a letter or a digit"),
        ("torch[all_]", "`all_` is not a name", "names end with a letter or a digit"),
        ("torch=2.0", "`torch=2.0` is not a requirement", "write `torch==2.0`"),
        ("torch 2.0", "`torch 2.0` is not a requirement", "write `torch==2.0`"),
        (
            "torch>=2; python_vers < '3'",
            "`torch>=2; python_vers < '3'` is not a requirement: expected a marker variable or quoted string",
            None,
        ),
        (
            "requirements.txt",
            "`requirements.txt` looks like a file, not a package",
            'name requirements files in [pip] requirements: requirements = ["requirements.txt"]',
        ),
        (
            "-r requirements.txt",
            "`-r` is an option, not a requirement",
            "options belong in a requirements file; name that file in [pip] requirements",
        ),
        (
            "x>=${VERSION}",
            "environment variables are not expanded",
            "what is asked must be the same on every machine; write the value itself",
        ),
        ("pkg[a] @ file:///pkg ; os_name == 'nt'", "`pkg` is asked for by address", MOUNT_HINT),
        (".", "`.` is asked for by path", MOUNT_HINT),
        ("./src", "`./src` is asked for by path", MOUNT_HINT),
        ("src/pkg[extra]", "`src/pkg[extra]` is asked for by path", MOUNT_HINT),
        ("C:\\src", "`C:\\src` is asked for by path", MOUNT_HINT),
        ("pkg-1.0-py3-none-any.whl", "`pkg` is asked for by path", INDEX_HINT),
    ],
)
def test_what_cannot_be_locked_is_refused_by_name(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(RefusedError) as caught:
        normalized_requirement(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_constraint_bounds_versions_and_asks_for_nothing() -> None:
    assert normalized_constraint("Num_Py<2 , >1") == "num-py<2,>1"
    with pytest.raises(RefusedError) as caught:
        normalized_constraint("fastapi[standard]<1")
    assert caught.value.message == "a constraint cannot ask for extras: `fastapi[standard]<1`"


def test_a_constraint_has_no_address() -> None:
    with pytest.raises(RefusedError) as caught:
        normalized_constraint("x @ https://u:p@h/x-1.0-py3-none-any.whl")
    assert caught.value.message == (
        "a constraint cannot have an address: `x @ https://h/x-1.0-py3-none-any.whl`"
    )


def test_a_requirement_with_an_address_has_one_spelling_too() -> None:
    assert normalized_requirement("X[b,A]@git+HTTPS://H/x.git@v1 ; os_name=='posix'") == (
        'x[a,b] @ git+https://h/x.git@v1 ; os_name == "posix"'
    )
    with pytest.raises(RefusedError) as caught:
        normalized_requirement("x @ https://h/${VERSION}/x.zip")
    assert caught.value.message == "environment variables are not expanded"


def test_a_marker_with_a_control_character_is_refused() -> None:
    with pytest.raises(RefusedError, match="the marker of `six` has a control character in it"):
        normalized_requirement("six; '\\x00' < '3'")
