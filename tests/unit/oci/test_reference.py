"""Image references."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.errors import SpecError
from envbuild.oci.reference import ImageReference, parse_reference

DIGEST = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        pytest.param("python", "docker.io/library/python:latest", "python:latest", id="bare name"),
        pytest.param("python:3.11-slim", "docker.io/library/python:3.11-slim", "python:3.11-slim", id="tag"),
        pytest.param("nvidia/cuda:12.6", "docker.io/nvidia/cuda:12.6", "nvidia/cuda:12.6", id="namespace"),
        pytest.param("docker.io/python:3", "docker.io/library/python:3", "python:3", id="default registry"),
        pytest.param("index.docker.io/a/b:3", "docker.io/a/b:3", "a/b:3", id="its old name"),
        pytest.param("registry-1.docker.io/a/b:3", "docker.io/a/b:3", "a/b:3", id="its API host"),
        pytest.param(
            "docker.io/library/x/y:1", "docker.io/library/x/y:1", "library/x/y:1", id="deep library"
        ),
        pytest.param("ghcr.example/o/r:1", "ghcr.example/o/r:1", "ghcr.example/o/r:1", id="registry"),
        pytest.param("localhost/x", "localhost/x:latest", "localhost/x:latest", id="localhost"),
        pytest.param("localhost:5000/x:a", "localhost:5000/x:a", "localhost:5000/x:a", id="port"),
        pytest.param(
            "127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest", "127.0.0.1:5000/a/b:latest", id="IPv4"
        ),
        pytest.param("[::1]:5000/a:1", "[::1]:5000/a:1", "[::1]:5000/a:1", id="IPv6"),
        pytest.param("HOST/a:1", "HOST/a:1", "HOST/a:1", id="upper case is a host"),
        pytest.param(f"a/b@{DIGEST}", f"docker.io/a/b@{DIGEST}", f"a/b@{DIGEST}", id="digest"),
        pytest.param(f"a:1@{DIGEST}", f"docker.io/library/a:1@{DIGEST}", f"a:1@{DIGEST}", id="both"),
        pytest.param("a__b/c-d.e--f:_x", "docker.io/a__b/c-d.e--f:_x", "a__b/c-d.e--f:_x", id="separators"),
    ],
)
def test_reference_is_completed_as_engines_do(text: str, full: str, familiar: str) -> None:
    reference = parse_reference(text)

    assert (str(reference), reference.familiar) == (full, familiar)
    assert parse_reference(full) == reference
    assert parse_reference(familiar) == reference


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "it is empty"),
        ("python :3", "it has spaces in it"),
        ("https://registry.example.com/a:1", "leave out `https://`"),
        ("docker://a:1", "leave out `docker://`"),
        ("ab" * 32, "this is an image ID; name the repository it comes from"),
        (DIGEST, "this is an image ID; name the repository it comes from"),
        ("Python:3", "`Python` is not a repository name; write it in lower case"),
        ("a/B:1", "`a/B` is not a repository name; write it in lower case"),
        ("a//b", "`a//b` is not a repository name"),
        ("-a", "`-a` is not a repository name"),
        ("a" * 248 + "/b" * 5, "a repository name has at most 255 characters"),
        ("a_.b", "`a_.b` is not a repository name"),
        ("-x.y/a", "`-x.y` is not a host name"),
        ("a:", "a tag is up to 128 letters, digits, `_`, `.` and `-`, and starts with neither dot nor dash"),
        ("a@sha256:12", "a digest is `sha256:` and 64 hexadecimal digits"),
        (f"a@sha512:{'0' * 128}", "a digest is `sha256:` and 64 hexadecimal digits"),
    ],
)
def test_bad_reference_says_what_is_wrong(text: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_reference(text)

    assert caught.value.message == f"`{text}` is not an image reference"
    assert caught.value.hint == hint


def test_default_registry_is_asked_at_its_api_host() -> None:
    assert parse_reference("python").api_host == "registry-1.docker.io"
    assert parse_reference("localhost:5000/python").api_host == "localhost:5000"


def test_digest_is_asked_for_before_the_tag() -> None:
    both = parse_reference(f"a:1@{DIGEST}")

    assert both.locator == DIGEST
    assert parse_reference("a:1").locator == "1"
    assert str(parse_reference("a:1").at(DIGEST)) == f"docker.io/library/a@{DIGEST}"


part = st.from_regex(r"\A[a-z0-9]+(?:(?:[._]|__|-{1,2})[a-z0-9]+){0,2}\Z")
references = st.builds(
    ImageReference,
    registry=st.sampled_from(
        ["docker.io", "localhost", "registry.example.com", "127.0.0.1:5000", "[::1]:443"]
    ),
    repository=st.lists(part, min_size=2, max_size=4).map("/".join),
    tag=st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z"),
    digest=st.none() | st.just(DIGEST),
)


@pytest.mark.property
@given(references)
def test_every_reference_reads_back(reference: ImageReference) -> None:
    assert parse_reference(str(reference)) == reference
    assert parse_reference(reference.familiar) == reference


@pytest.mark.property
@given(st.text(max_size=40))
def test_no_text_gives_anything_but_a_reference_or_a_spec_error(text: str) -> None:
    try:
        reference = parse_reference(text)
    except SpecError:
        return
    assert parse_reference(str(reference)) == reference
