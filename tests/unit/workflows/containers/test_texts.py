"""Options of a container in the forms that docker knows."""

from pathlib import Path

import pytest

from envbuild.errors import UsageError
from envbuild.image.container_options import Mount, PublishedPort
from envbuild.workflows.containers.texts import (
    parse_copy_out,
    parse_cpus,
    parse_mount,
    parse_port,
    parse_size,
    parse_workdir,
    read_env_file,
    unset_variables,
    variables_of,
)


@pytest.mark.parametrize(
    ("text", "target", "read_only"),
    [
        ("data:/data", "/data", False),
        ("data:/data/:ro", "/data", True),
        ("data://data", "/data", False),
        ("./data:/a/b:rw", "/a/b", False),
        ("{here}/data:/data", "/data", False),
        ("type=bind,source=data,target=/data,readonly", "/data", True),
        ("src=data,dst=/data", "/data", False),
        ("type=bind,src={here}/data,destination=/data,ro=true", "/data", True),
        ("type=bind,src=data,dst=/data,readonly=false", "/data", False),
        ("a:b:/data", "/data", False),
    ],
)
def test_mounts_of_folders(tmp_path: Path, text: str, target: str, read_only: bool) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a:b").mkdir()
    source = tmp_path / ("a:b" if text.startswith("a:b") else "data")
    expected = Mount(target=target, source=source.resolve(), read_only=read_only)
    assert parse_mount(text.format(here=tmp_path), tmp_path) == expected


def test_a_mount_of_memory(tmp_path: Path) -> None:
    assert parse_mount("type=tmpfs,target=/scratch", tmp_path) == Mount(target="/scratch")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no source and target"),
        ("data", "no source and target"),
        (":/data", "no source and target"),
        ("data:relative", "absolute path"),
        ("data:/", "nothing can be mounted at /"),
        ("data:/a/../b", "absolute path"),
        ("data:///", "nothing can be mounted at /"),
        ("data://proc/sys", "nothing can be mounted at /proc/sys"),
        ("data:/dev/", "nothing can be mounted at /dev"),
        ("~nobody-here/x:/data", "no home for `~nobody-here`"),
        ("x" * 300 + ":/data", "there is no xxx"),
        ("a\0b:/data", "there is no a"),
        ("data:/a:rx", "absolute path"),
        ("none:/data", "there is no none"),
        ("type=volume,source=v,target=/data", "volumes outlive"),
        ("type=npipe,source=v,target=/data", "type is bind or tmpfs"),
        ("type=tmpfs,source=data,target=/data", "tmpfs has no source"),
        ("type=bind,target=/data", "bind needs a source"),
        ("type=bind,source=data,target=/data,colour=red", "`colour` is not known"),
        ("type=bind,source=data,src=data,target=/data", "`src` is there twice"),
        ("type=bind,source=,target=/data", "`source` has no value"),
        ("src=data,dst=/data,ro=maybe", "`ro` is true or false"),
    ],
)
def test_what_is_no_mount(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(UsageError, match=problem) as raised:
        parse_mount(text, tmp_path)
    assert raised.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("80", PublishedPort(container=80)),
        ("8080:80", PublishedPort(container=80, host=8080)),
        (
            "127.0.0.1:8080:80/udp",
            PublishedPort(container=80, host=8080, address="127.0.0.1", protocol="udp"),
        ),
        ("127.0.0.1::80", PublishedPort(container=80, address="127.0.0.1")),
        ("[::1]:8080:80", PublishedPort(container=80, host=8080, address="::1")),
    ],
)
def test_ports(text: str, port: PublishedPort) -> None:
    assert parse_port(text) == port
    assert str(port) == text


@pytest.mark.parametrize(
    "text", ["", "0", "x", "65536", "80:", "1:2:3", "8080:80/sctp", "a:1:2", "9" * 5000, "٣"]
)
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(UsageError, match="--publish"):
        parse_port(text)


@pytest.mark.parametrize(
    ("text", "size"), [("64", 64), ("512m", 512 << 20), ("2G", 2 << 30), ("1.5GiB", 3 << 29), ("8kb", 8192)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size("--memory", text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "2x", "m", "99999999t", "1e9", "nan", "9" * 400, "٣"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="--memory"):
        parse_size("--memory", text)


def test_cpus() -> None:
    assert [parse_cpus(text) for text in ("2", "0.5", ".25")] == [2, 0.5, 0.25]
    for text in ("", "0", "-1", "nan", "inf", "1e3", "two", "٣"):
        with pytest.raises(UsageError, match="--cpus"):
            parse_cpus(text)


def test_what_comes_back_and_where_to(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()

    def copied(text: str) -> tuple[str, Path]:
        found = parse_copy_out(text, workdir="/workspace", folder=tmp_path)
        return found.path, found.destination

    assert copied("out") == ("/workspace/out", tmp_path / "out")
    assert copied("out/") == ("/workspace/out", tmp_path / "out")
    assert copied("/srv/out:new") == ("/srv/out", tmp_path / "new")
    assert copied("out:there") == ("/workspace/out", tmp_path / "there/out")
    for text in ("", ":x", "out:", "/", "..", "a/../../b", "out:~nobody-here/x"):
        with pytest.raises(UsageError, match="--copy-out"):
            copied(text)


def test_where_it_starts() -> None:
    assert parse_workdir("/data/") == "/data"
    for text in ("", "data", "/a/../b"):
        with pytest.raises(UsageError, match="--workdir"):
            parse_workdir(text)


def test_variables() -> None:
    assert variables_of(["A=1", "B", "C=", "NONE"], {"B": "here"}) == {"A": "1", "B": "here", "C": ""}


def test_names_that_pass_nothing():
    assert unset_variables(["A=1", "B", "C=", "NONE"], {"B": "here"}) == ("NONE",)


@pytest.mark.parametrize("item", ["", "=secret"])
def test_a_variable_without_a_name(item: str) -> None:
    with pytest.raises(UsageError, match="has no name") as raised:
        variables_of(["A=1", item], {})
    assert "secret" not in raised.value.message


def test_a_file_of_variables(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_bytes(b"\xef\xbb\xbf# remark\r\n\r\nA=1 # kept\r\n  B='q'\r\nHERE\r\nNONE\nA=2\nEMPTY=\n")
    found = read_env_file(path, {"HERE": "value"})
    assert found == {"A": "2", "B": "'q'", "HERE": "value", "EMPTY": ""}


@pytest.mark.parametrize("line", ["pass word=secret", "=secret", "1A=secret", "export A=secret", "A secret"])
def test_a_file_that_is_none_is_named_with_its_line_and_no_secret(tmp_path: Path, line: str) -> None:
    path = tmp_path / "env"
    path.write_text(f"A=1\n{line}\n")
    with pytest.raises(UsageError, match=f"{path}, line 2") as raised:
        read_env_file(path, {})
    assert "secret" not in f"{raised.value.message} {raised.value.hint} {raised.value.detail}"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_env_file(tmp_path / "none", {})
    with pytest.raises(UsageError, match="is no path"):
        read_env_file(tmp_path / "a\0b", {})
    with pytest.raises(UsageError, match="is a directory"):
        read_env_file(tmp_path, {})
    (tmp_path / "binary").write_bytes(b"A=\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_env_file(tmp_path / "binary", {})
