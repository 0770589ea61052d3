import pytest
from packaging.requirements import Requirement

from envbuild.spec.direct_references import (
    INDEX_HINT,
    MOUNT_HINT,
    is_direct,
    parse_direct,
    with_hashes,
    without_credentials,
)
from envbuild.spec.problems import RefusedError

SHA = "ab" * 32
OTHER = "cd" * 32


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        pytest.param(
            "Demo[Fast,all]@https://H/w/demo-1.0-py3-none-any.whl",
            "demo[all,fast] @ https://h/w/demo-1.0-py3-none-any.whl",
            id="a wheel by name",
        ),
        pytest.param(
            "https://h/w/My_Demo-1.0%2Bcu118-cp311-cp311-linux_x86_64.whl",
            "my-demo @ https://h/w/My_Demo-1.0%2Bcu118-cp311-cp311-linux_x86_64.whl",
            id="a wheel alone",
        ),
        pytest.param(
            f"demo @ https://h/demo-1.0.tar.gz#subdirectory=./py/&sha256={SHA.upper()}",
            f"demo @ https://h/demo-1.0.tar.gz#sha256={SHA}&subdirectory=py",
            id="a source archive",
        ),
        pytest.param(
            "https://h/en_core_web_sm-3.7.1.tar.gz",
            "en-core-web-sm @ https://h/en_core_web_sm-3.7.1.tar.gz",
            id="a source archive alone",
        ),
        pytest.param(
            "https://h/team/Repo/archive/refs/tags/v1-2.zip",
            "repo @ https://h/team/Repo/archive/refs/tags/v1-2.zip",
            id="an archive that a forge makes of a repository",
        ),
        pytest.param(
            "git+https://h/team/CLIP.git", "clip @ git+https://h/team/CLIP.git", id="a repository alone"
        ),
        pytest.param(
            "git+https://h/team/x@feature/y#egg=Demo[a]&subdirectory=py%20x",
            "demo[a] @ git+https://h/team/x@feature/y#subdirectory=py%20x",
            id="a branch with a slash, and an egg",
        ),
        pytest.param(
            "demo @ git+ssh://git@h:2222/team/x.git@v1.0; python_version<'3.12'",
            'demo @ git+ssh://git@h:2222/team/x.git@v1.0 ; python_version < "3.12"',
            id="ssh, and a marker without a space before it",
        ),
        pytest.param("demo @ git+http://h/x@abc123", "demo @ git+http://h/x@abc123", id="git by http"),
        pytest.param(
            "demo @ https://h/x.zip?raw=true", "demo @ https://h/x.zip?raw=true", id="a query without secrets"
        ),
    ],
)
def test_each_address_has_one_spelling(text: str, spelled: str) -> None:
    assert is_direct(text)
    assert str(parse_direct(text)) == spelled
    assert str(parse_direct(spelled)) == spelled
    assert Requirement(spelled).url


def test_the_parts_of_a_reference_are_known() -> None:
    reference = parse_direct("demo[a] @ git+https://h/x.git@v1#subdirectory=py ; os_name == 'posix'")
    assert (reference.kind, reference.url, reference.reference) == ("git", "https://h/x.git", "v1")
    assert (reference.subdirectory, reference.plain) == ("py", 'demo[a]; os_name == "posix"')
    assert parse_direct("https://h/a-1%2Bcpu-py3-none-any.whl").filename == "a-1+cpu-py3-none-any.whl"


@pytest.mark.parametrize("text", ["numpy", "numpy>=2 ; os_name == 'nt'", "./folder", "a-1-py3-none-any.whl"])
def test_what_has_no_address_is_told_apart(text: str) -> None:
    assert not is_direct(text)


WHEEL_CREDENTIALS = "write it without them; each machine has them in ~/.netrc, or in git's credential helper"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("pkg @ file:///src/pkg", "`pkg` is asked for by address", MOUNT_HINT),
        ("pkg @ file:///src/pkg-1.0.tar.gz", "`pkg` is asked for by address", INDEX_HINT),
        (
            "pkg @ file:///croot/pkg_1671487769961/work/pkg",
            "`pkg` is asked for by address",
            "`pip freeze` writes this of what conda built: write `pkg`, with the version you had",
        ),
        (
            "pkg @ git@h:team/pkg.git",
            "`pkg` has no address after the `@`",
            "write one with https:// or http://, or git+https:// of a repository",
        ),
        ("pkg @ git+https://h/x#egg=other", "`pkg` and `#egg=other` are two names", "keep one"),
        ("pkg @ git+file:///src/pkg", "`pkg` is asked for by address", MOUNT_HINT),
        (
            "https://u:s3cret@h/a/My_Pkg-1.0-py3-none-any.whl",
            "the address of `https://h/a/My_Pkg-1.0-py3-none-any.whl` contains credentials",
            WHEEL_CREDENTIALS,
        ),
        ("pkg @ git+https://s3cret@h/x", "the address of `pkg` contains credentials", WHEEL_CREDENTIALS),
        ("pkg @ git+ssh://git:s3cret@h/x", "the address of `pkg` contains credentials", WHEEL_CREDENTIALS),
        (
            "pkg @ https://h/x.zip?X-Amz-Signature=s3cret",
            "the address of `pkg` contains a secret in its query",
            "write an address that lasts; each machine has its credentials in ~/.netrc",
        ),
        (
            "pkg @ hg+https://h/x",
            "`pkg` is in a repository of `hg`",
            "only git is understood",
        ),
        (
            "pkg @ git+git://h/x",
            "`pkg` is asked for by `git`",
            "write an address with git+https://, git+ssh:// or git+http://",
        ),
        ("pkg @ ftp://h/x.zip", "`pkg` is asked for by `ftp`", "write an address with https:// or http://"),
        (
            "git+ssh://git@h:team/x.git",
            "the address of `git+ssh://h:team/x.git` cannot be read",
            "of a host by ssh write `git+ssh://git@host/folder/name.git`, with a slash after the host",
        ),
        ("pkg @ https:///x.zip", "the address of `pkg` names no host", None),
        (
            "https://h/team/pkg.git",
            "`https://h/team/pkg.git` is neither a wheel nor a source archive",
            "of a repository write `name @ git+https://h/team/pkg.git`",
        ),
        (
            "https://h/main.zip",
            "`https://h/main.zip` does not say which package it is",
            "write `name @ https://h/main.zip`",
        ),
        ("https://h/pkg.whl", "`pkg.whl` is not the name of a wheel", None),
        (
            "other @ https://h/pkg-1.0-py3-none-any.whl",
            "`other` is asked for, and `pkg-1.0-py3-none-any.whl` is a wheel of `pkg`",
            None,
        ),
        (
            "pkg @ git+https://h/x@--upload-pack=evil",
            "`pkg` asks for `--upload-pack=evil`, which is no branch, tag or commit",
            None,
        ),
        ("pkg @ git+https://h/x@a..b", "`pkg` asks for `a..b`, which is no branch, tag or commit", None),
        (
            "pkg @ git+https://h/x#subdirectory=../up",
            "`pkg` has its project in `../up`, which is not inside",
            None,
        ),
        (
            "pkg @ https://h/x.zip#md5=00",
            "the md5 of `pkg` is not checked",
            "state its sha256, or none",
        ),
        ("pkg @ https://h/x.zip#sha256=00", "the sha256 of `pkg` is not 64 hexadecimal digits", None),
        (
            f"pkg @ git+https://h/x#sha256={SHA}",
            "`pkg` is in a repository, which has no sha256",
            "a commit pins it: write `@COMMIT`",
        ),
        (
            "pkg @ https://h/x.zip#frob=1",
            "`#frob` in the address of `pkg` is not understood",
            "`#sha256=`, `#subdirectory=` and `#egg=` are",
        ),
        (
            "https://h/a b.zip",
            "`https://h/a` is not an address",
            "an address has no spaces; other characters are percent-encoded",
        ),
        (
            "pkg @ https://h/x.zip ; python_vers < '3'",
            "`python_vers < '3'` is not a marker: expected a marker variable or quoted string",
            None,
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_by_name(text: str, message: str, hint: str | None) -> None:
    assert is_direct(text)
    with pytest.raises(RefusedError) as caught:
        parse_direct(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert "s3cret" not in message


def test_hashes_beside_an_address_are_kept() -> None:
    reference = parse_direct("pkg @ https://h/x.zip")
    assert with_hashes(reference, []) == reference
    assert str(with_hashes(reference, [f"sha256:{SHA}"])) == f"pkg @ https://h/x.zip#sha256={SHA}"


@pytest.mark.parametrize(
    ("text", "hashes", "message"),
    [
        (f"pkg @ https://h/x.zip#sha256={SHA}", [f"sha256:{OTHER}"], "`pkg` has 2 hashes, and one file"),
        ("pkg @ https://h/x.zip", ["sha512:00"], "the sha512 of `pkg` is not checked"),
        ("pkg @ git+https://h/x", [f"sha256:{SHA}"], "`pkg` is in a repository, which has no sha256"),
    ],
)
def test_hashes_that_cannot_hold_are_refused(text: str, hashes: list[str], message: str) -> None:
    with pytest.raises(RefusedError) as caught:
        with_hashes(parse_direct(text), hashes)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@h/x", "https://h/x"),
        ("git+https://token@h/x.git@main#egg=y", "git+https://h/x.git@main"),
        ("https://h/x?a=b", "https://h/x"),
        ("plain", "plain"),
    ],
)
def test_addresses_are_shown_without_credentials(text: str, shown: str) -> None:
    assert without_credentials(text) == shown
