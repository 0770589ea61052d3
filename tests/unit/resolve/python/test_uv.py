import subprocess
from pathlib import Path

import pytest
import uv
from packaging.utils import canonicalize_name
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64, ARM64, Platform
from envbuild.process import ProgramMissingError
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.resolve.python.backend import Pin, Question
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import MANYLINUX_MINORS, UvResolver, uv_platform
from tests.rig.desk import TARGET, Desk
from tests.rig.index import PackageIndex, make_wheel


def uv_help() -> str:
    command = [uv.find_uv_bin(), "pip", "compile", "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("platform", "family", "version", "expected"),
    [
        (AMD64, "glibc", "2.36", "x86_64-manylinux_2_36"),
        (ARM64, "glibc", "2.41", "aarch64-manylinux_2_40"),
        (AMD64, "glibc", "2.30", "x86_64-manylinux_2_28"),
        (AMD64, "glibc", "2.12", "x86_64-manylinux_2_17"),
        (ARM64, "musl", "1.2", "aarch64-unknown-linux-musl"),
    ],
)
def test_a_target_is_asked_for_by_the_newest_platform_it_can_load(
    platform: Platform, family: str, version: str, expected: str
) -> None:
    libc = Libc.model_validate({"family": family, "version": version})
    assert uv_platform(TargetPython(platform, libc, "3.11.2")) == expected


def test_uv_knows_every_platform_we_name() -> None:
    known = uv_help()
    for machine in ("x86_64", "aarch64"):
        assert f"{machine}-unknown-linux-musl" in known
        for minor in MANYLINUX_MINORS:
            assert f"{machine}-manylinux_2_{minor}" in known


def test_uvs_built_in_index_is_pips() -> None:
    # a machine that names no index leaves each tool its own
    assert f"(by default: <{PYPI_SIMPLE_ENDPOINT.rstrip('/')}>)" in uv_help()


def test_credentials_are_in_no_argument_and_no_file(desk: Desk, tmp_path: Path) -> None:
    make_wheel(desk.folder, "app", "1.0")
    seen = tmp_path / "seen"
    seen.mkdir()
    spy = tmp_path / "uv-spy"
    # keeps what it was given, then is uv
    spy.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{seen}/arguments\ncp ./* {seen}/\nexec {uv.find_uv_bin()} "$@"\n'
    )
    spy.chmod(0o755)
    with PackageIndex(desk.folder, auth=("reader", "s3cret")) as guarded:
        url = guarded.index_url.replace("://", "://reader:s3cret@")
        configuration = ClientConfiguration(default_url=url)
        corp = configuration.address("corp", url)
        question = Question(
            requirements=("app",),
            constraints=("app<2",),
            target=TARGET,
            default=configuration.address("default"),
            indexes=(corp,),
            sources={canonicalize_name("app"): "corp"},
            preferred=(Pin(name=canonicalize_name("app"), version="1.0"),),
        )
        resolver = UvResolver(configuration, environment=desk.environment, program=spy)
        assert [pin.version for pin in resolver.resolve(question)] == ["1.0"]
    kept = {path.name: path.read_text() for path in seen.iterdir()}
    assert sorted(kept) == ["answer.txt", "arguments", "constraints.txt", "pyproject.toml"]
    assert f'url = "{guarded.url}/simple"' in kept["pyproject.toml"]
    assert not [name for name, text in kept.items() if "s3cret" in text]


def test_a_uv_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(uv, "find_uv_bin", missing)
    question = Question(requirements=("app",), target=TARGET)
    with pytest.raises(ProgramMissingError) as caught:
        UvResolver(ClientConfiguration(), environment={}).resolve(question)
    assert caught.value.message == "`uv` is not installed"
