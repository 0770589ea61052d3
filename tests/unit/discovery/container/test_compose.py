"""The service of Docker Compose that a dev container runs in."""

from pathlib import Path

import pytest

from envbuild.discovery.container.compose import ComposeService, read_service
from envbuild.discovery.container.devcontainer import DockerfileCall
from envbuild.discovery.container_files import read_container_files
from envbuild.discovery.content import FileContent
from envbuild.discovery.project_folder import ProjectFolder

FILE = ".devcontainer/compose.yml"


def read(text: str) -> tuple[ComposeService | None, list[str]]:
    content = FileContent()
    return read_service(text, FILE, "app", content), [str(problem) for problem in content.left]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("{image: 'python:3.11'}", ComposeService(image="python:3.11", line=1)),
        ("{build: ..}", ComposeService(DockerfileCall("Dockerfile", "."), line=1)),
        (
            "{build: {context: .., dockerfile: docker/D, target: dev, args: {V: 3.10, W: $X}}, image: a}",
            ComposeService(DockerfileCall("docker/D", ".", {"V": "3.10"}, "dev"), line=1),
        ),
        (
            "{build: {context: ., args: [V=1, W]}}",
            ComposeService(DockerfileCall(".devcontainer/Dockerfile", ".devcontainer", {"V": "1"}), line=1),
        ),
    ],
)
def test_what_a_service_runs(service, expected):
    assert read(f"services: {{app: {service}}}") == (expected, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services: {web: {}}", f"{FILE}: has no service `app`"),
        ("services: {app: {}}", f"{FILE}: service `app` names neither image nor build"),
        ("services: [app]", f"{FILE}: services: must be a table, not a list"),
        ("[", f"{FILE}:1: is not YAML"),
    ],
)
def test_what_a_file_does_not_say_is_reported(text, message):
    found, left = read(text)
    assert found is None
    assert left[0] == message


def test_its_dockerfile_is_read(tmp_path: Path):
    (tmp_path / ".devcontainer").mkdir()
    (tmp_path / ".devcontainer" / "devcontainer.json").write_text(
        '{"dockerComposeFile": ["compose.yml"], "service": "app"}'
    )
    (tmp_path / FILE).write_text(
        "services: {app: {build: {context: .., dockerfile: d/app.docker, args: {V: 3.11}}}}"
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "app.docker").write_text("ARG V=3.10\nFROM python:$V\nRUN apt-get install -y git\n")
    contents = list(read_container_files(ProjectFolder(tmp_path)))
    assert [content.tables for content in contents if content.tables] == [
        {"base": {"image": "python:3.11"}, "system": {"packages": ["git"]}, "image": {}}
    ]
    assert [str(problem) for content in contents for problem in content.left] == []
