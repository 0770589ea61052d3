"""Requirements with addresses, of any text: one spelling, or a refusal that tells no secret."""

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from envbuild.errors import NetworkError
from envbuild.remote.index.flat_page import parse_flat_page
from envbuild.spec.direct_references import is_direct, parse_direct
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_requirement

pytestmark = pytest.mark.property

SECRET = "pw3"

names = st.sampled_from(["", "demo @ ", "A_b[x,Y]@", "demo[ @ ", "- @ "])
schemes = st.sampled_from(
    ["https://", "http://", "git+https://", "git+ssh://git@", "file://", "hg+http://", ""]
)
hosts = st.sampled_from(["h.example", "H:80", "[::1", "[::1]:1", f"user:{SECRET}@h", "h:x", "", "é"])
parts = st.sampled_from(
    [
        "x",
        "demo.git",
        "@v1",
        "@a/b",
        "@",
        "demo-1.0-py3-none-any.whl",
        "A_b-1%2B2.tar.gz",
        "archive",
        "%",
        "..",
        " ",
    ]
)
fragments = st.sampled_from(
    [
        "egg=demo",
        "egg=demo[x]",
        f"sha256={'ab' * 32}",
        "sha256=",
        "md5=1",
        "subdirectory=a%20b/",
        "subdirectory=../x",
        "&",
    ]
)
queries = st.sampled_from(["", "?raw=1", f"?token={SECRET}"])
markers = st.sampled_from(["", " ; os_name == 'posix'", "; os_name", " ;", "\n"])
addresses = st.builds(
    lambda name, scheme, host, path, query, fragment, marker: "".join(
        (name, scheme, host, "/", "/".join(path), query, f"#{'&'.join(fragment)}" if fragment else "", marker)
    ),
    names,
    schemes,
    hosts,
    st.lists(parts, max_size=3),
    queries,
    st.lists(fragments, max_size=2),
    markers,
)


@given(addresses)
@example("x @ https://[::1/x.zip")
@example("git+https://h/%40@")
def test_a_requirement_is_spelled_once_or_refused(text: str) -> None:
    if not is_direct(text):
        return
    said = ""
    try:
        spelled = str(parse_direct(text))
    except RefusedError as refused:
        said = f"{refused.message} {refused.hint}"
    else:
        assert str(parse_direct(spelled)) == spelled
        assert normalized_requirement(spelled) == spelled
        assert Requirement(spelled).url
        said = spelled
    assert SECRET not in said


@given(st.lists(st.one_of(parts, schemes, st.sampled_from(["<a href='", "'>", "<base href='", "#sha256="]))))
def test_a_page_is_read_or_refused(pieces: list[str]) -> None:
    with contextlib.suppress(NetworkError):
        page = parse_flat_page("".join(pieces).encode(), media_type="text/html", url="https://h/p.html")
        assert all(file.url.startswith(("http://", "https://")) for file in page.files)
        page.of("demo").files("1.0")
