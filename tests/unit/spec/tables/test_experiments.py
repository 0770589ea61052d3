from pathlib import Path

import pytest

from envbuild.spec.load import read_spec
from envbuild.spec.normalize import request_from
from envbuild.spec.request import ExperimentsRequest

HEAD = 'name = "x"\npython = "3.11"\n'


def asked(tmp_path: Path, text: str) -> ExperimentsRequest | None:
    path = tmp_path / "envbuild.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return request_from(read_spec(path)).variants["default"].experiments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("[experiments]\n", ExperimentsRequest(runtime=True)),
        ("[experiments]\nruntime = true\n", ExperimentsRequest(runtime=True)),
        ("[experiments]\nruntime = false\n", None),
        ("[experiments]\nrecord = true\n", ExperimentsRequest(runtime=True)),
        ("[experiments]\nrecord = false\n", ExperimentsRequest(record=False)),
        (
            "[experiments]\nrecord = false\nruntime = true\n",
            ExperimentsRequest(record=False, runtime=True),
        ),
    ],
)
def test_what_is_asked_beyond_recording(
    tmp_path: Path, text: str, expected: ExperimentsRequest | None
) -> None:
    assert asked(tmp_path, text) == expected


def test_a_variant_switches_the_table_off(tmp_path: Path) -> None:
    assert asked(tmp_path, "[experiments]\n[variants.default]\nexperiments = false\n") is None
