import json

import pytest

from envbuild.errors import EnvbuildError
from envbuild.remote.channels import read_channel_configuration


def configuration(tmp_path, condarc="", **environment):
    (tmp_path / ".condarc").write_text(condarc)
    return read_channel_configuration({"HOME": str(tmp_path), **environment}, root=tmp_path)


def test_a_channel_of_its_own_address_is_there(tmp_path):
    found = configuration(tmp_path).address("https://conda.example.com/ml")
    assert found.url == "https://conda.example.com/ml"
    assert found.address("noarch/x-1-0.conda").url == "https://conda.example.com/ml/noarch/x-1-0.conda"


def test_named_channels_lie_below_the_alias_or_where_they_are_said_to_be(tmp_path):
    text = "channel_alias: https://mirror.example.com/conda/\ncustom_channels:\n  lab: https://lab.example.com/c\n"
    channels = configuration(tmp_path, text)
    assert channels.address("conda-forge").url == "https://mirror.example.com/conda/conda-forge"
    assert channels.address("lab").url == "https://lab.example.com/c/lab"
    assert channels.address("lab/label/dev").url == "https://lab.example.com/c/lab/label/dev"


def test_without_settings_a_name_is_what_conda_makes_of_it(tmp_path):
    assert configuration(tmp_path).address("conda-forge").url.endswith("/conda-forge")


def test_variables_win(tmp_path):
    channels = configuration(
        tmp_path,
        "channel_alias: https://mirror.example.com",
        ENVBUILD_CHANNEL_CONDA_FORGE_URL="https://me:a%20b@other.example.com/cf/",
        ENVBUILD_CHANNEL_LAB_USERNAME="lab-user",
        ENVBUILD_CHANNEL_LAB_PASSWORD="lab-secret",
    )
    forge = channels.address("conda-forge")
    assert forge.url == "https://other.example.com/cf"
    assert forge.credentials is not None
    assert (forge.credentials.username, forge.credentials.password) == ("me", "a b")
    lab = channels.address("lab")
    assert lab.credentials is not None
    assert lab.credentials.username == "lab-user"
    assert "secret" not in repr(lab)


@pytest.mark.parametrize(
    ("place", "document", "name"),
    [
        (".rattler/credentials.json", {"BasicHTTP": {"username": "u", "password": "p"}}, "conda.example.com"),
        (".rattler/credentials.json", {"BasicHTTP": {"username": "u", "password": "p"}}, "*.example.com"),
        (
            ".mamba/auth/authentication.json",
            {"type": "BasicHTTPAuthentication", "user": "u", "password": "cA=="},
            "conda.example.com",
        ),
    ],
)
def test_credentials_come_from_the_files_of_rattler_and_mamba(tmp_path, place, document, name):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({name: document}))
    credentials = configuration(tmp_path).address("https://conda.example.com/ml").credentials
    assert credentials is not None
    assert (credentials.username, credentials.password) == ("u", "p")
    assert configuration(tmp_path).address("https://elsewhere.example.org/ml").credentials is None


def test_a_token_goes_into_the_path_and_nowhere_else(tmp_path):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"conda.example.com": {"CondaToken": "to-ken"}}))
    channel = configuration(tmp_path, RATTLER_AUTH_FILE=str(file)).address("https://conda.example.com/ml")
    assert channel.url == "https://conda.example.com/ml"
    assert (
        channel.address("noarch/x-1-0.conda").url
        == "https://conda.example.com/t/to-ken/ml/noarch/x-1-0.conda"
    )
    assert "to-ken" not in repr(channel)


@pytest.mark.parametrize(
    ("condarc", "environment"),
    [
        ("custom_channels: {corp: https://conda.example.com/t/to-ken}", {}),
        ("channel_alias: https://conda.example.com/t/to-ken/", {}),
        ("custom_channels: {corp: 'https://conda.example.com/t/${TOKEN}'}", {"TOKEN": "to-ken"}),
        ("custom_channels: {corp: '$CORP/t/to-ken'}", {"CORP": "https://conda.example.com"}),
        ("", {"ENVBUILD_CHANNEL_CORP_URL": "https://conda.example.com/t/to-ken/corp"}),
        ("", {"CONDA_CHANNEL_ALIAS": "https://conda.example.com/t/to-ken"}),
    ],
)
def test_a_token_of_an_address_is_kept_apart_from_it(tmp_path, condarc, environment):
    channels = configuration(tmp_path, condarc, **environment)
    channel = channels.address("corp")
    assert channel.url == "https://conda.example.com/corp"
    assert channel.address("noarch/x-1-0.conda").url == (
        "https://conda.example.com/t/to-ken/corp/noarch/x-1-0.conda"
    )
    assert str(channel.address("noarch/x-1-0.conda")) == (
        "https://conda.example.com/***/corp/noarch/x-1-0.conda"
    )
    assert "to-ken" not in f"{channel!r} {channels!r}"


def test_a_file_of_credentials_wins_over_the_token_of_an_address(tmp_path):
    file = tmp_path / "auth.json"
    file.write_text(json.dumps({"conda.example.com": {"CondaToken": "newer"}}))
    text = "custom_channels: {corp: https://conda.example.com/t/older}"
    channel = configuration(tmp_path, text, RATTLER_AUTH_FILE=str(file)).address("corp")
    assert (channel.url, channel.token) == ("https://conda.example.com/corp", "newer")


def test_a_variable_that_is_not_set_stays_as_it_is_written(tmp_path):
    text = "custom_channels: {corp: 'https://$HOST_OF_CORP/c'}"
    assert configuration(tmp_path, text).address("corp").url == "https://$HOST_OF_CORP/c/corp"


def test_credentials_of_an_address_may_come_from_variables(tmp_path):
    text = "channel_alias: https://${WHO}:${PASS}@conda.example.com"
    channel = configuration(tmp_path, text, WHO="u", PASS="p").address("corp")
    assert channel.url == "https://conda.example.com/corp"
    assert channel.credentials is not None
    assert (channel.credentials.username, channel.credentials.password) == ("u", "p")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(EnvbuildError, match=r"\.condarc cannot be read as conda configuration"):
        configuration(tmp_path, "a: [")
