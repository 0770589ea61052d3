import os
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError
from envbuild.remote.index.configuration import (
    ClientConfiguration,
    IndexCredentials,
    pip_configuration_files,
    read_client_configuration,
)


class Machine:
    """A machine with nothing but what a test writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.prefix = root / "venv"
        self.environment = {"HOME": str(self.home)}

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def read(self, **variables: str) -> ClientConfiguration:
        return read_client_configuration(self.environment | variables, prefix=self.prefix, root=self.root)

    def index(self, **variables: str) -> str:
        return self.read(**variables).address("default").url


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def conf(url: str, section: str = "global") -> str:
    return f"[{section}]\nindex-url = {url}\n"


def test_without_any_setting_the_main_index_is_the_one_pip_has_built_in(machine: Machine) -> None:
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - the module under test is lazy as well

    configuration = machine.read()
    assert not configuration.names_default
    assert configuration.address("default").url == PYPI_SIMPLE_ENDPOINT.rstrip("/")


LEVELS = [
    pytest.param("etc/pip.conf", id="system"),
    pytest.param("home/.pip/pip.conf", id="user, old place"),
    pytest.param("home/.config/pip/pip.conf", id="user"),
    pytest.param("venv/pip.conf", id="virtual environment"),
]


@pytest.mark.parametrize("path", LEVELS)
def test_pip_conf_is_found_where_pip_looks(machine: Machine, path: str) -> None:
    machine.write(path, conf("https://index.example.com/simple/"))
    assert machine.index() == "https://index.example.com/simple"


def test_of_two_pip_confs_the_nearer_wins(machine: Machine) -> None:
    for number, level in enumerate(LEVELS):
        machine.write(str(level.values[0]), conf(f"https://index{number}.example.com/simple"))
        assert machine.index() == f"https://index{number}.example.com/simple"


def test_a_named_file_replaces_the_users_but_not_the_systems(machine: Machine) -> None:
    named = machine.write("named.conf", "[global]\n")
    machine.write("home/.config/pip/pip.conf", conf("https://user.example.com/simple"))
    machine.write("etc/pip.conf", conf("https://system.example.com/simple"))
    assert machine.index(PIP_CONFIG_FILE=str(named)) == "https://system.example.com/simple"


def test_a_named_file_that_does_not_exist_replaces_nothing(machine: Machine) -> None:
    machine.write("home/.config/pip/pip.conf", conf("https://user.example.com/simple"))
    assert machine.index(PIP_CONFIG_FILE="missing.conf") == "https://user.example.com/simple"


def test_the_null_device_switches_all_files_off(machine: Machine) -> None:
    machine.write("etc/pip.conf", conf("https://system.example.com/simple"))
    assert not machine.read(PIP_CONFIG_FILE=os.devnull).names_default
    assert pip_configuration_files({"PIP_CONFIG_FILE": os.devnull}, prefix=machine.prefix) == ()


def test_the_install_section_wins_over_the_global_one_of_a_nearer_file(machine: Machine) -> None:
    machine.write("etc/pip.conf", conf("https://install.example.com/simple", "install"))
    machine.write("venv/pip.conf", conf("https://global.example.com/simple"))
    assert machine.index() == "https://install.example.com/simple"


def test_other_sections_do_not_count(machine: Machine) -> None:
    machine.write("etc/pip.conf", conf("https://download.example.com/simple", "download"))
    assert not machine.read().names_default


def test_option_names_may_be_written_with_underscores_and_capitals(machine: Machine) -> None:
    machine.write("etc/pip.conf", "[global]\nINDEX_URL = https://index.example.com/simple\n")
    assert machine.index() == "https://index.example.com/simple"


def test_precedence_among_variables_and_files(machine: Machine) -> None:
    machine.write("etc/pip.conf", conf("https://pip-conf.example.com/simple"))
    assert machine.index() == "https://pip-conf.example.com/simple"
    machine.write("home/.config/uv/uv.toml", 'index-url = "https://uv-toml.example.com/simple"\n')
    assert machine.index() == "https://uv-toml.example.com/simple"
    variables = {"PIP_INDEX_URL": "https://pip.example.com/simple"}
    assert machine.index(**variables) == "https://pip.example.com/simple"
    variables["UV_INDEX_URL"] = "https://uv.example.com/simple"
    assert machine.index(**variables) == "https://uv.example.com/simple"
    variables["UV_DEFAULT_INDEX"] = "https://uv-default.example.com/simple"
    assert machine.index(**variables) == "https://uv-default.example.com/simple"
    variables["ENVBUILD_INDEX_DEFAULT_URL"] = "https://own.example.com/simple"
    assert machine.index(**variables) == "https://own.example.com/simple"


def test_uvs_default_may_carry_a_name(machine: Machine) -> None:
    assert machine.index(UV_DEFAULT_INDEX="corp=https://index.example.com/simple?a=b") == (
        "https://index.example.com/simple?a=b"
    )
    assert machine.index(UV_DEFAULT_INDEX="https://index.example.com/simple?a=b") == (
        "https://index.example.com/simple?a=b"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            '[[index]]\nurl = "https://extra.example.com/simple"\n'
            '[[index]]\nurl = "https://index.example.com/simple"\ndefault = true\n',
            id="index table",
        ),
        pytest.param('index-url = "https://index.example.com/simple"\n', id="index-url"),
        pytest.param('[pip]\nindex-url = "https://index.example.com/simple"\n', id="pip table"),
    ],
)
def test_uv_toml_names_the_main_index_in_three_ways(machine: Machine, text: str) -> None:
    named = machine.write("named.toml", text)
    assert machine.index(UV_CONFIG_FILE=str(named)) == "https://index.example.com/simple"
    machine.write("etc/uv/uv.toml", text)
    assert machine.index() == "https://index.example.com/simple"


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        pytest.param("etc/pip.conf", "no section\n", "cannot be read as pip configuration", id="pip.conf"),
        pytest.param("etc/uv/uv.toml", "= 1\n", "cannot be read as uv configuration", id="uv.toml"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(machine: Machine, path: str, text: str, message: str) -> None:
    file = machine.write(path, text)
    with pytest.raises(EnvbuildError) as caught:
        machine.read()
    assert caught.value.message == f"{file} {message}"


def test_credentials_are_taken_out_of_the_address_and_shown_nowhere(machine: Machine) -> None:
    configuration = machine.read(PIP_INDEX_URL="https://me%40corp:s%2Fcret@index.example.com:8443/simple")
    address = configuration.address("default")
    assert address.url == "https://index.example.com:8443/simple"
    assert address.credentials == IndexCredentials(username="me@corp", password="s/cret")
    assert address.url_with_credentials == "https://me%40corp:s%2Fcret@index.example.com:8443/simple"
    assert "cret" not in repr(configuration)
    assert "cret" not in repr(address)


def test_a_named_index_has_the_address_of_the_spec_unless_a_variable_says_otherwise(machine: Machine) -> None:
    url = "https://wheels.example.com/cu126/"
    assert machine.read().address("torch-cu", url).url == "https://wheels.example.com/cu126"
    moved = machine.read(ENVBUILD_INDEX_TORCH_CU_URL="https://mirror.example.com/cu126")
    assert moved.address("torch-cu", url).url == "https://mirror.example.com/cu126"


def test_credentials_of_a_named_index_come_from_its_variables(machine: Machine) -> None:
    configuration = machine.read(ENVBUILD_INDEX_CORP_USERNAME="reader", ENVBUILD_INDEX_CORP_PASSWORD="secret")
    address = configuration.address("corp", "https://index.example.com/simple")
    assert address.credentials == IndexCredentials(username="reader", password="secret")
    assert configuration.address("default").credentials is None
    assert "secret" not in repr(configuration)


def test_an_index_without_an_address_is_an_error(machine: Machine) -> None:
    with pytest.raises(EnvbuildError) as caught:
        machine.read().address("corp")
    assert caught.value.message == "there is no address for the Python index `corp`"
    assert caught.value.hint == "name it under [pip] indexes, or set ENVBUILD_INDEX_CORP_URL"


def test_what_would_make_machines_lock_differently_is_seen_and_not_used(machine: Machine) -> None:
    machine.write(
        "etc/pip.conf",
        "[global]\nextra-index-url = https://extra.example.com/simple\nfind-links = /wheels\n",
    )
    configuration = machine.read(
        PIP_CONSTRAINT="pins.txt", UV_INDEX="x=https://extra.example.com", UV_FIND_LINKS=""
    )
    assert configuration.ignored == ("UV_INDEX", "constraint", "extra-index-url", "find-links")
    assert not configuration.names_default


def test_trust_proxy_and_certificates_are_read(machine: Machine) -> None:
    machine.write(
        "etc/pip.conf",
        "[global]\ntrusted-host =\n  b.example.com\n  a.example.com:8080\ncert = /ca.pem\n"
        "client-cert = /client.pem\nproxy = http://proxy.example.com:3128\n",
    )
    configuration = machine.read(UV_INSECURE_HOST="c.example.com")
    assert configuration.trusted_hosts == ("a.example.com:8080", "b.example.com", "c.example.com")
    assert configuration.ca_bundle == "/ca.pem"
    assert configuration.client_certificate == "/client.pem"
    assert configuration.proxy == "http://proxy.example.com:3128"
    assert machine.read(PIP_CERT="/other.pem").ca_bundle == "/other.pem"
