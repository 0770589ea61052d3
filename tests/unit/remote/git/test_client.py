import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError
from envbuild.remote.git.client import GitClient, SourceTree
from envbuild.remote.git.environment import git_environment
from tests.rig.git_server import GitServer, Repository

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git"),
]

FILES: dict[str, str | bytes] = {
    "pyproject.toml": "[project]\nname = 'demo'\nversion = '1.0'\n",
    "src/demo.py": b"VALUE = 1\n",
    "data/ü.txt": "x",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return server.repository("demo")


@pytest.fixture
def client(tmp_path: Path) -> GitClient:
    return GitClient({"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")})


def fetched(client: GitClient, url: str, commit: str, folder: Path, **options: str | None) -> SourceTree:
    folder.mkdir()
    return client.fetch_source(url, commit, folder, **options)


def members(tree: SourceTree) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(tree.path) as tar:
        return {member.name: member for member in tar}


def content(tree: SourceTree, name: str) -> bytes:
    with tarfile.open(tree.path) as tar:
        stream = tar.extractfile(name)
        assert stream
        return stream.read()


# --- references ---------------------------------------------------------------------------------


def test_a_reference_is_a_branch_a_tag_or_a_commit(
    client: GitClient, server: GitServer, repository: Repository
) -> None:
    first = repository.commit(FILES)
    repository.git("tag", "v1")
    repository.git("tag", "--annotate", "--message=x", "v2")
    repository.git("branch", "feature/x")
    second = repository.commit({"more": "y"})
    url = server.address("demo")
    asked = [None, "main", "v1", "v2", "feature/x", "refs/tags/v2", first.upper(), first[:9]]
    assert [client.resolve_reference(url, reference) for reference in asked] == [
        second,
        second,
        *[first] * 6,
    ]


@pytest.mark.parametrize("reference", ["nothing", "refs/heads/v1", "abcdef1234"])
def test_a_reference_that_is_not_there_is_named(
    client: GitClient, server: GitServer, repository: Repository, reference: str
) -> None:
    repository.commit(FILES)
    url = server.address("demo")
    with pytest.raises(NotFoundError) as caught:
        client.resolve_reference(url, reference)
    assert caught.value.message == f"{url} has no branch, tag or commit `{reference}`"
    assert caught.value.hint == f"`git ls-remote {url}` lists what it has"


def test_a_repository_without_a_commit_is_said_to_have_none(
    client: GitClient, server: GitServer, repository: Repository
) -> None:
    assert repository.folder.is_dir()
    with pytest.raises(NotFoundError) as caught:
        client.resolve_reference(server.address("demo"))
    assert caught.value.message == f"{server.address('demo')} has no commit yet"


def test_a_branch_and_a_tag_of_one_name_are_told_apart(
    client: GitClient, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    repository.git("tag", "main")
    assert client.resolve_reference(server.address("demo"), "main")
    repository.commit({"more": "y"})
    with pytest.raises(EnvbuildError) as caught:
        client.resolve_reference(server.address("demo"), "main")
    assert caught.value.hint == "write `@refs/heads/main` or `@refs/tags/main`"


def test_a_repository_that_is_not_there_is_named(client: GitClient, server: GitServer) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.resolve_reference(server.address("none"), "main")
    assert caught.value.message == f"there is no git repository at {server.address('none')}"


def test_a_server_that_wants_a_password_asks_nobody(
    client: GitClient, server: GitServer, repository: Repository
) -> None:
    repository.commit(FILES)
    server.faults.needs_login.add("demo")
    with pytest.raises(NetworkError) as caught:
        client.resolve_reference(server.address("demo"), "main")
    assert caught.value.message == f"{server.address('demo')} refused the credentials, or does not exist"


def test_a_server_that_is_down_is_a_network_error(client: GitClient, tmp_path: Path) -> None:
    with GitServer(tmp_path / "stopped") as stopped:
        url = stopped.address("demo")
    with pytest.raises(NetworkError) as caught:
        client.resolve_reference(url, "main")
    assert caught.value.message == f"git cannot fetch from {url}"


@pytest.mark.parametrize("scheme", ["file", "ext"])
def test_other_protocols_are_not_followed(client: GitClient, tmp_path: Path, scheme: str) -> None:
    repository = Repository(tmp_path / "local")
    repository.commit(FILES)
    url = f"file://{repository.folder}/.git" if scheme == "file" else "ext::touch /nonexistent"
    with pytest.raises(NetworkError) as caught:
        client.resolve_reference(url, "main")
    assert f"leads to an address by `{scheme}`, which is not followed" in caught.value.message


# --- sources ------------------------------------------------------------------------------------


def test_the_same_commit_gives_the_same_bytes_anywhere(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    repository.write(FILES)
    (repository.folder / "src/demo.py").chmod(0o755)
    (repository.folder / "link").symlink_to("src/../data")
    repository.write({".gitattributes": "*.py text eol=crlf\ndata export-ignore\n"})
    commit = repository.commit()
    tree = fetched(client, server.address("demo"), commit, tmp_path / "one")
    home = tmp_path / "other"
    home.mkdir()
    (home / ".gitconfig").write_text(
        '[core]\nautocrlf = true\n[tar]\numask = 0077\n[filter "x"]\nsmudge = false\nrequired = true\n'
    )
    other = GitClient({"PATH": os.environ["PATH"], "HOME": str(home)})
    before = os.umask(0o077)
    try:
        again = fetched(other, server.address("demo"), commit, tmp_path / "two")
    finally:
        os.umask(before)
    assert (again.sha256, again.size) == (tree.sha256, tree.size)
    assert tree.path.stat().st_size == tree.size
    found = members(tree)
    assert sorted(found) == list(found)
    assert {
        name: (member.mode, member.uid, member.mtime, member.uname) for name, member in found.items()
    } == {
        ".gitattributes": (0o644, 0, 0, ""),
        "data": (0o755, 0, 0, ""),
        "data/ü.txt": (0o644, 0, 0, ""),
        "link": (0o777, 0, 0, ""),
        "pyproject.toml": (0o644, 0, 0, ""),
        "src": (0o755, 0, 0, ""),
        "src/demo.py": (0o755, 0, 0, ""),
    }
    assert content(tree, "src/demo.py") == b"VALUE = 1\n"
    assert (tree.commit, tree.described, tree.notes) == (commit, None, ())


def test_a_commit_of_no_branch_is_fetched_while_the_server_has_it(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(FILES)
    left = repository.commit({"left": "x"})
    repository.git("reset", "--quiet", "--hard", "HEAD~1")
    assert "left" in members(fetched(client, server.address("demo"), left, tmp_path / "one"))


def test_a_server_that_gives_no_single_commits_gives_all(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    first = repository.commit(FILES)
    repository.commit({"more": "y"})
    server.faults.only_advertised = True
    tree = fetched(client, server.address("demo"), first, tmp_path / "one")
    assert "more" not in members(tree)
    server.faults.only_advertised = False
    assert fetched(client, server.address("demo"), first, tmp_path / "two").sha256 == tree.sha256


def test_a_commit_that_is_gone_is_named(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(FILES)
    with pytest.raises(NotFoundError) as caught:
        fetched(client, server.address("demo"), "ab" * 20, tmp_path / "one")
    assert caught.value.message == f"{server.address('demo')} has no commit {'ab' * 20}"


def test_a_repository_that_moved_is_followed_and_noted(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit(FILES)
    server.faults.redirects["old"] = f"{server.url}/demo"
    tree = fetched(client, server.address("old"), commit, tmp_path / "one")
    assert tree.notes == (
        f"{server.address('old')} has moved to {server.address('demo')}: write that address",
    )


def test_a_repository_that_leads_nowhere_ends(client: GitClient, server: GitServer) -> None:
    server.faults.redirects["loop"] = f"{server.url}/loop"
    with pytest.raises(NetworkError) as caught:
        client.resolve_reference(server.address("loop"), "main")
    assert caught.value.message == f"git cannot fetch from {server.address('loop')}"


def test_a_redirect_to_another_protocol_is_not_followed(client: GitClient, server: GitServer) -> None:
    server.faults.redirects["evil"] = "file:///etc"
    with pytest.raises(NetworkError):
        client.resolve_reference(server.address("evil"), "main")


def test_submodules_are_part_of_the_sources(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    inner, deep = server.repository("inner"), server.repository("deep")
    deepest = deep.commit({"deep.txt": "x"})
    inner.commit({"inner.txt": "x"})
    inner.add_submodule("further", "../../deep/.git", deepest)
    repository.commit(FILES)
    repository.add_submodule("third/inner", server.address("inner"), inner.git("rev-parse", "HEAD"))
    commit = repository.git("rev-parse", "HEAD")
    names = set(members(fetched(client, server.address("demo"), commit, tmp_path / "one")))
    assert {"third/inner/inner.txt", "third/inner/further/deep.txt"} <= names
    assert not any(".git/" in name or name == ".git" for name in names)


@pytest.mark.parametrize("address", ["file:///etc", "ext::sh -c touch% /x", "/srv/x.git", "-oProxyCommand=x"])
def test_a_submodule_that_is_elsewhere_is_refused(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path, address: str
) -> None:
    repository.commit(FILES)
    repository.add_submodule("inner", address, "ab" * 20)
    commit = repository.git("rev-parse", "HEAD")
    with pytest.raises(IntegrityError) as caught:
        fetched(client, server.address("demo"), commit, tmp_path / "one")
    assert caught.value.message.startswith(f"{server.address('demo')}: the submodule `inner` is at `")
    assert caught.value.hint == "submodules by https, http and ssh are"


def test_a_submodule_whose_commit_is_gone_is_named(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    server.repository("inner").commit({"x": "y"})
    repository.commit(FILES)
    repository.add_submodule("inner", server.address("inner"), "ab" * 20)
    commit = repository.git("rev-parse", "HEAD")
    with pytest.raises(NotFoundError) as caught:
        fetched(client, server.address("demo"), commit, tmp_path / "one")
    assert caught.value.message == f"{server.address('inner')} has no commit {'ab' * 20}"


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "up/../../x"])
def test_a_link_out_of_the_sources_is_refused(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path, target: str
) -> None:
    repository.write(FILES)
    (repository.folder / "evil").symlink_to(target)
    commit = repository.commit()
    with pytest.raises(IntegrityError) as caught:
        fetched(client, server.address("demo"), commit, tmp_path / "one")
    assert caught.value.message == (
        f"{server.address('demo')} at {commit[:12]}: `evil` is a link to `{target}`, out of the sources"
    )


def test_pointers_of_lfs_stay_and_are_noted(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    repository.write({".gitattributes": "*.bin filter=lfs\n", "a.bin": pointer, "b.bin": pointer})
    tree = fetched(client, server.address("demo"), repository.commit(), tmp_path / "one")
    assert content(tree, "a.bin") == pointer
    assert tree.notes == (
        f"`a.bin` and 1 more of {server.address('demo')} is in Git LFS, which is not fetched",
    )


SCM: dict[str, str | bytes] = {"pyproject.toml": "[build-system]\nrequires = ['setuptools_scm>=8']\n"}


def test_a_version_from_tags_is_told_to_builds(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    repository.commit(SCM)
    repository.git("tag", "v1.2")
    commit = repository.commit({"x": "y"})
    tree = fetched(client, server.address("demo"), commit, tmp_path / "one")
    assert tree.described == f"v1.2-1-g{commit[:9]}"
    assert content(tree, ".git_archival.txt").decode() == (
        f"node: {commit}\nnode-date: 2025-01-02T03:04:05+00:00\ndescribe-name: v1.2-1-g{commit[:9]}\n"
    )
    repository.git("tag", "v1.3")
    later = fetched(client, server.address("demo"), commit, tmp_path / "two", described=tree.described)
    assert later.sha256 == tree.sha256
    assert fetched(client, server.address("demo"), commit, tmp_path / "three").described == (
        f"v1.3-0-g{commit[:9]}"
    )


def test_a_version_from_tags_without_tags_is_noted(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit({"py/setup.py": "setup(use_scm_version=True)\n"})
    url = server.address("demo")
    tree = fetched(client, url, commit, tmp_path / "one", subdirectory="py")
    assert b"describe-name" not in content(tree, "py/.git_archival.txt")
    assert {".git_archival.txt", "py/.git_archival.txt"} <= set(members(tree))
    assert tree.notes == (f"no tag of {url} comes before {commit[:9]}",)


@pytest.mark.parametrize(("text", "stays"), [("node: mine\n", True), ("node: $Format:%H$\n", False)])
def test_an_archival_file_stays_unless_it_is_a_template(
    client: GitClient, server: GitServer, repository: Repository, tmp_path: Path, text: str, *, stays: bool
) -> None:
    repository.write({".gitattributes": ".git_archival.txt export-subst\n", ".git_archival.txt": text})
    commit = repository.commit(SCM)
    tree = fetched(client, server.address("demo"), commit, tmp_path / "one")
    assert (content(tree, ".git_archival.txt").decode() == text) == stays


# --- what git is told ---------------------------------------------------------------------------


def test_git_keeps_what_says_how_servers_are_reached_and_nothing_else(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    machine = {
        "PATH": "/bin",
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": "x",
        "GIT_DIR": "/elsewhere",
        "GIT_ASKPASS": "window",
        "SSH_ASKPASS": "window",
        "GIT_ALLOW_PROTOCOL": "ext",
        "SSL_CERT_FILE": str(bundle),
    }
    own = git_environment(machine, proxy="http://proxy.example.com:3128")
    assert own.keys() & {"GIT_DIR", "GIT_ASKPASS", "SSH_ASKPASS"} == set()
    assert own["GIT_SSH_COMMAND"] == "ssh -i key"
    assert own["GIT_CONFIG_KEY_0"] == "http.extraHeader"
    assert (own["GIT_ALLOW_PROTOCOL"], own["GIT_TERMINAL_PROMPT"]) == ("http:https:ssh", "0")
    assert own["GIT_SSL_CAINFO"] == str(bundle)
    assert own["https_proxy"] == "http://proxy.example.com:3128"
    assert git_environment({"HTTPS_PROXY": "x"}, proxy="y").keys() & {"https_proxy", "http_proxy"} == set()
    assert git_environment({})["GIT_SSH_COMMAND"] == "ssh -o BatchMode=yes"
