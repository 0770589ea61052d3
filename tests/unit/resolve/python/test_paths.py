import pytest

from envbuild.resolve.python.paths import path_of

HASHED = f"packages/ab/cd/{'e' * 60}/demo-1.0-py3-none-any.whl"
INDEX = "https://index.example.com/simple"


@pytest.mark.parametrize(
    ("url", "index", "expected"),
    [
        pytest.param(f"https://files.example.com/{HASHED}", INDEX, HASHED, id="hashed, on another host"),
        pytest.param(
            f"https://mirror.example.com/api/pypi/all/packages/{HASHED}", INDEX, HASHED, id="below a proxy"
        ),
        pytest.param(
            "https://wheels.example.com/cu126/torch-2.6%2Bcu126-x.whl",
            "https://wheels.example.com/cu126",
            "torch-2.6%2Bcu126-x.whl",
            id="beside the pages",
        ),
        pytest.param(
            "https://index.example.com/files/demo.whl", INDEX, "files/demo.whl", id="beside /simple"
        ),
        pytest.param("https://index.example.com/simple/demo/demo.whl", INDEX, "demo/demo.whl", id="below it"),
        pytest.param("https://files.example.com/files/demo.whl", INDEX, None, id="another host"),
        pytest.param(
            "https://wheels.example.com/torch.whl", "https://wheels.example.com/cu126", None, id="elsewhere"
        ),
        pytest.param(
            "https://wheels.example.com/cu1260/torch.whl",
            "https://wheels.example.com/cu126",
            None,
            id="a name that only begins alike",
        ),
    ],
)
def test_paths_hold_no_host(url: str, index: str, expected: str | None) -> None:
    assert path_of(url, index) == expected
