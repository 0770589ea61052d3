"""What is wrong with a configuration file, with the line it is in."""

# ruff: noqa: E501 - messages as a user sees them, each on one line

from pathlib import Path

import pytest

from envbuild.errors import ConfigurationError, ExitCode
from envbuild.workflows.configuration.file import MOST_LETTERS, parse_configuration, read_configuration_file

FILE = Path("/home/ada/.config/envbuild/config.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text, FILE, {"HOME": "/home/ada"})
    assert caught.value.exit_code == ExitCode.USAGE
    assert str(FILE) in caught.value.message
    return [f"{problem}{f' ({problem.hint})' if problem.hint else ''}" for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("engnie = 1", "config.toml:1: `engnie`: unknown key (did you mean `engine`?)"),
        ("\n\nengine = 1", "config.toml:3: `engine`: must be a string, not a number"),
        ('engine = "docke"', "config.toml:1: `engine`: must be `docker` or `local` (did you mean `docker`?)"),
        ('engine = ""', "config.toml:1: `engine`: must not be empty (remove the line to unset it)"),
        ("engine.x = 1", "config.toml:1: `engine`: must be a string, not a table"),
        ("cache-dir = true", "config.toml:1: `cache-dir`: must be a string, not true"),
        (
            'cache-dir = "scratch"',
            "config.toml:1: `cache-dir`: must be an absolute path, or one that starts with `~/`",
        ),
        ("apt = 1", "config.toml:1: `apt`: must be a table, not a number"),
        ('indexes.corp = "https://x"', "config.toml:1: `indexes.corp`: must be a table, not a string"),
        ("[[apt]]\nmirror = 1", "config.toml:1: `apt`: must be a table, not a list"),
        (
            "[apt]\nmirror = 'm.example'",
            "config.toml:2: `apt.mirror`: must be an address (it starts with `http`, `https` or `file` and `://`)",
        ),
        (
            "[apt]\nmirror = 'https://m.example/a b'",
            "config.toml:2: `apt.mirror`: must be an address (it starts with `http`, `https` or `file` and `://`)",
        ),
        ("[apt]\nmirrors.debian-security = [\n1\n]", "config.toml:2: `apt.mirrors.debian-security`: must be a string, not a list"),
        ("insecure-registries = 'a:1'", 'config.toml:1: `insecure-registries`: must be a list, not a string (write `["a:1"]`)'),
        ("insecure-registries = [\n'https://a']", "config.toml:1: `insecure-registries`: must hold hosts (write `HOST` or `HOST:PORT`)"),
        ("x = '''\n\n'''\n[gpu]", "config.toml:1: `x`: unknown key (known here: apt, cache-dir, channels, data-dir, engine, indexes, insecure-registries, python-url, vendor-dir)"),
        ("[channels.a]\nurl='https://a'\ntoken = 'x'", "config.toml:3: `channels.a.token`: unknown key (known here: password, url, username)"),
        (
            "[indexes.corp]\npassword = 'sesame'",
            "config.toml:2: `indexes.corp.password`: needs `url` beside it (say which address they are for)",
        ),
        (
            "[indexes.a-b]\nurl = 'https://a'\n[indexes.a_b]\nurl = 'https://b'",
            "config.toml:4: `indexes.a_b.url`: means the same as `indexes.a-b.url` (keep one of them)",
        ),
        ("engine =", "config.toml:1: invalid value"),
        ("engine = 'local'\nengine = 'docker'", "config.toml:2: `engine` is there twice (keep one of them)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, expected: str):
    assert problems(text)[0] == expected


def test_everything_wrong_is_told_at_once():
    text = "# mine\n[indexes.corp]\nurl = 5\ncolour = 1\n\n[apt]\nkeyring = [\n  1,\n]\nsnapshot = 2\n"

    assert [problem.partition(" ")[0] for problem in problems(text)] == [
        f"config.toml:{line}:" for line in (3, 4, 7, 10)
    ]


def test_no_value_is_in_a_message():
    text = '[indexes.corp]\nurl = "ftp://ada:sesame@x"\npassword = 5\nsesame = 1\nusername = ["sesame"]\n'

    assert "sesame" not in " ".join(problems(text.replace("sesame = 1\n", "")))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "[apt]\n", "[indexes]\n[indexes.corp]\n", "\ufeffengine='local'"]
)
def test_a_file_may_say_little(text: str):
    assert len(parse_configuration(text, FILE, {})) <= 1


def test_values_know_their_lines():
    text = 'engine = "local"\n\n[apt]\n# all\nmirrors = {\n a = "https://a",\n}\nmirror = "https://b"\n'
    text = text.replace("{\n a", "{ a").replace(",\n}", " }")

    found = parse_configuration(text, FILE, {})
    assert [(item.key.text, item.line) for item in found] == [
        ("engine", 1),
        ("apt.mirrors.a", 5),
        ("apt.mirror", 6),
    ]


def test_a_home_is_that_of_the_variables():
    (item,) = parse_configuration('cache-dir = "~/scratch"', FILE, {"HOME": "/home/ada"})

    assert item.value == "/home/ada/scratch"


def test_a_file_that_is_none_is_refused(tmp_path: Path):
    for name, content, said in (
        ("folder", None, "is a folder"),
        ("binary", b"\xff\x00", "is not UTF-8 text"),
        ("large", b"#" * (MOST_LETTERS + 1), "is too large"),
        ("deep", b"a = " + b"[" * 5000, "is not TOML"),
        ("digits", b"a = " + b"1" * 5000, "is not TOML"),
    ):
        path = tmp_path / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
        with pytest.raises(ConfigurationError, match=said):
            read_configuration_file(path, {})


def test_a_long_file_is_read_once() -> None:
    text = "engine = 'local'\n" + "# remark\n" * 20_000
    assert [item.value for item in parse_configuration(text, FILE, {})] == ["local"]
    assert problems(text + "engnie = 1\n")[0].startswith("config.toml:1: `engnie`: unknown key")
