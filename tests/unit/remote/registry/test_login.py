"""Logins as the registries people have want them: their helpers, their tokens, their names.

The registries and the helpers here are doubles: they speak as the documents of the real ones say, and were
not compared with them.  The helper protocol is that of docker-credential-helpers: `get`, the host on standard
input.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from envbuild.errors import NetworkError
from envbuild.image.push import digest_before_push
from envbuild.oci.reference import parse_reference
from envbuild.platforms import AMD64
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from tests.rig.loopback_registry import MANIFEST, FakeRegistry, digest_of, loopback_registry

CHUNK = 64 << 10

HELPER = """\
#!/bin/sh
# A double of docker-credential-{name} for tests.  It knows one registry, and asks no cloud.
host=$(cat)
echo "$1 $host" >>"$DOUBLE_LOG"
if [ "$1" != get ]; then echo "a double knows get alone" >&2; exit 2; fi
if [ "$host" != "{host}" ]; then echo "credentials not found in native keychain"; exit 1; fi
printf '{{"ServerURL":"%s","Username":"{user}","Secret":"%s"}}' "$host" "$(cat "$DOUBLE_SECRET")"
"""


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as registry:
        yield registry


class Login:
    """What a person has set up for one registry: `config.json`, and a helper in PATH."""

    def __init__(self, folder: Path, host: str) -> None:
        self.folder = folder
        self.host = host
        self.log = folder / "log"
        self.secret = folder / "secret"

    def helper(self, name: str, user: str, secret: str) -> None:
        """Have a helper answer for the registry."""
        self.secret.write_text(secret)
        program = self.folder / f"docker-credential-{name}"
        program.write_text(HELPER.format(name=name, host=self.host, user=user))
        program.chmod(0o755)
        self.config({"credHelpers": {self.host: name}})

    def config(self, content: Mapping[str, object]) -> None:
        (self.folder / "config.json").write_text(json.dumps(content))

    @property
    def transport(self) -> RegistryTransport:
        environment = {
            "DOCKER_CONFIG": str(self.folder),
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "DOUBLE_LOG": str(self.log),
            "DOUBLE_SECRET": str(self.secret),
        }
        return RegistryTransport(environment=environment)

    def push(self, repository: str, *, size: int = 10) -> None:
        """Push a manifest and a blob of `size` bytes, in chunks."""
        file = self.folder / "blob"
        file.write_bytes(os.urandom(size))
        writer = RegistryWriter(self.transport, sleep=lambda _: None, chunk_bytes=CHUNK)
        reference = parse_reference(f"{self.host}/{repository}:1")
        writer.put_blob(reference, digest_of(file.read_bytes()), file)
        writer.put_manifest(reference, MANIFEST, b"{}")

    def pull(self, repository: str) -> None:
        RegistryClient(transport=self.transport).resolve(
            parse_reference(f"{self.host}/{repository}:1"), AMD64
        )


@pytest.fixture
def login(tmp_path: Path, fake: FakeRegistry) -> Login:
    return Login(tmp_path, fake.host)


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def tokens_asked(fake: FakeRegistry, method: str) -> list[dict[str, list[str]]]:
    """Return the fields of the requests to the token service."""
    asked = [request for request in fake.seen if request.path == "/token"]
    assert {request.method for request in asked} == {method}
    return [parse_qs(request.body.decode()) or dict(request.query) for request in asked]


def test_ecr_takes_what_its_helper_says_as_user_and_password(fake: FakeRegistry, login: Login) -> None:
    fake.login, fake.password = "Basic", "AWS:of-the-hour"
    fake.challenge = 'Basic realm="https://registry.example.com/",service="ecr.amazonaws.com"'
    login.helper("ecr-login", "AWS", "of-the-hour")

    login.push("team/train")

    assert ("team/train", "1") in fake.manifests
    assert set(login.log.read_text().splitlines()) == {f"get {fake.host}"}
    assert fake.seen[-1].headers["authorization"] == basic("AWS:of-the-hour")


def test_a_password_of_ecr_that_ends_during_a_push_is_asked_for_again(
    fake: FakeRegistry, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.login, fake.password = "Basic", "AWS:first"
    login.helper("ecr-login", "AWS", "first")
    renewed: list[bool] = []
    real = RegistryTransport.send

    def send(self, method: str, *arguments, **options):
        if method == "PATCH" and fake.chunks == 2 and not renewed:
            renewed.append(True)
            fake.password = "AWS:second"
            login.secret.write_text("second")
        return real(self, method, *arguments, **options)

    monkeypatch.setattr(RegistryTransport, "send", send)
    login.push("team/train", size=5 * CHUNK)

    assert renewed
    assert len(login.log.read_text().splitlines()) > 1
    assert fake.seen[-1].headers["authorization"] == basic("AWS:second")


@pytest.mark.parametrize("user", ["_dcgcloud_token", "oauth2accesstoken", "_json_key"])
def test_artifact_registry_takes_its_helpers_secret_to_the_token_service(
    fake: FakeRegistry, login: Login, user: str
) -> None:
    fake.login, fake.password = "Bearer", f"{user}:ya29.secret"
    fake.put_image("project/images/train", "1")
    login.helper("gcloud", user, "ya29.secret")

    login.pull("project/images/train")

    (asked,) = tokens_asked(fake, "GET")
    assert asked["scope"] == ["repository:project/images/train:pull"]
    assert login.log.read_text() == f"get {fake.host}\n"


@pytest.mark.parametrize("by", ["helper", "az acr login"])
def test_acr_exchanges_its_refresh_token_by_post(fake: FakeRegistry, login: Login, by: str) -> None:
    fake.login, fake.refresh_token = "Bearer", "refresh"
    if by == "helper":
        login.helper("acr-env", "<token>", "refresh")
    else:
        nobody = base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode()
        login.config({"auths": {fake.host: {"auth": nobody, "identitytoken": "refresh"}}})

    login.push("train", size=2 * CHUNK)

    asked = tokens_asked(fake, "POST")
    assert asked[0]["grant_type"] == ["refresh_token"]
    assert asked[0]["service"] == ["tests"]
    assert "repository:train:pull,push" in asked[-1]["scope"][0].split()
    assert all("authorization" not in request.headers for request in fake.seen if request.path == "/token")


def test_a_token_that_ends_during_a_long_push_is_renewed_and_the_push_goes_on(
    fake: FakeRegistry, login: Login
) -> None:
    fake.login, fake.refresh_token, fake.revoke_after = "Bearer", "refresh", [2, 4]
    login.helper("acr-env", "<token>", "refresh")

    login.push("train", size=6 * CHUNK)

    assert ("train", "1") in fake.manifests
    pushing = [fields for fields in tokens_asked(fake, "POST") if "push" in fields["scope"][0]]
    assert len(pushing) == 3
    # no byte was lost: a chunk that was refused was sent once more, none was begun anew
    assert fake.chunks == 5


def test_ghcr_takes_a_personal_access_token_and_gives_public_images_to_anybody(
    fake: FakeRegistry, login: Login
) -> None:
    fake.login, fake.password = "Bearer", "ada:ghp_secret"
    fake.put_image("ada/train", "1")
    login.config({"auths": {fake.host: {"auth": base64.b64encode(b"ada:ghp_secret").decode()}}})
    login.pull("ada/train")
    login.config({})
    login.pull("ada/train")

    sent = [request.headers.get("authorization") for request in fake.seen if request.path == "/token"]
    assert sent == [basic("ada:ghp_secret"), None]


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_harbor_takes_a_robot_account_whose_name_has_a_dollar(
    fake: FakeRegistry, login: Login, scheme: str
) -> None:
    fake.login, fake.password = scheme, "robot$team+ci:secret"
    pair = base64.b64encode(b"robot$team+ci:secret").decode()
    login.config({"auths": {fake.host: {"auth": pair}}})

    login.push("team/train")

    assert ("team/train", "1") in fake.manifests


def test_a_helper_that_knows_nothing_leaves_the_registry_to_anonymous_requests(
    fake: FakeRegistry, login: Login
) -> None:
    fake.login = "Bearer"
    fake.put_image("public/train", "1")
    login.helper("gcloud", "x", "y")
    login.host = "elsewhere.example.com"
    login.helper("gcloud", "x", "y")
    login.config({"credsStore": "gcloud"})
    login.host = fake.host

    login.pull("public/train")

    assert login.log.read_text() == f"get {fake.host}\n"


def test_what_is_pushed_to_for_the_first_time_may_be_hidden_from_who_only_pulls(
    fake: FakeRegistry, login: Login
) -> None:
    fake.login, fake.hides_missing, fake.password = "Bearer", True, "ada:secret"
    login.config({"auths": {fake.host: {"auth": base64.b64encode(b"ada:secret").decode()}}})
    reference = parse_reference(f"{fake.host}/ada/new:1")

    with pytest.raises(NetworkError, match="refused the credentials"):
        RegistryClient(transport=login.transport).digest_of(reference)

    assert digest_before_push(login.transport, reference) is None


def test_no_secret_is_in_what_is_said(fake: FakeRegistry, login: Login, hidden: Callable[..., str]) -> None:
    fake.login, fake.password = "Bearer", "AWS:right"
    login.helper("ecr-login", "AWS", "hunter2")

    with pytest.raises(NetworkError) as caught:
        login.pull("team/train")

    assert "hunter2" not in hidden(caught.value)
    assert "refused the credentials" in caught.value.message


@pytest.fixture
def hidden() -> Callable[[NetworkError], str]:
    return lambda error: f"{error!r} {error.message} {error.hint} {error.detail} {error.__context__!r}"
