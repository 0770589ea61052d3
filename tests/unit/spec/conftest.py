from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from envbuild.errors import Problem, SpecError
from envbuild.spec.request import Request
from tests.rig.specs import request_of

WriteFiles = Callable[..., Path]
Ask = Callable[..., Request]
Refuse = Callable[..., tuple[Problem, ...]]

HEAD = 'name = "train"\npython = "3.11"\n'


@pytest.fixture
def write(tmp_path: Path) -> WriteFiles:
    """Write files by name, ``envbuild.toml`` first; return the spec's path."""

    def write_files(spec: str, files: dict[str, str] | None = None) -> Path:
        for name, text in {"envbuild.toml": dedent(spec), **(files or {})}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text), encoding="utf-8", newline="")
        return tmp_path / "envbuild.toml"

    return write_files


@pytest.fixture
def ask(write: WriteFiles) -> Ask:
    """Return the request of a spec given without name and Python."""

    def request(spec: str = "", files: dict[str, str] | None = None) -> Request:
        return request_of(write(HEAD + dedent(spec), files))

    return request


@pytest.fixture
def refuse(write: WriteFiles) -> Refuse:
    """Return what is wrong with a spec given without name and Python."""

    def problems(spec: str, files: dict[str, str] | None = None) -> tuple[Problem, ...]:
        with pytest.raises(SpecError) as caught:
            request_of(write(HEAD + dedent(spec), files))
        return caught.value.problems

    return problems
