from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import Problem, SpecError
from envbuild.spec.load import read_spec
from envbuild.spec.normalize import request_from
from envbuild.spec.request import DataRequest

HEAD = 'name = "x"\npython = "3.11"\n'


def data_of(tmp_path: Path, text: str) -> dict[str, DataRequest]:
    path = tmp_path / "envbuild.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return request_from(read_spec(path)).data


def problems_of(tmp_path: Path, text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        data_of(tmp_path, text)
    return tuple(caught.value.problems)


def test_a_name_is_enough(tmp_path: Path) -> None:
    assert data_of(tmp_path, '[[data]]\nname = "images"\n') == {
        "images": DataRequest(path="data/images", target="/data/images")
    }


def test_entries_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    assert list(data_of(tmp_path, '[[data]]\nname = "b"\n[[data]]\nname = "a"\n')) == ["a", "b"]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('dvc = "data/x.dvc"', {"kind": "dvc", "source": "data/x.dvc"}),
        ('dvc = "dvc.lock:data/x"', {"kind": "dvc", "source": "dvc.lock:data/x"}),
        (
            f'url = "https://example.com/x?download=1"\nsha256 = "SHA256:{"A" * 64}"',
            {"kind": "url", "source": "https://example.com/x?download=1", "sha256": "a" * 64},
        ),
        (
            'huggingface = "org/name"\nfiles = ["b", "a", "b"]',
            {
                "kind": "huggingface",
                "source": "org/name",
                "revision": "main",
                "repository_type": "dataset",
                "files": ("a", "b"),
            },
        ),
        ('s3 = "s3://bucket/some/prefix/"', {"kind": "s3", "source": "s3://bucket/some/prefix/"}),
        (
            'path = "./d//e/"\ntarget = "/in/"\nversion = "2"\nlicense = "MIT"',
            {"path": "d/e", "target": "/in", "version": "2", "license": "MIT"},
        ),
        ('path = "/shared/x"', {"path": "/shared/x"}),
    ],
)
def test_kinds(tmp_path: Path, keys: str, expected: dict[str, Any]) -> None:
    plain = {"path": "data/x", "target": "/data/x"}
    found = data_of(tmp_path, f'[[data]]\nname = "x"\n{keys}\n')
    assert found == {"x": DataRequest.model_validate(plain | expected)}


@pytest.mark.parametrize(
    ("keys", "where", "message"),
    [
        ('name = "Über"', "data[0].name", "`Über` cannot name data"),
        ('name = "' + "n" * 65 + '"', "data[0].name", f"`{'n' * 65}` cannot name data"),
        ('name = "../x"', "data[0].name", "`../x` cannot name data"),
        ('name = "x"\npath = "../x"', "data[0].path", "`../x` leads out of the spec's folder"),
        ('name = "x"\npath = "~/x"', "data[0].path", "`~/x` is not expanded"),
        ('name = "x"\npath = "."', "data[0].path", "is the spec's folder itself"),
        ('name = "x"\npath = "sub/.Git/hooks"', "data[0].path", "`sub/.Git/hooks` belongs to git"),
        ('name = "x"\npath = "./envbuild.data/x"', "data[0].path", "`envbuild.data/x` belongs to envbuild"),
        ('name = "x"\npath = "a\\\\b"', "data[0].path", "`a\\b` has a `\\`"),
        ('name = "x"\ntarget = "data"', "data[0].target", "`data` is not absolute"),
        ('name = "x"\ntarget = "/"', "data[0].target", "`/` is the whole image"),
        ('name = "x"\ntarget = "/usr/share"', "data[0].target", "`/usr/share` belongs to the system"),
        ('name = "x"\ndvc = "data"', "data[0].dvc", "`data` is no pointer of DVC in the spec's folder"),
        (
            'name = "x"\ndvc = "../x.dvc"',
            "data[0].dvc",
            "`../x.dvc` is no pointer of DVC in the spec's folder",
        ),
        ('name = "x"\nurl = "https://me:pw@h/x"', "data[0].url", "contains credentials"),
        ('name = "x"\nurl = "https://h/x?X-Amz-Signature=1"', "data[0].url", "contains credentials"),
        ('name = "x"\nurl = "https://h/x?token=1"', "data[0].url", "contains credentials"),
        ('name = "x"\nurl = "https://h/"', "data[0].url", "names no file"),
        ('name = "x"\nurl = "ftp://h/x"', "data[0].url", "is not an address of a file"),
        ('name = "x"\nurl = "https://h:x/y"', "data[0].url", "is not an address"),
        ('name = "x"\nsha256 = "ab"', "data[0].sha256", "`ab` is not a sha256"),
        (
            f'name = "x"\nsha256 = "{"a" * 64}"',
            "data[0]",
            "`sha256` is that of the file at `url`, and there is none",
        ),
        (
            'name = "x"\nrevision = "v1"',
            "data[0]",
            "`revision` is about a repository of the Hugging Face Hub, and there is none",
        ),
        ('name = "x"\nhuggingface = "https://h/x"', "data[0].huggingface", "is an address"),
        ('name = "x"\nhuggingface = "a/b/c"', "data[0].huggingface", "`a/b/c` is no repository"),
        ('name = "x"\nhuggingface = "a/b"\nrevision = "../x"', "data[0].revision", "`../x` is no revision"),
        (
            'name = "x"\nhuggingface = "a/b"\nfiles = ["../x"]',
            "data[0].files[0]",
            "`../x` leads out of the repository",
        ),
        ('name = "x"\ns3 = "bucket/x"', "data[0].s3", "`bucket/x` is no address of S3"),
        ('name = "x"\ns3 = "s3://bucket/x"\ndvc = "x.dvc"', "data[0]", "has 2 sources"),
        ('name = "x"\n[[data]]\nname = "x"', "data[1].name", "`x` is there twice"),
        (
            'name = "x"\n[[data]]\nname = "y"\ntarget = "/data/x/y"',
            "data[1].target",
            "`/data/x/y` and `/data/x`, where `x` is mounted, lie in each other",
        ),
        ('path = "x"', "data[0].name", "is missing"),
    ],
)
def test_wrong_values(tmp_path: Path, keys: str, where: str, message: str) -> None:
    (problem,) = problems_of(tmp_path, f"[[data]]\n{keys}\n")
    assert (problem.where, problem.message) == (where, message)


def test_a_secret_of_an_address_is_not_repeated(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, '[[data]]\nname = "x"\nurl = "https://me:hunter2@h/x"\n')
    assert "hunter2" not in str(problem)
