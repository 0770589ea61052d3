"""The reader that follows pages of the documentation: it must notice a page that is wrong."""

import os
from pathlib import Path

import pytest

from tests.rig.pages import PageCommand, PageFile, follow, steps_of

PAGE = """
```toml title="sub/a.toml"
x = 1
```

```sh
rm -rf /
```

```console
$ cat sub/a.toml
x = 1
$ echo one \\
    two
one two
```
"""


def page(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_page_tells_its_reader_to_do() -> None:
    assert steps_of(PAGE) == (
        PageFile("sub/a.toml", "x = 1\n"),
        PageCommand("cat sub/a.toml", ("x = 1",)),
        PageCommand("echo one two", ("one two",)),
    )


@pytest.mark.parametrize(
    "commands",
    [
        "$ printf 'a\\nb\\nc\\n'\na\n…\nc",
        "$ echo built x:0123456789ab\nbuilt x:ffffffffffff",
        "$ echo took 3.1 s\ntook … s",
        "$ x=1\n$ echo $x\n1",
        "$ sh -c 'exit 3'\n$ echo $?\n3",
        "$ cd /\n$ pwd\n/",
        "$ echo only to stderr >&2\nonly to stderr",
    ],
)
def test_a_page_that_holds(tmp_path: Path, commands: str) -> None:
    follow(page(tmp_path, f"{PAGE}\n```console\n{commands}\n```\n"), tmp_path, os.environ)


@pytest.mark.parametrize(
    "commands",
    [
        "$ false",
        "$ echo a\nb",
        "$ printf 'a\\nb\\n'\nb\na",
        "$ sh -c 'exit 3'\n$ echo $?\n4",
        "$ exit 0\n$ echo a\na",
        "$ echo a\na\na",
    ],
)
def test_a_page_that_does_not_hold(tmp_path: Path, commands: str) -> None:
    with pytest.raises(AssertionError):
        follow(page(tmp_path, f"```console\n{commands}\n```\n"), tmp_path, os.environ)


def test_a_page_that_runs_nothing_is_no_test(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="runs nothing"):
        follow(page(tmp_path, "```sh\nls\n```\n"), tmp_path, os.environ)
