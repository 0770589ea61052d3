import pytest

from envbuild.errors import NetworkError
from envbuild.remote.index.flat_page import parse_flat_page

URL = "https://h/whl/torch.html"
SHA = "ab" * 32
WHEEL = "demo-1.0-py3-none-any.whl"


def files(body: str, *, url: str = URL, media_type: str = "text/html") -> list[tuple[str, str, str | None]]:
    page = parse_flat_page(body.encode(), media_type=media_type, url=url)
    return [(file.filename, file.url, file.sha256) for file in page.files]


@pytest.mark.parametrize(
    ("link", "url"),
    [
        pytest.param(WHEEL, f"https://h/whl/{WHEEL}", id="relative"),
        pytest.param(f"cu118/{WHEEL}", f"https://h/whl/cu118/{WHEEL}", id="below"),
        pytest.param(f"/files/{WHEEL}", f"https://h/files/{WHEEL}", id="from the root"),
        pytest.param(f"//cdn/{WHEEL}", f"https://cdn/{WHEEL}", id="another host"),
        pytest.param(f"http://cdn/{WHEEL}", f"http://cdn/{WHEEL}", id="absolute"),
    ],
)
def test_links_are_relative_to_the_page(link: str, url: str) -> None:
    assert files(f'<a href="{link}">whatever the text says</a>') == [(WHEEL, url, None)]


def test_a_base_counts_and_percent_encoding_is_undone_in_names_alone() -> None:
    body = f'<base href="/b/"><A HREF="demo-1.0%2Bcu118-py3-none-any.whl#sha256={SHA.upper()}">demo</A>'
    assert files(body) == [
        ("demo-1.0+cu118-py3-none-any.whl", "https://h/b/demo-1.0%2Bcu118-py3-none-any.whl", SHA)
    ]


def test_attributes_of_indexes_are_understood() -> None:
    page = parse_flat_page(
        f'<a href="{WHEEL}#md5=00" data-requires-python="&gt;=3.9" data-yanked="broken">x</a>'.encode(),
        media_type="text/html; charset=nonsense",
        url=URL,
    )
    (file,) = page.files
    assert (file.sha256, file.requires_python, file.yanked) == (None, ">=3.9", "broken")


def test_other_links_are_no_files() -> None:
    body = f"""
    <a>nothing</a><a href="../">up</a><a href="notes.txt">n</a><a href="file:///etc/{WHEEL}">f</a>
    <a href="http://[bad/{WHEEL}">b</a><a href="javascript:x">j</a><a href="{WHEEL}">one</a>
    """
    assert [name for name, _, _ in files(body)] == [WHEEL]


def test_a_page_has_files_of_many_projects() -> None:
    names = [WHEEL, "demo_more-1.0.tar.gz", "Demo-1.1.tar.gz", "demo-2-broken.whl", "x-1-py3-none-any.whl"]
    page = parse_flat_page(
        "".join(f'<a href="{name}">{name}</a>' for name in names).encode(), media_type="text/html", url=URL
    )
    assert [file.filename for file in page.of("demo").read(lambda _: True)] == [WHEEL, "Demo-1.1.tar.gz"]
    assert [file.filename for file in page.of("demo").files("1.0")] == [WHEEL]
    assert page.of("nothing").files("1.0") == ()


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        pytest.param("<p>Log in, please</p>", "text/html", id="another page"),
        pytest.param("", "text/html", id="an empty page"),
        pytest.param(f'<a href="{WHEEL}">x</a>', "application/json", id="no HTML"),
    ],
)
def test_a_page_that_is_none_is_an_error(body: str, media_type: str) -> None:
    with pytest.raises(NetworkError) as caught:
        files(body, media_type=media_type, url="https://u:p@h/x")
    assert caught.value.message == "https://h/x is not a page that lists packages"
    assert caught.value.hint == (
        "[pip] find-links takes pages with links to wheels; an index belongs in [pip] indexes"
    )
