"""No content of files of containers and environments raises, and each line of a Dockerfile is heard of."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.shell_lines import read_shell
from envbuild.discovery.container.binder import BinderFiles, read_binder
from envbuild.discovery.container.cog import read_cog
from envbuild.discovery.container.compose import read_service
from envbuild.discovery.container.devcontainer import compose_of, dockerfile_of, read_devcontainer
from envbuild.discovery.container.dockerfile import read_dockerfile
from envbuild.discovery.content import FileContent
from envbuild.discovery.environment import read_environment
from envbuild.discovery.environments.conda_environment import read_conda_environment
from envbuild.discovery.environments.conda_lists import is_conda_list, read_conda_list
from envbuild.discovery.environments.system_lists import read_system_list

pytestmark = pytest.mark.property

Read = Callable[[str], object]


def exists(file: str) -> bool:
    return len(file) % 2 == 0


def shell(text: str) -> FileContent:
    content = FileContent()
    read_shell(text, BuildState(content, "run.sh", exists, variables={"X": "a b", "Y": None}))
    return content


READERS: dict[str, Read] = {
    "shell": shell,
    "dockerfile": lambda text: read_dockerfile(text, "Dockerfile", exists=exists, read=lambda _: text),
    "cog": lambda text: read_cog(text, "cog.yaml", exists=exists),
    "devcontainer": lambda text: read_devcontainer(text, "devcontainer.json", exists=exists),
    "compose": lambda text: read_service(text, "compose.yml", "x", FileContent()),
    "its dockerfile": lambda text: (
        dockerfile_of(text, "devcontainer.json"),
        compose_of(text, "devcontainer.json"),
    ),
    "conda": lambda text: read_conda_environment(text, "environment.yml", exists=exists),
    "a list of conda": lambda text: (is_conda_list(text), read_conda_list(text, "spec.txt", exists=exists)),
    "apt": lambda text: read_system_list(text, "apt.txt"),
    "binder": lambda text: read_binder(
        BinderFiles("binder/", None, None, ()), lambda _: text, exists=lambda _: True
    ),
}

WORDS = (
    *("&&", "||", "|", ";", "(", ")", "{", "}", "if", "then", "fi", "for", "do", "done", "case", "esac"),
    *("$", "${", "${A:-", "$(", "`", "'", '"', "\\", "\\\n", "\n", "<<E", "E", "<", ">", ">=2", "#"),
    *("pip install", "apt-get install", "conda install", "uv sync", "git clone", "bash -c", "export", "cd"),
    *("FROM", "RUN", "ENV", "ARG", "COPY", "CMD", "USER", "WORKDIR", "AS", "--from=", "--mount="),
    *("-r", "-e", "-i", "-c", "-f", ".", "./", "x", "torch==1+cu1", "a=1=b", "https://u:p@h/x", "/a"),
    *("- ", ":", "name:", "dependencies:", "channels:", "build:", "run:", "&a", "*a", "[", "]", ","),
    *("\t", "\x00", "\ufeff", "é", "\u2028", "=", "@", "python=3.11", "features", "image"),
)
lines = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)
glued = st.lists(st.sampled_from(WORDS), max_size=40).map("".join)
texts = st.one_of(
    st.text(max_size=200), lines, glued, st.binary(max_size=200).map(lambda b: b.decode("latin-1"))
)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ("services", "x", "args", "dockerComposeFile", "service",
             "build", "gpu", "run", "python_packages", "environment", "image", "features", "containerEnv",
             "postCreateCommand", "customizations", "vscode", "extensions", "name", "channels",
             "dependencies", "pip", "variables", "package", "metadata", "version", "platform",
             "manager", "url", "hash")
        ),
        inner,
        max_size=4,
    ),
    max_leaves=12,
).map(json.dumps)  # fmt: skip


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
@given(text=texts)
def test_no_text_raises(reader: Read, text: str):
    reader(text)


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
@given(text=documents)
def test_no_document_of_the_right_syntax_and_other_types_raises(reader: Read, text: str):
    reader(text)


@given(words=st.lists(st.sampled_from(["make", "./x", "npm ci", "frob a", "a | b", "x > y"]), max_size=6))
def test_each_line_that_is_not_understood_is_reported_with_its_number(words: list[str]):
    text = "FROM python:3.11\n" + "".join(f"RUN {word}\n" for word in words)
    content = read_dockerfile(text, "Dockerfile", exists=exists)
    assert [problem.where for problem in content.left] == [
        f"Dockerfile:{number}" for number in range(2, len(words) + 2)
    ]
    assert all(problem.hint for problem in content.left)


@given(metadata=st.binary(max_size=80), origin=st.one_of(st.binary(max_size=80), documents.map(str.encode)))
def test_no_content_of_an_environment_raises(
    tmp_path_factory: pytest.TempPathFactory, metadata: bytes, origin: bytes
):
    root = tmp_path_factory.mktemp("environment")
    folder = root / "lib/python3.11/site-packages/a-1.dist-info"
    folder.mkdir(parents=True)
    (root / "conda-meta").mkdir()
    (folder / "METADATA").write_bytes(b"Name: a\nVersion: 1\n" + metadata)
    (folder / "direct_url.json").write_bytes(origin)
    (root / "conda-meta" / "a.json").write_bytes(origin)
    (root / "pyvenv.cfg").write_bytes(metadata)
    read_environment(root)
