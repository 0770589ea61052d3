"""What was probably meant by a command that the image has not."""

from pathlib import Path

import pytest

from envbuild.errors import CommandMissingError
from envbuild.workflows.containers.missing import missing_command, unseen_files


@pytest.mark.parametrize(
    ("program", "hint"),
    [
        ("python train.py", "a command is words, not one text: leave the quotes out"),
        ("train.py", "`train.py` is a file of this folder: python train.py"),
        ("./train.py", "`./train.py` is a file of this folder: python ./train.py"),
        ("fit.sh", "`fit.sh` is a file of this folder: ./fit.sh"),
        ("./fit.sh", "it must be executable"),
        (".:/x", "-v is --verbose here; to mount a folder: --mount .:/x"),
        ("/data:/data:ro", "--mount /data:/data:ro"),
        ("nvcc", "the image has what the spec asks for"),
        ("a\0b", "the image has what the spec asks for"),
    ],
)
def test_what_was_meant(program: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("train.py", "fit.sh"):
        (tmp_path / name).write_text("")
    found = missing_command([program], CommandMissingError("it cannot be started", detail="told"))
    assert hint in str(found.hint)
    assert (found.message, found.detail) == ("it cannot be started", "told")


def test_files_in_words() -> None:
    assert unseen_files(["a"]).startswith("a is in this folder")
    assert unseen_files(["a", "b"]).startswith("a, b are in this folder")
