import ast
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envbuild.digest import sha256_bytes
from envbuild.lock.image_paths import IMAGE_LOCK
from envbuild.verify.checks import read_facts
from envbuild.verify.probe.main import LOCK
from envbuild.verify.probe_bundle import build_probe, facts_arguments, probe_arguments
from tests.rig.hostile import HOSTILE, harm_in
from tests.rig.paths import CHECKOUT

pytestmark = pytest.mark.slow


def pythons() -> list[str]:
    """Return every interpreter here that the probe has to run on: this one, the system's, pyenv's."""
    found = {sys.executable, *map(str, Path.home().glob(".pyenv/versions/3.*/bin/python"))}
    found |= {str(path) for path in (Path("/usr/bin/python3"),) if path.exists()}
    usable: dict[str, str] = {}
    for python in sorted(found):
        said = subprocess.run(
            [python, "-I", "-S", "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
            capture_output=True,
            text=True,
            check=False,
        )
        version = said.stdout.strip()
        if said.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 10):
            usable.setdefault(version, python)
    return list(usable.values())


PYTHONS = pythons()


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "probe.pyz"
    path.write_bytes(build_probe())
    return path


def run(python: str, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([python, "-I", "-S", "-B", *arguments], capture_output=True, check=False, **options)


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    script = (
        "import sys; from envbuild.verify.probe_bundle import build_probe; "
        "sys.stdout.buffer.write(build_probe())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(CHECKOUT), "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"},
        cwd=tmp_path,
        umask=0o077,
        capture_output=True,
        check=True,
    )
    assert elsewhere.stdout == build_probe()


def test_members_are_sorted_stored_and_without_time() -> None:
    with zipfile.ZipFile(io.BytesIO(build_probe())) as archive:
        members = archive.infolist()
        names = archive.namelist()
    assert names == sorted(names)
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.external_attr >> 16 for member in members} == {0o100644}
    assert {"__main__.py", "envbuild/verify/probe/main.py", "envbuild/verify/checks/evaluate.py"} <= set(
        names
    )


def test_only_the_standard_library_is_imported() -> None:
    with zipfile.ZipFile(io.BytesIO(build_probe())) as archive:
        sources = {name: archive.read(name) for name in archive.namelist()}
    carried = {name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in sources}
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            for module in modules:
                assert module in carried or module.partition(".")[0] in sys.stdlib_module_names, (
                    name,
                    module,
                )


@pytest.mark.parametrize("python", PYTHONS)
def test_facts_on_every_python(probe: Path, python: str, tmp_path: Path) -> None:
    prefix = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", "--without-pip", prefix], check=True)
    environment = {**os.environ, "ASKED": "yes", "HIDDEN": "hunter2"}
    arguments = facts_arguments(prefix=str(prefix), variables=["ASKED"])
    done = run(python, probe, *arguments, env=environment)
    assert done.stderr == b""
    facts = read_facts(json.loads(done.stdout))
    assert done.stdout.isascii()
    assert b"hunter2" not in done.stdout
    assert facts.variables.values == {"ASKED": "yes"}
    assert facts.environment.python is not None
    assert facts.environment.python.executable == facts.interpreter.executable
    assert facts.environment.python.version == facts.interpreter.version
    assert facts.environment.sys_path is not None
    assert any(entry.startswith(f"{prefix}/") for entry in facts.environment.sys_path)
    assert facts.environment.settings is not None
    assert facts.environment.settings["include-system-site-packages"] == "false"
    assert facts.outside_distributions == ()
    assert not list(probe.parent.rglob("__pycache__"))


@pytest.mark.parametrize("python", PYTHONS)
def test_the_probe_runs_from_standard_input(python: str, tmp_path: Path) -> None:
    command = probe_arguments(python, facts_arguments(prefix="/nowhere", variables=()))
    done = subprocess.run(command, input=build_probe(), capture_output=True, check=False, cwd=tmp_path)
    assert done.stderr == b""
    assert read_facts(json.loads(done.stdout)).environment.python is None
    assert not list(tmp_path.iterdir())


@pytest.fixture
def root(tmp_path: Path, projection: dict[str, Any]) -> Path:
    """Return a folder that says of itself what the lock in it says, as far as nothing needs to run."""
    site = tmp_path / "opt/venv/lib/python3.11/site-packages"
    files = {
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n',
        "etc/passwd": f"app:x:{os.getuid()}:{os.getgid()}::/:/bin/sh\n",
        "var/lib/dpkg/status": "\n\n".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: {architecture}"
            for name, version, architecture in (
                ("git", "1:2.39.5-0+deb12u2", "amd64"),
                ("libc6", "2.36-9", "amd64"),
                ("tzdata", "2025a-1", "all"),
            )
        ),
        "opt/venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\nversion = 3.11.2\n",
        "usr/bin/python3.11": "",
    }
    for name, version in (("numpy", "2.1.0"), ("pytz", "2024.2.6")):
        info = f"{site.relative_to(tmp_path)}/{name}-{version}.dist-info"
        files[f"{info}/METADATA"] = f"Name: {name}\nVersion: {version}\n"
        files[f"{info}/INSTALLER"] = "envbuild\n"
    projection["interpreter"]["sha256"] = None
    projection["user"] = {"name": "app", "uid": os.getuid(), "gid": os.getgid()}
    libc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[1]
    projection["base"]["libc"]["version"] = ".".join(libc.split(".")[:2])
    projection["platform"] = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}[os.uname().machine]
    files["etc/envbuild/lock.json"] = json.dumps(projection)
    for path, text in files.items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "opt/venv/bin").mkdir()
    (tmp_path / "opt/venv/bin/python").symlink_to("/usr/bin/python3.11")
    return tmp_path


@pytest.fixture
def environment(projection: dict[str, Any]) -> dict[str, str]:
    return dict(projection["env"])


@pytest.mark.parametrize("python", PYTHONS)
def test_check_agrees_with_the_lock_in_the_image(
    probe: Path, python: str, root: Path, environment: dict[str, str]
) -> None:
    done = run(python, probe, "check", "--root", root, env=environment)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b""), text
    assert text.startswith("train (cpu, linux/")
    assert re.search(r"^\d+ passed$", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("opt/venv/lib/python3.11/site-packages/numpy-2.1.0.dist-info/METADATA", "numpy 2.1.0 → 9"),
        ("var/lib/dpkg/status", "git 1:2.39.5-0+deb12u2 → missing"),
    ],
)
def test_check_names_a_difference_and_ends_with_8(
    probe: Path, root: Path, environment: dict[str, str], change: str, difference: str
) -> None:
    (root / change).write_text("Name: numpy\nVersion: 9\n")
    done = run(sys.executable, probe, "check", "--root", root, env=environment)
    assert done.returncode == 8
    assert f"failed   {difference}" in done.stdout.decode()
    done = run(sys.executable, probe, "check", "--json", "--root", root, env=environment)
    assert done.returncode == 8
    document = json.loads(done.stdout)
    assert not document["succeeded"]
    assert document["counts"]["failed"] >= 1


def test_check_takes_a_profile_and_another_lock(
    probe: Path, root: Path, environment: dict[str, str], projection: dict[str, Any], tmp_path: Path
) -> None:
    lock = json.loads((root / "etc/envbuild/lock.json").read_text())
    lock["wheels"] = lock["wheels"][:1]
    other = tmp_path / "other.json"
    other.write_text(json.dumps(lock))
    arguments = ("check", "--root", root, "--lock", other)
    assert run(sys.executable, probe, *arguments, env=environment).returncode == 8
    done = run(sys.executable, probe, *arguments, "--profile", "devcontainer", env=environment)
    assert done.returncode == 0
    assert "warned   pytz → 2024.2.6 (not in the lock)" in done.stdout.decode()


def test_check_wants_the_lock_of_the_target_it_is_given(
    probe: Path, root: Path, environment: dict[str, str]
) -> None:
    lock = root / "etc/envbuild/lock.json"
    digest = f"sha256:{sha256_bytes(lock.read_bytes())}"
    lock.write_bytes(lock.read_bytes() + b"\n")  # as an image holds it
    arguments = ("check", "--root", root, "--target")
    assert run(sys.executable, probe, *arguments, digest, env=environment).returncode == 0
    done = run(sys.executable, probe, *arguments, f"sha256:{'0' * 64}", env=environment)
    assert done.returncode == 8
    assert done.stdout == b""
    assert f"its target is {digest}, not sha256:0000" in done.stderr.decode()


def test_what_the_probe_says_is_harmless(
    probe: Path, root: Path, environment: dict[str, str], projection: dict[str, Any]
) -> None:
    hostile = HOSTILE.replace("\udc80", "")
    lock = root / "etc/envbuild/lock.json"
    lock.write_text(json.dumps({**projection, "name": hostile, "variant": hostile}))
    for options in ((), ("--json",), ("--require-gpu",), ("--target", hostile), ("--lock", f"/{hostile}")):
        done = run(sys.executable, probe, "check", "--root", root, *options, env=environment)
        said = (done.stdout + done.stderr).decode()
        assert "red" in said
        assert harm_in(said) == []


def test_check_of_an_image_for_cpus_cannot_require_a_gpu(
    probe: Path, root: Path, environment: dict[str, str]
) -> None:
    done = run(sys.executable, probe, "check", "--root", root, "--require-gpu", env=environment)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith("error: --require-gpu, but variant `cpu` locks no GPU\nhint: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "Expecting"),
        ("[]", "document: list instead of dict"),
        ("{}", "name: missing"),
    ],
)
def test_a_lock_that_cannot_be_used_is_an_error_not_a_traceback(
    probe: Path, root: Path, text: str | None, message: str
) -> None:
    lock = root / "etc/envbuild/lock.json"
    lock.unlink() if text is None else lock.write_text(text)
    done = run(sys.executable, probe, "check", "--root", root)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.decode().startswith("error: ")
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_output_does_not_depend_on_the_locale(
    probe: Path, root: Path, environment: dict[str, str], make_wheel: Callable[..., Path]
) -> None:
    (root / "opt/venv/lib/python3.11/site-packages/numpy-2.1.0.dist-info/METADATA").unlink()
    done = run(sys.executable, probe, "check", "--root", root, env={**environment, "LC_ALL": "C"})
    assert done.returncode == 8
    assert "numpy 2.1.0 → (no version)" in done.stdout.decode()


def test_the_probe_looks_for_the_lock_where_images_carry_it() -> None:
    assert LOCK == IMAGE_LOCK
