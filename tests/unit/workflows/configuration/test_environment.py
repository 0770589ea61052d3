"""The configuration file as the default of variables: what each key changes, and what wins over it."""

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from envbuild.catalog.active import update_path
from envbuild.errors import UsageError
from envbuild.oci.reference import parse_reference
from envbuild.remote.apt import read_settings
from envbuild.remote.channels import read_channel_configuration
from envbuild.remote.index.configuration import read_client_configuration
from envbuild.remote.python_builds import standalone_address
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.workflows.configuration.environment import Configuration, read_user_configuration
from envbuild.workflows.configuration.settings import SETTINGS, key_at
from envbuild.workflows.engines import any_engine, engine_choice
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.paths import CHECKOUT

Effect = Callable[[Mapping[str, str]], Any]


def channel(variables: Mapping[str, str]) -> Any:
    return read_channel_configuration(variables).address("conda-forge").credentials


EFFECTS: dict[str, tuple[str, Effect, Any]] = {
    "engine": ('engine = "local"', lambda variables: engine_choice(None, None, variables).name, "local"),
    "cache-dir": (
        'cache-dir = "/scratch/cache"',
        lambda variables: Machine(environment=variables).cache,
        Path("/scratch/cache"),
    ),
    "data-dir": (
        'data-dir = "/scratch/data"',
        update_path,
        Path("/scratch/data/catalog.toml"),
    ),
    "vendor-dir": (
        'vendor-dir = "/usr"',
        lambda variables: Machine(environment=variables).vendor,
        Path("/usr"),
    ),
    "insecure-registries": (
        'insecure-registries = ["r.example:5000", "[::1]:5000"]',
        lambda variables: RegistryTransport(environment=variables).address(
            parse_reference("r.example:5000/team/train:1"), "x"
        ),
        "http://r.example:5000/v2/x",
    ),
    "python-url": (
        'python-url = "https://m.example/python"',
        lambda variables: standalone_address("20261021/x.tar.gz", variables).url,
        "https://m.example/python/20261021/x.tar.gz",
    ),
    "apt.mirror": (
        '[apt]\nmirror = "https://m.example/debian"',
        lambda variables: read_settings(variables).mirror("debian"),
        "https://m.example/debian",
    ),
    "apt.snapshot": (
        '[apt]\nsnapshot = "https://m.example/snapshot"',
        lambda variables: read_settings(variables).snapshot_of("debian", date(2026, 11, 1)),
        "https://m.example/snapshot/archive/debian/20261101T000000Z",
    ),
    "apt.keyring": (
        '[apt]\nkeyring = "/etc/passwd"',
        lambda variables: read_settings(variables).keyring,
        Path("/etc/passwd"),
    ),
    "apt.mirrors.<NAME>": (
        '[apt.mirrors]\ndebian-security = "https://m.example/security"',
        lambda variables: read_settings(variables).mirror("debian-security"),
        "https://m.example/security",
    ),
    "indexes.<NAME>.url": (
        '[indexes.pytorch-cpu]\nurl = "https://m.example/torch"',
        lambda variables: read_client_configuration(variables).address("pytorch-cpu").url,
        "https://m.example/torch",
    ),
    "indexes.<NAME>.username": (
        '[indexes.default]\nurl = "https://m.example/simple"\nusername = "ada"',
        lambda variables: read_client_configuration(variables).address("default").credentials.username,  # type: ignore[union-attr]
        "ada",
    ),
    "indexes.<NAME>.password": (
        '[indexes.default]\nurl = "https://m.example/simple"\npassword = "sesame"',
        lambda variables: read_client_configuration(variables).address("default").credentials.password,  # type: ignore[union-attr]
        "sesame",
    ),
    "channels.<NAME>.url": (
        '[channels.conda-forge]\nurl = "https://m.example/forge"',
        lambda variables: read_channel_configuration(variables).address("conda-forge").url,
        "https://m.example/forge",
    ),
    "channels.<NAME>.username": (
        '[channels.conda-forge]\nurl = "https://m.example/forge"\nusername = "ada"',
        lambda variables: channel(variables).username,
        "ada",
    ),
    "channels.<NAME>.password": (
        '[channels.conda-forge]\nurl = "https://m.example/forge"\nusername = "ada"\npassword = "sesame"',
        lambda variables: channel(variables).password,
        "sesame",
    ),
}


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Configuration]:
    """Return a function that writes a configuration file and reads it, with variables beside it."""

    def read(text: str, **variables: str) -> Configuration:
        path = tmp_path / ".config/envbuild/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return read_user_configuration({"HOME": str(tmp_path), **variables})

    return read


def test_each_key_is_here():
    assert list(EFFECTS) == [".".join(setting.path) for setting in SETTINGS]


@pytest.mark.parametrize(("text", "effect", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_a_key_does_what_it_says(configured, text: str, effect: Effect, expected: Any):
    assert effect(configured(text).environment) == expected
    try:
        without = effect(configured("").environment)
    except Exception:  # noqa: BLE001 - an index that has no address, credentials that are not there
        without = None
    assert without != expected


@pytest.mark.parametrize(("text", "effect", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_a_variable_wins_over_its_key(configured, text: str, effect: Effect, expected: Any):
    (*_, item) = configured(text).values
    others = {
        "engine": "docker",
        "hosts": "other.example",
        "text": "bob",
        "secret": "other",
        "folder": "/var",
        "file": "/etc/group",
        "address": "https://o.example/x",
    }
    value = others[item.key.setting.kind]

    found = configured(text, **{item.key.variable: value}).environment
    assert found[item.key.variable] == value
    assert effect(found) != expected


@pytest.mark.parametrize(("text", "effect", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_an_empty_variable_switches_a_key_off(configured, text: str, effect: Effect, expected: Any):
    (*_, item) = configured(text).values

    assert configured(text, **{item.key.variable: ""}).environment[item.key.variable] == ""


def test_machines_of_programs_are_configured_too(configured, monkeypatch: pytest.MonkeyPatch):
    file = configured('cache-dir = "/scratch/cache"\n').file
    for variable in ("ENVBUILD_CACHE_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("ENVBUILD_CONFIG", str(file))

    assert Machine().cache == Path("/scratch/cache")
    # a program that names the variables has said all of it
    assert Machine(environment={"ENVBUILD_CONFIG": str(file)}).cache != Path("/scratch/cache")


@pytest.mark.parametrize(
    ("spec", "variables", "expected"),
    [
        ("", {}, ("local", "configuration")),
        ('[build]\nengine = "docker"\n', {}, ("docker", "spec")),
        ('[build]\nengine = "docker"\n', {"ENVBUILD_ENGINE": "local"}, ("local", "variable")),
        ("", {"ENVBUILD_DEFAULT_ENGINE": "docker"}, ("docker", "configuration")),
        ("", {"ENVBUILD_DEFAULT_ENGINE": ""}, ("docker", "default")),
    ],
)
def test_the_engine_of_the_spec_wins_over_the_user_s(
    configured, project: Project, spec: str, variables: dict[str, str], expected: tuple[str, str]
):
    project.spec.write_text(project.spec.read_text() + spec)
    choice = engine_choice(None, project, configured('engine = "local"\n', **variables).environment)

    assert (choice.name, choice.by) == expected
    assert engine_choice("docker", project, {}).by == "option"


def test_a_default_engine_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="ENVBUILD_DEFAULT_ENGINE names no engine: podman"):
        engine_choice(None, None, {"ENVBUILD_DEFAULT_ENGINE": "podman"})


def test_where_any_engine_will_do_the_user_s_comes_first(machine: Machine):
    variables = {**machine.environment, "ENVBUILD_DEFAULT_ENGINE": "local"}

    assert any_engine(Machine(environment=variables)).name == "local"


INDEX = '[indexes.corp]\nurl = "https://corp.example/simple"\nusername = "ada"\npassword = "sesame"\n'


def test_credentials_of_the_file_are_for_its_address_alone(configured):
    found = configured(INDEX, ENVBUILD_INDEX_CORP_URL="https://other.example/simple")

    assert not {name for name in found.environment if name.endswith(("_USERNAME", "_PASSWORD"))}
    address = read_client_configuration(found.environment).address("corp")
    assert (address.url, address.credentials) == ("https://other.example/simple", None)


def test_a_spec_gets_no_credentials_by_the_name_of_an_index(configured):
    """The file must say which address they are for, and that one wins over the spec's."""
    found = configured(INDEX)

    address = read_client_configuration(found.environment).address("corp", "https://evil.example/simple")
    assert address.url == "https://corp.example/simple"


def test_no_value_is_in_a_representation(configured):
    found = configured(INDEX, ENVBUILD_CHANNEL_X_PASSWORD="hush")

    assert "sesame" not in repr(found)
    assert "hush" not in repr(found)


MAY_READ = {
    "envbuild.cli.machine",  # what the program starts itself again with
    "envbuild.cli.output",  # NO_COLOR, TERM
    "envbuild.cli.containers",  # values of the caller's shell, for the command
    "envbuild.workflows.configuration.environment",
    "envbuild.workflows.upkeep.configuration",  # where each value comes from
}
"""Who may see the variables without the configuration file."""

OF_OTHERS = {"ca_bundle", "untrusted_owner"}
"""Functions that read variables of other programs, which the file does not set."""

OTHERS_OF_THE_NAME = {
    ("envbuild.verify.files.accounting", "artifacts_of"),
    ("envbuild.verify.files.claims", "artifacts_of"),
    ("envbuild.workflows.lock", "open_resolvers"),  # a value, which has the machine already
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((CHECKOUT / "envbuild").rglob("*.py")):
        name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)
        yield name, ast.parse(path.read_text("utf-8"))


def is_environ(node: ast.AST | None) -> bool:
    return node is not None and ast.unparse(node) == "os.environ"


def test_commands_and_workflows_do_not_read_variables_past_the_file():
    readers = {
        name
        for name, tree in modules()
        if name.startswith(("envbuild.cli", "envbuild.workflows"))
        and any(is_environ(node) for node in ast.walk(tree))
    }

    assert readers == MAY_READ


def functions_with_variables(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield functions and classes whose variables are the process' own by default, with their position."""
    owners = {
        id(item): node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        arguments = node.args
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if is_environ(default):
                yield owners.get(id(node), node.name) if node.name == "__init__" else node.name, 1_000
                assert argument.arg in {"environment", "variables"}
        for back, default in enumerate(reversed(arguments.defaults), 1):
            if is_environ(default):
                position = len(arguments.args) - back - (arguments.args[0].arg in {"self", "cls"})
                yield owners[id(node)] if node.name == "__init__" else node.name, position


def test_every_call_hands_on_the_machine_s_variables():
    """A call that leaves them out would see those of the process, without the configuration file."""
    taking = {name: position for _, tree in modules() for name, position in functions_with_variables(tree)}
    assert {"cache_folder", "standalone_address", "RegistryTransport", "LocalEngine"} <= taking.keys()
    missing = set()
    for module, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func).rpartition(".")[2]
            given = {keyword.arg for keyword in node.keywords}
            position = taking.get(name)
            if position is None or len(node.args) > position or given & {"environment", "transport", None}:
                continue
            if name not in OF_OTHERS and module not in MAY_READ and not module.startswith("envbuild.cli"):
                missing.add((module, name))

    assert missing == OTHERS_OF_THE_NAME


def test_the_file_is_looked_for_where_other_programs_have_theirs(tmp_path: Path):
    def file(**variables: str) -> Path | None:
        return read_user_configuration(variables).file

    home = str(tmp_path)
    assert file(HOME=home) == tmp_path / ".config/envbuild/config.toml"
    assert file(HOME=home, XDG_CONFIG_HOME=f"{home}/xdg") == tmp_path / "xdg/envbuild/config.toml"
    assert file(HOME=home, XDG_CONFIG_HOME="relative") == tmp_path / ".config/envbuild/config.toml"
    assert file(HOME=home, ENVBUILD_CONFIG="") is None


def test_a_named_file_must_be_there(tmp_path: Path):
    with pytest.raises(UsageError) as caught:
        read_user_configuration({"ENVBUILD_CONFIG": f"{tmp_path}/none.toml"})
    assert caught.value.message == f"the configuration file `{tmp_path}/none.toml` does not exist"


def test_the_keys_and_their_variables_are_documented():
    reference = (CHECKOUT / "docs/reference/configuration.md").read_text("utf-8")
    variables = (CHECKOUT / "docs/reference/environment.md").read_text("utf-8")

    for setting in SETTINGS:
        assert f"`{'.'.join(setting.path)}`" in reference, setting
        assert setting.variable.replace("MIRROR_<NAME>", "MIRROR_<ARCHIVE>") in variables, setting


def test_a_key_is_the_same_whichever_way_its_variable_is_written():
    assert key_at(("indexes", "pytorch-cpu", "url")).variable == "ENVBUILD_INDEX_PYTORCH_CPU_URL"
    assert key_at(("channels", "https://a.b/c", "url")).variable == "ENVBUILD_CHANNEL_HTTPS___A_B_C_URL"
    assert os.environ.get("ENVBUILD_INDEX_PYTORCH_CPU_URL") is None
