import os
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.data.sources import RemoteFile
from envbuild.digest import sha256_bytes
from envbuild.errors import (
    EnvbuildError,
    IntegrityError,
    LockMissingError,
    NetworkError,
    ToolMissingError,
    UsageError,
    VerificationError,
)
from envbuild.workflows.data import receiving
from envbuild.workflows.data.entries import manifest_path
from envbuild.workflows.data.fetching import fetch_data
from envbuild.workflows.data.locking import lock_data
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, read_project_lock
from tests.rig.data_project import ask_for, data_project, write_files
from tests.rig.hub import COMMIT, PlayedHub
from tests.rig.web import Answer, Faults, LoopbackServer, Request

FILES = {"README.md": b"# images", "train/0.bin": b"large" * 100_000, "train/1.bin": b"second"}
CONTENT = bytes(range(256)) * 8192


def hub_project(folder: Path) -> Project:
    return data_project(folder, 'name = "images"\nhuggingface = "acme/images"')


def played_hub() -> PlayedHub:
    return PlayedHub(files=dict(FILES), large=frozenset({"train/0.bin", "train/1.bin"}))


def on_hub(machine: Machine, hub: PlayedHub) -> Machine:
    return replace(machine, environment={**machine.environment, **hub.environment})


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def served_at(server: LoopbackServer, name: str = "weights.bin") -> str:
    return f"http://{server.host}/{name}"


def answer(request: Request) -> Answer | None:
    return Answer(content=CONTENT) if request.path == "/weights.bin" else None


def test_a_repository_is_locked_without_its_large_files_and_fetched_whole(
    tmp_path: Path, machine: Machine
) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        (locked,) = read_project_lock(project).data
        assert not any(server == "store" for server, _, _ in hub.asked)
        assert not (project.folder / "data/images").exists()

        result = fetch_data(project, machine=on_hub(machine, hub))

    assert (locked.revision, locked.license, locked.files) == (COMMIT, "cc-by-4.0", 3)
    assert locked.size == sum(map(len, FILES.values()))
    assert contents(project.folder / "data/images") == FILES
    assert [(item.name, item.fetched) for item in result.data] == [("images", 3)]
    # nothing is left beside it
    assert [path.name for path in (project.folder / "data").iterdir()] == ["images"]


def test_what_is_here_stays_and_what_lacks_is_fetched(tmp_path: Path, machine: Machine) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        fetch_data(project, machine=on_hub(machine, hub))
        inode = (project.folder / "data/images/README.md").stat().st_ino
        (project.folder / "data/images/train/1.bin").unlink()
        write_files(project.folder / "data/images", {"mine.txt": b"notes"})
        hub.asked.clear()

        result = fetch_data(project, machine=on_hub(machine, hub))

        assert result.data[0].fetched == 1
        assert [path for server, path, _ in hub.asked if server == "store"] == ["/train/1.bin"]
        assert contents(project.folder / "data/images") == FILES | {"mine.txt": b"notes"}
        assert (project.folder / "data/images/README.md").stat().st_ino == inode
        hub.asked.clear()
        assert fetch_data(project, machine=on_hub(machine, hub)).data[0].fetched == 0
        assert hub.asked == []


def test_changed_files_are_overwritten_only_by_force(tmp_path: Path, machine: Machine) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        fetch_data(project, machine=on_hub(machine, hub))
        write_files(project.folder / "data/images", {"train/1.bin": b"mine", "README.md": b"mine too"})

        with pytest.raises(VerificationError) as caught:
            fetch_data(project, machine=on_hub(machine, hub))
        told = "\n".join(map(str, caught.value.problems))
        assert f"sha256:{sha256_bytes(FILES['train/1.bin'])}" in told
        assert f"sha256:{sha256_bytes(b'mine')}" in told
        assert (project.folder / "data/images/train/1.bin").read_bytes() == b"mine"

        fetch_data(project, force=True, machine=on_hub(machine, hub))
    assert contents(project.folder / "data/images") == FILES


@pytest.mark.parametrize("lie", [b"large" * 99_999 + b"LARGE", b"short", b"large" * 100_001])
def test_a_server_that_sends_something_else_leaves_nothing(
    tmp_path: Path, machine: Machine, lie: bytes
) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        hub.served["train/0.bin"] = lie

        with pytest.raises(EnvbuildError, match=r"not the locked file|ended after"):
            fetch_data(project, machine=on_hub(machine, hub))

    assert not (project.folder / "data/images/train/0.bin").exists()


def test_a_server_that_lists_something_else_is_not_asked_for_it(tmp_path: Path, machine: Machine) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        hub.files["train/0.bin"] = b"replaced"
        hub.asked.clear()

        with pytest.raises(IntegrityError, match="no longer has the locked data") as caught:
            fetch_data(project, machine=on_hub(machine, hub))
        assert [path for server, path, _ in hub.asked if server == "store"] == []
    (problem,) = caught.value.problems
    assert sha256_bytes(b"replaced") in problem.message
    assert sha256_bytes(FILES["train/0.bin"]) in problem.message


def test_nothing_is_written_through_a_link_below_the_data(tmp_path: Path, machine: Machine) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        (tmp_path / "outside").mkdir()
        (project.folder / "data/images").mkdir(parents=True)
        (project.folder / "data/images/train").symlink_to(tmp_path / "outside")

        with pytest.raises(EnvbuildError, match="cannot be used as data"):
            fetch_data(project, machine=on_hub(machine, hub))
    assert list((tmp_path / "outside").iterdir()) == []


def test_nothing_is_written_outside_of_the_project_unless_that_is_allowed(
    tmp_path: Path, machine: Machine
) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        (tmp_path / "disk").mkdir()
        (project.folder / "data").mkdir(exist_ok=True)
        (project.folder / "data/images").symlink_to(tmp_path / "disk")

        with pytest.raises(UsageError, match="lies outside of the project"):
            fetch_data(project, machine=on_hub(machine, hub))
        assert list((tmp_path / "disk").iterdir()) == []

        fetch_data(project, outside=True, machine=on_hub(machine, hub))
    assert contents(tmp_path / "disk") == FILES
    assert (project.folder / "data/images").is_symlink()


def test_nothing_is_written_into_a_folder_of_git(tmp_path: Path, machine: Machine) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        (project.folder / ".git").mkdir()
        (project.folder / "data").mkdir(exist_ok=True)
        # as a commit can have it
        (project.folder / "data/images").symlink_to("../.git")

        with pytest.raises(UsageError, match="leads into a folder of git"):
            fetch_data(project, outside=True, machine=on_hub(machine, hub))
        with pytest.raises(UsageError, match="leads into a folder of git"):
            lock_data(project, outside=True, machine=on_hub(machine, hub))
    assert list((project.folder / ".git").iterdir()) == []


def test_an_address_is_locked_and_fetched_and_what_locking_received_is_not_asked_for_again(
    tmp_path: Path, machine: Machine
) -> None:
    with LoopbackServer(answer) as server:
        project = data_project(
            tmp_path / "train", f'name = "weights"\nurl = "{served_at(server)}"\npath = "models/w.bin"'
        )
        lock_data(project, machine=machine)
        (locked,) = read_project_lock(project).data
        assert (locked.size, locked.files, locked.source) == (len(CONTENT), 1, served_at(server))
        assert manifest_path(project, "weights").read_text() == f"{sha256_bytes(CONTENT)}  w.bin\n"
        server.requests.clear()

        assert fetch_data(project, machine=machine).data[0].fetched == 1

        assert server.requests == []
    assert (project.folder / "models/w.bin").read_bytes() == CONTENT
    assert [path.name for path in (project.folder / "models").iterdir()] == ["w.bin"]


def test_what_broke_off_is_resumed(tmp_path: Path, machine: Machine) -> None:
    faults = Faults(drop={"weights.bin": 1})
    with LoopbackServer(answer, faults=faults) as server:
        project = data_project(tmp_path / "train", f'name = "weights"\nurl = "{served_at(server)}"')
        lock_data(project, machine=machine)
        (partial,) = (project.folder / "data/.weights.partial").iterdir()
        os.truncate(partial, 1_000_000)
        server.requests.clear()

        fetch_data(project, machine=machine)

        assert [request.range for request in server.requests] == ["bytes=1000000-"]
    assert (project.folder / "data/weights").read_bytes() == CONTENT


def test_a_partial_file_of_other_content_is_fetched_anew(tmp_path: Path, machine: Machine) -> None:
    with LoopbackServer(answer) as server:
        project = data_project(tmp_path / "train", f'name = "weights"\nurl = "{served_at(server)}"')
        lock_data(project, machine=machine)
        (partial,) = (project.folder / "data/.weights.partial").iterdir()
        partial.write_bytes(b"?" * len(CONTENT))

        fetch_data(project, machine=machine)
    assert (project.folder / "data/weights").read_bytes() == CONTENT


def test_the_digest_in_the_spec_is_kept(tmp_path: Path, machine: Machine) -> None:
    with LoopbackServer(answer) as server:
        url = served_at(server)
        right, wrong = sha256_bytes(CONTENT), sha256_bytes(b"other")
        project = data_project(tmp_path / "train", f'name = "w"\nurl = "{url}"\nsha256 = "{wrong}"')
        with pytest.raises(IntegrityError, match=f"{wrong} expected, got {right}"):
            lock_data(project, machine=machine)

        lock_data(ask_for(project, f'name = "w"\nurl = "{url}"\nsha256 = "{right}"'), machine=machine)
    assert read_project_lock(project).data[0].files == 1


def test_a_file_replaced_at_its_address_is_refused(tmp_path: Path, machine: Machine) -> None:
    content = [CONTENT]
    with LoopbackServer(lambda _: Answer(content=content[0])) as server:
        project = data_project(tmp_path / "train", f'name = "weights"\nurl = "{served_at(server)}"')
        lock_data(project, machine=machine)
        (partial,) = (project.folder / "data/.weights.partial").iterdir()
        partial.unlink()
        content[0] = CONTENT[::-1]

        with pytest.raises(IntegrityError, match="not the locked file"):
            fetch_data(project, machine=machine)
    assert not (project.folder / "data/weights").exists()


def test_offline_nothing_is_asked(tmp_path: Path, machine: Machine) -> None:
    with LoopbackServer(answer) as server:
        project = data_project(tmp_path / "train", f'name = "weights"\nurl = "{served_at(server)}"')
        lock_data(project, machine=machine)
        server.requests.clear()
        with pytest.raises(NetworkError, match="--offline forbids"):
            fetch_data(project, machine=replace(machine, offline=True))
        assert server.requests == []


def test_without_room_nothing_is_asked(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = hub_project(tmp_path / "train")
    with played_hub() as hub:
        lock_data(project, machine=on_hub(machine, hub))
        monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage())
        hub.asked.clear()
        with pytest.raises(EnvbuildError, match=r"500 kB more are needed, 1 B are free"):
            fetch_data(project, machine=on_hub(machine, hub))
    assert [path for server, path, _ in hub.asked if server == "store"] == []


class _Usage:
    free = 1


def test_data_that_is_just_there_cannot_be_fetched(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    assert [item.fetched for item in fetch_data(project, machine=machine).data] == [0, 0]
    (project.folder / "model.bin").unlink()

    with pytest.raises(EnvbuildError, match="knows nowhere to fetch it"):
        fetch_data(project, machine=machine)
    assert fetch_data(project, ["images"], machine=machine).data[0].name == "images"


def test_a_manifest_that_lies_is_refused(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    file = manifest_path(project, "model")
    text = file.read_text()
    for other in (text.replace("model.bin", "../../.ssh/authorized_keys"), text * 2, "", "x" * 1000):
        file.write_text(other)
        with pytest.raises(IntegrityError, match="not the locked manifest") as caught:
            fetch_data(project, machine=machine)
        assert sha256_bytes(other.encode()) in caught.value.message
    file.unlink()
    with pytest.raises(LockMissingError, match="the manifest of `model`"):
        fetch_data(project, machine=machine)


@pytest.mark.parametrize("content", ["../up", "/etc/passwd", "a\\/b"])
def test_a_lock_and_manifest_that_agree_on_an_unsafe_path_are_refused(
    project: Project, machine: Machine, content: str
) -> None:
    lock_data(project, machine=machine)
    file, (_, model) = manifest_path(project, "model"), read_project_lock(project).data
    file.write_text(f"{'a' * 64}  {content}\n")
    lock = project.lock.read_text()
    project.lock.write_text(lock.replace(model.digest, f"sha256:{sha256_bytes(file.read_bytes())}"))

    with pytest.raises(IntegrityError, match="line 1 of envbuild"):
        fetch_data(project, machine=machine)


def test_without_dvc_its_command_is_said(tmp_path: Path, machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "one"\npath = "one"\ndvc = "one.dvc"')
    write_files(project.folder, {"one": b"content"})
    md5 = "9a0364b9e99bb480dd25e1f0284c8555"
    (project.folder / "one.dvc").write_text(f"outs:\n- md5: {md5}\n  size: 7\n  hash: md5\n  path: one\n")
    lock_data(project, machine=machine)
    assert read_project_lock(project).data[0].md5 == md5
    (project.folder / "one").unlink()

    with pytest.raises(ToolMissingError, match="kept by DVC") as caught:
        fetch_data(project, machine=machine)
    assert caught.value.hint is not None
    assert "dvc pull one.dvc" in caught.value.hint


def test_a_pointer_that_moved_on_is_not_pulled(tmp_path: Path, machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "one"\npath = "one"\ndvc = "one.dvc"')
    write_files(project.folder, {"one": b"content"})
    pointer = "outs:\n- md5: {}\n  hash: md5\n  path: one\n"
    (project.folder / "one.dvc").write_text(pointer.format("9a0364b9e99bb480dd25e1f0284c8555"))
    lock_data(project, machine=machine)
    (project.folder / "one").unlink()
    (project.folder / "one.dvc").write_text(pointer.format("b" * 32))

    with pytest.raises(IntegrityError, match="no longer names what is locked"):
        fetch_data(project, machine=machine)


def test_files_that_are_no_sources_have_no_size_to_sort_by() -> None:
    files = [RemoteFile(path=path, key=path, size=size) for path, size in (("a", None), ("b", 1), ("c", 2))]

    assert [file.path for file in receiving._largest_first(files)] == ["c", "b", "a"]
