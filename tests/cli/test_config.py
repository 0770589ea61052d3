"""`envbuild config`: what is in force and why; changes of the file."""

import gc
import json
import os
import stat
from pathlib import Path

import pytest

from tests.rig.program import SPEC, Program

# Docker's SDK leaves its socket open where nothing listens
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

FILE = """\
# mine
engine = "local" # no Docker here

[indexes.corp]
url = "https://ada:sesame@corp.example/simple?token=hush"

[channels."https://c.example/t/tk-12345678/forge"]
url = "https://c.example/t/tk-12345678/forge"
"""


@pytest.fixture
def file(program: Program) -> Path:
    """Return the configuration file of the program's user."""
    path = Path(os.environ["HOME"]) / ".config/envbuild/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(FILE)
    path.chmod(0o600)
    return path


def rows(program: Program) -> dict[str, tuple[str, str]]:
    found = json.loads(program("config", "--json").stdout)
    return {row["key"]: (row["value"], row["source"]) for row in found["settings"]}


def test_every_key_is_shown_with_its_source(program: Program, file: Path, tmp_path: Path):
    answer = program("config")

    assert (answer.code, answer.stderr) == (0, f"{file}\n")
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert lines[0] == ["key", "value", "from"]
    assert lines[1] == ["engine", "local", f"{file}:2"]
    assert lines[2] == ["cache-dir", f"{tmp_path}/cache", "ENVBUILD_CACHE_DIR"]
    assert lines[4] == ["vendor-dir", "-", "default"]
    assert ["indexes.corp.url", "https://***@corp.example/simple?***", f"{file}:5"] in lines


def test_no_credentials_are_shown_anywhere(program: Program, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENVBUILD_CHANNEL_FORGE_PASSWORD", "sesame")
    answers = [
        program("config"),
        program("config", "--json"),
        program("config", "get", "indexes.corp.url"),
        program("config", "get", "channels.forge.password"),
        program("config", "set", "indexes.corp.password", "sesame"),
        program("config"),
    ]

    said = "".join(answer.stdout + answer.stderr for answer in answers)
    assert [answer.code for answer in answers] == [0] * 6
    assert "sesame" not in said
    assert "hush" not in said
    assert "/t/***" in said
    assert answers[3].stdout == "(hidden)\n"


def test_without_a_file_all_is_as_it_was(program: Program):
    answer = program("config")

    assert answer.code == 0
    assert answer.stderr.endswith("config.toml (not there)\n")
    assert rows(program)["engine"] == ("docker", "default")


def test_what_is_shown_is_what_commands_use(locked: Program, file: Path, monkeypatch: pytest.MonkeyPatch):
    def engine() -> str:
        return str(json.loads(locked("status", "--json").stdout)[0]["engine"])

    seen = [(rows(locked)["engine"], engine())]
    locked.spec.write_text(SPEC + '[build]\nengine = "docker"\n')
    seen.append((rows(locked)["engine"], engine()))
    monkeypatch.setenv("ENVBUILD_ENGINE", "local")
    seen.append((rows(locked)["engine"], engine()))

    gc.collect()
    assert seen == [
        (("local", f"{file}:2"), "local"),
        (("docker", "envbuild.toml"), "docker"),
        (("local", "ENVBUILD_ENGINE"), "local"),
    ]


def test_the_spec_that_names_the_engine_is_shown_as_it_was_found(
    locked: Program, monkeypatch: pytest.MonkeyPatch
):
    locked.spec.write_text(SPEC + '[build]\nengine = "local"\n')
    (locked.folder / "sub").mkdir()
    monkeypatch.chdir(locked.folder / "sub")

    assert rows(locked)["engine"] == ("local", "../envbuild.toml")


def test_a_spec_that_cannot_be_read_does_not_stop_it(program: Program, file: Path):
    program.spec.write_text("no TOML")

    assert rows(program)["engine"] == ("local", f"{file}:2")


def test_a_wrong_file_stops_every_command_but_tells_the_line(locked: Program, file: Path):
    file.write_text("engnie = 1\n")

    for arguments in (
        ["render", "-o", "out"],
        ["cache", "info"],
        ["init"],
        ["config"],
        ["devcontainer", "--check"],
    ):
        answer = locked(*arguments)
        assert answer.code == 2, arguments
        assert answer.stderr == (
            f"error: the configuration file `{file}` has a problem\n"
            "  • config.toml:1: `engnie`: unknown key\n"
            "    hint: did you mean `engine`?\n"
        )
    assert locked("config", "path").stdout == f"{file}\n"


def test_a_repository_configures_nothing(locked: Program):
    """A file in the folder of a project is somebody else's: it may not say where packages come from."""
    for name in (
        "config.toml",
        ".config/envbuild/config.toml",
        "envbuild/config.toml",
        ".envbuild/config.toml",
    ):
        path = locked.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('engine = "local"\n')

    assert rows(locked)["engine"] == ("docker", "default")


def test_a_key_is_got_and_without_a_value_it_exits_1(program: Program, file: Path):
    assert program("config", "get", "engine").stdout == "local\n"
    assert (program("config", "get", "vendor-dir").code, program("config", "get", "vendor-dir").stdout) == (
        1,
        "",
    )
    assert json.loads(program("config", "get", "engine", "--json").stdout)["source"] == f"{file}:2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("get", "engnie"), "error: there is no key `engnie`\n\nhint: did you mean `engine`?\n"),
        (("get", "apt"), "error: not a key but a table: `apt`\n\nhint: name a key in it: mirror, "),
        (("set", "a b", "c"), "error: `a b` is not a key\n\nhint: keys: engine, cache-dir, "),
        (("set", "engine = 1\nx", "c"), "error: `engine = 1\\nx` is not a key"),
        (("set", "engine", "podman"), "error: `engine` must be `docker` or `local`\n"),
        (("set", "cache-dir", "here"), "error: `cache-dir` must be an absolute path"),
        (("set", "indexes.x.username", "ada"), "error: `indexes.x.username` was not set: `"),
        (("unset", "vendor-dir"), "error: `vendor-dir` is not set in `"),
        (("unset", "apt.mirrors.x"), "error: `apt.mirrors.x` is not set in `"),
    ],
)
def test_what_cannot_be_is_refused_and_the_file_stays(program: Program, file: Path, words, said: str):
    answer = program("config", *words)

    assert answer.code == 2
    assert answer.stderr.startswith(said)
    assert file.read_text() == FILE


def test_a_key_is_set_and_comments_stay(program: Program, file: Path):
    for key, value in (
        ("engine", "docker"),
        ("insecure-registries", "r.example:5000, s.example"),
        ("apt.mirror", "https://m.example/debian"),
        ("apt.mirrors.debian-security", "https://m.example/security"),
        ("indexes.corp.username", "ada"),
        ('channels."a.b".url', "https://c.example/a.b"),
    ):
        assert program("config", "set", key, value).code == 0
        assert rows(program)[key][1].startswith(f"{file}:")

    assert file.read_text() == FILE.replace(
        'engine = "local" # no Docker here\n',
        'engine = "docker" # no Docker here\ninsecure-registries = ["r.example:5000", "s.example"]\n',
    ).replace('hush"\n', 'hush"\nusername = "ada"\n') + (
        '\n[channels."a.b"]\nurl = "https://c.example/a.b"\n'
        '[apt]\nmirror = "https://m.example/debian"\n\n'
        '[apt.mirrors]\ndebian-security = "https://m.example/security"\n'
    )


def test_what_was_set_is_unset_again(program: Program, file: Path):
    for key in ("apt.mirrors.debian-security", "vendor-dir", "indexes.x.url"):
        assert program("config", "set", key, "file:///usr" if key != "vendor-dir" else "/usr").code == 0
    for key in ("apt.mirrors.debian-security", "vendor-dir", "indexes.x.url"):
        assert program("config", "unset", key).code == 0

    assert file.read_text().split() == FILE.split()


def test_tables_of_every_form_are_edited(program: Program, file: Path):
    file.write_text('apt = { mirror = "https://a/b" } # ours\nindexes = { corp = { url = "https://i" } }\n')

    for key, value in (("apt.mirrors.debian", "https://s/"), ("indexes.new.url", "https://n")):
        assert program("config", "set", key, value).code == 0
    assert file.read_text() == (
        'apt = { mirror = "https://a/b", mirrors = {debian = "https://s/"}} # ours\n'
        'indexes = { corp = { url = "https://i" }, new = {url = "https://n"}}\n'
    )


@pytest.mark.parametrize(
    ("words", "after"),
    [(("set", "engine", "docker"), 'engine = "docker"\n'), (("unset", "engine"), "")],
)
def test_a_wrong_value_is_set_right_or_removed(program: Program, file: Path, words, after: str):
    file.write_text('engine = "podman"\n')

    assert program("config", *words).code == 0
    assert file.read_text() == after


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("set", "engine", "docker"),
            (
                "error: the configuration file `FILE` has a problem\n"
                "  • config.toml:2: `cache-dir`: must be a string, not true\n"
            ),
        ),
        (
            ("set", "indexes.x.username", "ada"),
            (
                "error: `indexes.x.username` was not set: `FILE` would be wrong\n"
                "  • `indexes.x.username`: needs `url` beside it\n"
                "  • config.toml:1: `engine`: must be `docker` or `local`\n"
                "  • config.toml:2: `cache-dir`: must be a string, not true\n\n"
                "hint: first run `envbuild config set indexes.x.url ADDRESS`\n"
            ),
        ),
    ],
)
def test_what_else_is_wrong_is_told_and_the_file_stays(program: Program, file: Path, words, said: str):
    wrong = 'engine = "podman"\ncache-dir = true\n'
    file.write_text(wrong)

    answer = program("config", *words)
    assert (answer.code, answer.stderr) == (2, said.replace("FILE", str(file)))
    assert file.read_text() == wrong


def test_a_value_in_the_way_of_a_table_is_told_with_its_line(program: Program, file: Path):
    file.write_text('# mine\napt = "https://a"\n')

    answer = program("config", "set", "apt.mirror", "https://a")
    assert (answer.code, answer.stderr) == (
        2,
        (
            f"error: the configuration file `{file}` has a problem\n"
            "  • config.toml:2: `apt`: must be a table, not a string\n"
        ),
    )
    assert file.read_text() == '# mine\napt = "https://a"\n'


def test_a_change_that_would_make_the_file_wrong_is_told_as_such(program: Program, file: Path):
    program("config", "set", "indexes.corp.username", "ada")
    before = file.read_text()
    quoted = 'channels."https://c.example/t/tk-12345678/forge".username'
    answers = [
        program("config", "set", "indexes.default.password", "x"),
        program("config", "unset", "indexes.corp.url"),
        program("config", "set", "channels.'a b'.username", "ada"),
        program("config", "set", "indexes.CORP.url", "https://n"),
    ]

    assert [(answer.code, answer.stderr) for answer in answers] == [
        (
            2,
            (
                f"error: `indexes.default.password` was not set: `{file}` would be wrong\n"
                "  • `indexes.default.password`: needs `url` beside it\n\n"
                "hint: first run `envbuild config set indexes.default.url ADDRESS`\n"
            ),
        ),
        (
            2,
            (
                f"error: `indexes.corp.url` was not removed: `{file}` would be wrong\n"
                "  • `indexes.corp.username`: needs `url` beside it\n\n"
                "hint: first run `envbuild config unset indexes.corp.username`\n"
            ),
        ),
        (
            2,
            (
                f'error: `channels."a b".username` was not set: `{file}` would be wrong\n'
                '  • `channels."a b".username`: needs `url` beside it\n\n'
                "hint: first run `envbuild config set 'channels.\"a b\".url' ADDRESS`\n"
            ),
        ),
        (
            2,
            (
                f"error: `indexes.CORP.url` was not set: `{file}` would be wrong\n"
                "  • `indexes.CORP.url`: means the same as `indexes.corp.url`\n\n"
                "hint: run `envbuild config set indexes.corp.url VALUE`\n"
            ),
        ),
    ]
    assert file.read_text() == before
    assert program("config", "set", quoted, "ada").code == 0


def test_line_ends_and_the_mark_of_a_file_stay(program: Program, file: Path):
    file.write_bytes(b'\xef\xbb\xbf# mine\r\nengine = "local"\r\n')

    for key, value in (("apt.mirror", "https://m"), ("cache-dir", "/c")):
        assert program("config", "set", key, value).code == 0
    assert file.read_bytes() == (
        b'\xef\xbb\xbf# mine\r\nengine = "local"\r\ncache-dir = "/c"\r\n\r\n[apt]\r\nmirror = "https://m"\r\n'
    )


def test_a_new_file_is_the_user_s_alone(program: Program):
    answer = program("config", "set", "engine", "local")

    path = Path(program("config", "path").stdout.strip())
    assert answer.stderr == f"set engine in {path}\n"
    assert path.read_text() == 'engine = "local"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_one(program: Program, file: Path, tmp_path: Path):
    real = tmp_path / "dotfiles.toml"
    file.rename(real)
    file.symlink_to(real)
    real.chmod(0o640)

    assert program("config", "set", "engine", "docker").code == 0
    assert file.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert 'engine = "docker"' in real.read_text()


@pytest.mark.parametrize("words", [("set", "engine", "docker"), ("unset", "engine")])
def test_a_read_only_file_is_refused(program: Program, file: Path, words):
    file.chmod(0o444)

    answer = program("config", *words)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == (
        f"error: the configuration file `{file}` is read-only\n\nhint: first run `chmod u+w {file}`\n"
    )
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (FILE, 0o444)
    file.chmod(0o644)
    assert program("config", *words).code == 0


def test_credentials_that_others_may_read_are_noted(program: Program, file: Path):
    file.chmod(0o644)
    noted = program("config").stderr
    file.write_text('engine = "local"\n')

    assert f"note: other users may read the credentials in {file}: run `chmod 600 {file}`" in noted
    assert "note" not in program("config").stderr


def test_a_variable_that_wins_is_named(program: Program, file: Path):
    answer = program("config", "set", "cache-dir", "~/scratch")

    assert answer.stderr.startswith("note: ENVBUILD_CACHE_DIR is set, and wins over the file\n")
    assert 'cache-dir = "~/scratch"' in file.read_text()


def test_another_file_or_none_is_named(program: Program, file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENVBUILD_CONFIG", "other.toml")
    missing = program("config")
    made = program("config", "set", "engine", "local")
    monkeypatch.setenv("ENVBUILD_CONFIG", "")
    none = program("config", "path")

    assert missing.stderr == f"error: the configuration file `{program.folder}/other.toml` does not exist\n"
    assert (made.code, Path("other.toml").read_text()) == (0, 'engine = "local"\n')
    assert (none.code, rows(program)["engine"]) == (2, ("docker", "default"))


def test_the_cache_of_the_file_is_used(program: Program, file: Path, tmp_path: Path, monkeypatch):
    monkeypatch.delenv("ENVBUILD_CACHE_DIR")
    assert program("config", "set", "cache-dir", str(tmp_path / "mine")).code == 0

    assert program("cache", "info").stdout == f"{tmp_path}/mine\n"
