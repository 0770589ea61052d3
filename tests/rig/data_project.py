"""A project with data, its lock made by hand; and files with known content."""

from pathlib import Path

from envbuild.lock.codec import dumps
from envbuild.workflows.project import Project
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC


def data_project(folder: Path, *tables: str) -> Project:
    """Return a project whose lock answers its spec but for `tables` of [[data]]."""
    folder.mkdir(exist_ok=True)
    (folder / "envbuild.lock").write_text(dumps(sample_lock()))
    return ask_for(Project(folder / "envbuild.toml"), *tables)


def ask_for(project: Project, *tables: str) -> Project:
    """Write the spec of `project` with these tables of [[data]]; return it, to be read again."""
    project.spec.write_text(SPEC + "".join(f"\n[[data]]\n{table}\n" for table in tables))
    return Project(project.spec)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write `files` below `folder` and return it."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder
