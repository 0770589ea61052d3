"""Registry credentials from the docker client's configuration; helpers are real programs."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from envbuild.errors import ExitCode
from envbuild.remote.registry import credentials as docker_config
from envbuild.remote.registry.credentials import CredentialsError, DockerConfig, RegistryCredentials

SECRET = "hunter2"


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., DockerConfig]:
    """Return a function that writes config.json and opens it."""

    def write(content: object) -> DockerConfig:
        text = content if isinstance(content, str) else json.dumps(content)
        (tmp_path / "config.json").write_text(text)
        path = f"{tmp_path}:{os.environ['PATH']}"
        return DockerConfig({"DOCKER_CONFIG": str(tmp_path), "PATH": path, "LOG": str(tmp_path / "log")})

    return write


@pytest.fixture
def helper(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that installs `docker-credential-NAME` and returns where it logs what it is asked."""

    def install(name: str, *, says: str, status: int = 0, complains: str = "") -> Path:
        program = tmp_path / f"docker-credential-{name}"
        program.write_text(
            f"#!/bin/sh\necho \"{name} $1 $(cat)\" >> \"$LOG\"\nprintf '%s' '{says}'\n"
            f"printf '%s' '{complains}' >&2\nexit {status}\n"
        )
        program.chmod(0o755)
        return tmp_path / "log"

    return install


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("registry.example.com", "registry.example.com"),
        ("https://registry.example.com/v1/", "registry.example.com"),
        ("http://registry.example.com", "registry.example.com"),
        ("registry.example.com/v2/", "registry.example.com"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
    ],
)
def test_credentials_are_found_under_every_spelling(
    configured: Callable[..., DockerConfig], key: str, registry: str
) -> None:
    config = configured({"auths": {"other.example.com": {}, key: {"auth": encoded(f"me:{SECRET}:x")}}})

    assert config.credentials_for(registry) == RegistryCredentials(username="me", password=f"{SECRET}:x")
    assert config.credentials_for("unknown.example.com") is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"username": "me", "password": SECRET}, RegistryCredentials(username="me", password=SECRET)),
        ({"auth": encoded(f"me:{SECRET}\0\0")}, RegistryCredentials(username="me", password=SECRET)),
        (
            {"auth": encoded("me:"), "identitytoken": "t"},
            RegistryCredentials(username="me", identity_token="t"),
        ),
        ({"registrytoken": "t"}, RegistryCredentials(registry_token="t")),
        ({}, None),
        ({"auth": ""}, None),
        ("nonsense", None),
    ],
)
def test_entry_forms(
    configured: Callable[..., DockerConfig], entry: object, expected: RegistryCredentials | None
) -> None:
    config = configured({"auths": {"registry.example.com": entry}})

    assert config.credentials_for("registry.example.com") == expected


def test_helper_of_the_registry_goes_before_the_store_and_the_file(
    configured: Callable[..., DockerConfig], helper: Callable[..., Path]
) -> None:
    log = helper("own", says='{"ServerURL":"x","Username":"me","Secret":"hunter2"}')
    helper("general", says='{"ServerURL":"x","Username":"you","Secret":"other"}')
    config = configured(
        {
            "credHelpers": {"registry.example.com": "own"},
            "credsStore": "general",
            "auths": {"registry.example.com": {"auth": encoded("file:file")}},
        }
    )

    assert config.credentials_for("registry.example.com") == RegistryCredentials(
        username="me", password=SECRET
    )
    assert config.credentials_for("docker.io") == RegistryCredentials(username="you", password="other")
    assert log.read_text() == "own get registry.example.com\ngeneral get https://index.docker.io/v1/\n"


def test_helper_may_hold_an_identity_token(
    configured: Callable[..., DockerConfig], helper: Callable[..., Path]
) -> None:
    helper("own", says='{"ServerURL":"x","Username":"<token>","Secret":"hunter2"}')

    found = configured({"credsStore": "own"}).credentials_for("registry.example.com")

    assert found == RegistryCredentials(identity_token=SECRET)


def test_what_a_helper_does_not_know_may_be_in_the_file(
    configured: Callable[..., DockerConfig], helper: Callable[..., Path]
) -> None:
    helper("own", says="credentials not found in native keychain", status=1)
    config = configured({"credsStore": "own", "auths": {"a.example.com": {"auth": encoded("me:pw")}}})

    assert config.credentials_for("a.example.com") == RegistryCredentials(username="me", password="pw")
    assert config.credentials_for("b.example.com") is None


@pytest.mark.parametrize(
    ("install", "message"),
    [
        pytest.param(
            None,
            "`docker-credential-own` is not installed, but the client's configuration names it",
            id="gone",
        ),
        pytest.param(
            {"says": f"oops {SECRET}", "status": 3, "complains": "keyring locked"},
            "`docker-credential-own` failed",
            id="fails",
        ),
        pytest.param(
            {"says": f'{{"Secret": "{SECRET}"'},
            "`docker-credential-own` gave an answer that is not in the helpers' form",
            id="no JSON",
        ),
        pytest.param(
            {"says": f'{{"Secret": "{SECRET}"}}'},
            "`docker-credential-own` gave an answer that is not in the helpers' form",
            id="no user",
        ),
    ],
)
def test_broken_helper_is_named_and_its_output_is_not(
    configured: Callable[..., DockerConfig],
    helper: Callable[..., Path],
    install: Mapping[str, str] | None,
    message: str,
) -> None:
    if install:
        helper("own", **install)

    with pytest.raises(CredentialsError) as caught:
        configured({"credsStore": "own"}).credentials_for("registry.example.com")

    error = caught.value
    assert error.message == message
    assert error.exit_code == ExitCode.NETWORK
    assert (
        SECRET
        not in f"{error} {error.hint} {error.detail} {error.__context__ and error.__suppress_context__}"
    )


def test_helper_that_waits_for_ever_is_ended(
    configured: Callable[..., DockerConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_config, "HELPER_TIMEOUT_SECONDS", 0.2)
    program = tmp_path / "docker-credential-own"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)

    with pytest.raises(CredentialsError) as caught:
        configured({"credsStore": "own"}).credentials_for("registry.example.com")

    assert caught.value.message == "`docker-credential-own` did not answer"


def test_empty_secret_is_none(configured: Callable[..., DockerConfig], helper: Callable[..., Path]) -> None:
    helper("own", says='{"ServerURL":"x","Username":"","Secret":""}')

    assert configured({"credsStore": "own"}).credentials_for("registry.example.com") is None


def test_helpers_complaint_is_the_detail(
    configured: Callable[..., DockerConfig], helper: Callable[..., Path]
) -> None:
    helper("own", says="", status=3, complains="keyring locked")

    with pytest.raises(CredentialsError) as caught:
        configured({"credsStore": "own"}).credentials_for("registry.example.com")

    assert caught.value.detail == "keyring locked"


def test_no_configuration_means_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert DockerConfig({}).credentials_for("docker.io") is None
    assert DockerConfig({"HOME": str(tmp_path)}).credentials_for("docker.io") is None


def test_home_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"auths": {"docker.io": {"registrytoken": "t"}}}')

    found = DockerConfig({"HOME": str(tmp_path)}).credentials_for("docker.io")

    assert found == RegistryCredentials(registry_token="t")


@pytest.mark.parametrize(
    "content",
    ["{", '{"auths": {"a": {"auth": "' + SECRET + "\n", "\udcff", "[" * 100_000],
    ids=["open", "cut login", "no text", "deep"],
)
def test_unreadable_configuration_is_named(
    configured: Callable[..., DockerConfig], tmp_path: Path, content: str
) -> None:
    config = configured("{}")
    (tmp_path / "config.json").write_bytes(content.encode(errors="surrogateescape"))

    with pytest.raises(CredentialsError) as caught:
        config.credentials_for("a")

    assert caught.value.message == (
        f"the docker client's {tmp_path / 'config.json'} cannot be read: it is not JSON"
    )
    assert caught.value.__suppress_context__


def test_configuration_of_another_form_is_refused(configured: Callable[..., DockerConfig]) -> None:
    with pytest.raises(CredentialsError, match="cannot be read: it is no JSON object"):
        configured("[]").credentials_for("a")


def test_tables_of_another_form_hold_nothing(configured: Callable[..., DockerConfig]) -> None:
    content = {"auths": [], "credHelpers": 1, "credsStore": 2}

    assert configured(content).credentials_for("a") is None


def test_damaged_login_is_not_shown(configured: Callable[..., DockerConfig]) -> None:
    config = configured({"auths": {"a": {"auth": f"{SECRET}!"}}})

    with pytest.raises(CredentialsError) as caught:
        config.credentials_for("a")

    assert caught.value.message == (
        "an `auth` of the docker client's configuration is not base64 of `user:password`"
    )


def test_secrets_are_not_in_the_representation() -> None:
    shown = repr(RegistryCredentials(username="me", password="pw", identity_token="it", registry_token="rt"))

    assert shown == "RegistryCredentials(username='me')"
