import hashlib
from pathlib import Path
from typing import Any

import pytest

from envbuild.data.hub import PUBLIC_HUB, HubClient, HubSource
from envbuild.data.partial import PartialFolder
from envbuild.data.sources import RemoteFile
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError, UsageError
from tests.rig.hub import COMMIT, PlayedHub, git_sha1

FILES = {"README.md": b"# images", "train/0.bin": b"large" * 100, "train/x y.json": b"{}"}


def hub_of(**changes: Any) -> PlayedHub:
    return PlayedHub(**{"files": dict(FILES), "large": frozenset({"train/0.bin"}), **changes})


def source_of(hub: PlayedHub, **options: Any) -> HubSource:
    return HubSource(HubClient.of(hub.environment), repository="acme/images", **options)


def received(source: HubSource, file: RemoteFile, folder: Path) -> bytes:
    with PartialFolder(folder / "partial").receiving("file") as partial:
        source.receive(file, partial, lambda _: None)
        return partial.content()


def test_a_branch_is_a_commit_and_files_have_what_the_hub_says() -> None:
    with hub_of() as hub:
        listing = source_of(hub).list_files()

    assert (listing.revision, listing.license) == (COMMIT, "cc-by-4.0")
    assert [(file.path, file.size) for file in listing.files] == [
        (path, len(content)) for path, content in FILES.items()
    ]
    readme, large, _ = listing.files
    assert (readme.sha256, readme.validator) == (None, git_sha1(FILES["README.md"]))
    assert large.sha256 == hashlib.sha256(FILES["train/0.bin"]).hexdigest()


@pytest.mark.parametrize(
    ("patterns", "paths"),
    [
        (("*.json",), ["train/x y.json"]),
        (("train/",), ["train/0.bin", "train/x y.json"]),
        (("README.md", "*.bin"), ["README.md", "train/0.bin"]),
    ],
)
def test_patterns_choose_files(patterns: tuple[str, ...], paths: list[str]) -> None:
    with hub_of() as hub:
        listing = source_of(hub, patterns=patterns).list_files()

    assert [file.path for file in listing.files] == paths


def test_patterns_that_no_file_has_are_an_error() -> None:
    with hub_of() as hub, pytest.raises(IntegrityError, match="no such files"):
        source_of(hub, patterns=("*.parquet",)).list_files()


def test_files_are_received_from_the_commit(tmp_path: Path) -> None:
    with hub_of() as hub:
        source = source_of(hub)
        for number, file in enumerate(source.list_files().files):
            assert received(source, file, tmp_path / str(number)) == FILES[file.path]
    resolved = [path for server, path, _ in hub.asked if server == "hub" and "resolve" in path]
    assert all(f"/resolve/{COMMIT}/" in path for path in resolved)


def test_the_token_goes_to_the_hub_and_to_no_other_server(tmp_path: Path) -> None:
    with hub_of(token="hf_secret") as hub:
        source = source_of(hub)
        for number, file in enumerate(source.list_files().files):
            received(source, file, tmp_path / str(number))

    assert {said for server, _, said in hub.asked if server == "hub"} == {"Bearer hf_secret"}
    assert {said for server, _, said in hub.asked if server == "store"} == {None}


def test_no_token_is_in_what_is_shown() -> None:
    client = HubClient.of({"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "https://hub.example.com/"})

    assert client.token == "hf_secret"
    shown = repr(client), repr(client.address("x")), str(client.address("x"))
    assert "hf_secret" not in "".join(shown)
    assert client.address("x").url == "https://hub.example.com/x"


def test_without_access_the_error_says_how_to_log_in() -> None:
    with hub_of(token="hf_secret") as hub, pytest.raises(NetworkError, match="HTTP 401") as caught:
        HubSource(HubClient(endpoint=hub.endpoint), repository="acme/images").list_files()
    assert caught.value.hint is not None
    assert "HF_TOKEN" in caught.value.hint

    with hub_of(token="other") as hub, pytest.raises(NetworkError) as caught:
        HubSource(HubClient(endpoint=hub.endpoint, token="hf_secret"), repository="acme/images").list_files()
    assert "hf_secret" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"


def test_what_is_not_there_is_said_so() -> None:
    with hub_of() as hub, pytest.raises(NotFoundError, match="no dataset acme/images at v9"):
        source_of(hub, revision="v9").list_files()


def test_another_commit_than_asked_for_is_refused() -> None:
    with hub_of() as hub:
        source = source_of(hub, revision=COMMIT)
        assert source.list_files().revision == COMMIT
        hub.answer = b'{"sha": "%s", "siblings": []}' % (b"d" * 40)
        with pytest.raises(IntegrityError, match="another commit"):
            source_of(hub, revision=COMMIT).list_files()


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"sha": "main", "siblings": []}',
        b'{"sha": "%s"}' % COMMIT.encode(),
        b'{"sha": "%s", "siblings": [{"rfilename": 1, "size": 1, "blobId": "x"}]}' % COMMIT.encode(),
        b"[" * 100_000,
    ],
)
def test_an_answer_of_no_hub_is_refused(answer: bytes) -> None:
    with hub_of(answer=answer) as hub, pytest.raises(IntegrityError, match="does not answer as a hub"):
        source_of(hub).list_files()


@pytest.mark.parametrize(
    "listed",
    [
        {"size": -1},
        {"size": "1"},
        {"size": True},
        {"blobId": "../x"},
        {"lfs": {"size": 1, "sha256": "x"}},
        {"lfs": {"size": 1}},
    ],
)
def test_a_file_without_a_size_and_a_digest_is_refused(listed: dict[str, Any]) -> None:
    with hub_of(listed={"README.md": listed}) as hub, pytest.raises(IntegrityError, match="as a hub"):
        source_of(hub).list_files()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a\0b", "x" * 300, "a/.git/config", ".GIT/config"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with (
        hub_of(listed={"README.md": {"rfilename": name}}) as hub,
        pytest.raises(IntegrityError, match="lists"),
    ):
        source_of(hub).list_files()


def test_a_file_listed_twice_is_refused() -> None:
    with (
        hub_of(listed={"README.md": {"rfilename": "train/x y.json"}}) as hub,
        pytest.raises(IntegrityError, match="twice"),
    ):
        source_of(hub).list_files()


@pytest.mark.parametrize("name", ["README.md", "train/0.bin"])
@pytest.mark.parametrize("lie", [b"", b"short", b"%s"])
def test_a_file_that_is_not_what_was_listed_is_refused(tmp_path: Path, name: str, lie: bytes) -> None:
    content = FILES[name]
    served = content[:-1] + b"X" if lie == b"%s" else lie
    with hub_of(served={name: served}) as hub:
        source = source_of(hub)
        (file,) = [file for file in source.list_files().files if file.path == name]
        with pytest.raises(EnvbuildError):
            received(source, file, tmp_path)
    assert not any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file() and lie == b"%s")


@pytest.mark.parametrize(
    ("license_said", "license_kept"),
    [(None, None), (["mit"], None), ("x" * 101, None), ("a\nb", None), ("mit", "mit")],
)
def test_a_licence_is_a_short_line(license_said: object, license_kept: str | None) -> None:
    with hub_of(license=license_said) as hub:
        assert source_of(hub).list_files().license == license_kept


def test_the_token_is_taken_from_where_the_hubs_library_has_it(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    file = tmp_path / ".cache/huggingface/token"
    assert HubClient.of(home).token is None
    file.parent.mkdir(parents=True)
    file.write_text("hf_of_login\n")
    (tmp_path / "token").write_text("hf_of_home")
    (tmp_path / "other").write_text("hf_of_path")

    assert HubClient.of(home) == HubClient(endpoint=PUBLIC_HUB, token="hf_of_login")
    assert HubClient.of({**home, "HF_HOME": str(tmp_path)}).token == "hf_of_home"
    assert HubClient.of({**home, "HF_TOKEN_PATH": str(tmp_path / "other")}).token == "hf_of_path"
    assert HubClient.of({**home, "HF_TOKEN": " hf_of_variable "}).token == "hf_of_variable"
    assert HubClient.of({**home, "HF_TOKEN": "bad\ntoken"}).token is None
    file.write_text("x" * 5000)
    assert HubClient.of(home).token is None


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [("https://hub.example.com", True), ("http://127.0.0.1:1", True), ("http://hub.example.com", False)],
)
def test_a_token_is_not_sent_in_the_clear(endpoint: str, sent: bool) -> None:
    client = HubClient.of({"HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret", "HOME": "/nonexistent"})

    assert (client.token is not None) is sent


@pytest.mark.parametrize(
    "endpoint", ["hub", "ftp://x", "https://", "https://u:p@h", "https://h/?a=b", "http://[", "http://h:x"]
)
def test_an_endpoint_that_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        HubClient.of({"HF_ENDPOINT": endpoint})
