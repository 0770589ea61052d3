import pytest
from packaging.utils import canonicalize_name

from envbuild.errors import EnvbuildError
from envbuild.remote.http import CA_VARIABLES
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.resolve.python.backend import Pin, parse_pins, pins_as_lines, process_environment


def pin(name: str, version: str) -> Pin:
    return Pin(name=canonicalize_name(name), version=version)


def test_a_compiled_file_is_read_sorted_and_normalised() -> None:
    text = """
# made by a resolver
--index-url https://index.example.com/simple
zebra==1.0
    # via app
Torch.Vision[extra]==2.6.0+cu126 ; python_version > "3"  # via app
"""
    assert parse_pins(text) == (pin("torch-vision", "2.6.0+cu126"), pin("zebra", "1.0"))


def test_pins_survive_being_written_and_read() -> None:
    pins = (pin("a", "1.0"), pin("b", "2.0+cu1"))
    assert parse_pins("\n".join(pins_as_lines(pins))) == pins


@pytest.mark.parametrize("line", ["app", "app>=1,<2", "./local", "app @ https://files.example.com/app.whl"])
def test_what_is_no_pin_is_refused(line: str) -> None:
    with pytest.raises(EnvbuildError) as caught:
        parse_pins(line)
    assert caught.value.message == f"the resolver answered `{line}`, which is not a pinned version"


def test_settings_that_could_change_the_answer_are_left_out() -> None:
    machine = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "https_proxy": "http://proxy.example.com",
        "UV_CACHE_DIR": "/cache",
        "PIP_KEYRING_PROVIDER": "import",
        "PIP_CONSTRAINT": "pins.txt",
        "PIP_FIND_LINKS": "/wheels",
        "PIP_EXTRA_INDEX_URL": "https://extra.example.com",
        "PIP_TOOLS_PRE": "1",
        "UV_INDEX": "https://extra.example.com",
        "UV_PRERELEASE": "allow",
        "UV_RESOLUTION": "lowest",
        "VIRTUAL_ENV": "/venv",
        "FORCE_COLOR": "1",
    }
    assert process_environment(machine, ClientConfiguration()) == {
        "PATH": "/bin",
        "HOME": "/home/me",
        "https_proxy": "http://proxy.example.com",
        "UV_CACHE_DIR": "/cache",
        "PIP_KEYRING_PROVIDER": "import",
        "NO_COLOR": "1",
    }


def test_trust_and_proxy_of_pip_conf_reach_both_resolvers() -> None:
    configuration = ClientConfiguration(
        trusted_hosts=("a.example.com", "b.example.com"),
        ca_bundle="/ca.pem",
        client_certificate="/client.pem",
        proxy="http://proxy.example.com",
    )
    environment = process_environment({}, configuration)
    assert environment["UV_INSECURE_HOST"] == environment["PIP_TRUSTED_HOST"] == "a.example.com b.example.com"
    assert environment["SSL_CERT_FILE"] == environment["PIP_CERT"] == "/ca.pem"
    assert environment["SSL_CLIENT_CERT"] == environment["PIP_CLIENT_CERT"] == "/client.pem"
    assert environment["HTTPS_PROXY"] == environment["PIP_PROXY"] == "http://proxy.example.com"


def test_the_bundle_of_the_environment_wins(tmp_path_factory: pytest.TempPathFactory) -> None:
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    bundle.touch()
    for variable in CA_VARIABLES:
        environment = process_environment(
            {variable: str(bundle)}, ClientConfiguration(ca_bundle="/other.pem")
        )
        assert environment["SSL_CERT_FILE"] == str(bundle)
