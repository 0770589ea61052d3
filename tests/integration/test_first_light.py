"""From a spec to a verified image, end to end: the real archive, index, engine and packages."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.rig.engine import docker, forget_at_the_end
from tests.rig.filesystem import digest_of_tree, tree_of_image
from tests.rig.index import make_wheel
from tests.rig.running import envbuild

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("first-light"),
]

# a name of its own: another run on the same engine would have the same tag
NAME = f"first-light-{os.getpid()}"

SPEC = f"""\
name = "{NAME}"
python = "3.11"

[base]
packages = "debian:bookworm"

[system]
packages = ["libgomp1", "git"]

[pip]
packages = ["requests", "numpy"]

[image]
env = {{ OMP_NUM_THREADS = "2" }}

[determinism]
seed = 42
"""
SHUFFLED = f"""\
# the same, written by somebody else
python = "3.11"
name = "{NAME}"
determinism.seed = 42
image.env.OMP_NUM_THREADS = "2"
pip.packages = ["numpy", "requests"]
system.packages = ["git", "libgomp1"]
base.packages = "debian:bookworm"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, engine_host):
    folder = tmp_path_factory.mktemp("first-light")
    (folder / "envbuild.toml").write_text(SPEC)
    envbuild("lock", folder=folder)
    return folder


@pytest.fixture(scope="module")
def image(project):
    reference = envbuild("build", folder=project).stdout.strip()
    forget_at_the_end(reference)
    return reference


@pytest.fixture(scope="module")
def tampered(image, tmp_path_factory, engine_host):
    """Change an image in one way after the other and return what `verify` says of all of them."""

    def build(project, dockerfile, files, *verify):
        folder = tmp_path_factory.mktemp("tampered")
        for name, source in files.items():
            shutil.copytree(source, folder / name)
        (folder / "Dockerfile").write_text(f"FROM {image}\nUSER 0\n{dockerfile}\n")
        reference = f"first-light-tampered:{folder.name}"
        forget_at_the_end(reference)
        docker("buildx", "build", "--quiet", "--provenance=false", "--tag", reference, str(folder))
        result = envbuild("verify", "--json", *verify, reference, folder=project, check=False)
        assert result.returncode == 8, result.stderr
        return {
            item["id"]: item for item in json.loads(result.stdout)["results"] if item["outcome"] == "failed"
        }

    return build


def test_locking_twice_and_in_another_order_gives_the_same_bytes(project, tmp_path):
    for spec in (SPEC, SHUFFLED):
        folder = tmp_path / str(len(spec))
        folder.mkdir()
        (folder / "envbuild.toml").write_text(spec)
        envbuild("lock", folder=folder)
        assert (folder / "envbuild.lock").read_bytes() == (project / "envbuild.lock").read_bytes()


def test_the_lock_names_no_host(project):
    assert "://" not in (project / "envbuild.lock").read_text()


def test_a_second_lock_and_build_have_nothing_to_do(project, image):
    before = (project / "envbuild.lock").stat()
    assert "envbuild.lock is up to date" in envbuild("lock", folder=project).stderr
    again = envbuild("build", folder=project)
    assert again.stdout.strip() == image
    assert "nothing to do" in again.stderr
    assert (project / "envbuild.lock").stat().st_mtime_ns == before.st_mtime_ns


def test_the_image_matches_its_lock_to_the_last_file(project, image, tmp_path):
    junit = tmp_path / "report.xml"
    result = envbuild("verify", "--deep", "--json", "--junit", str(junit), folder=project)
    report = json.loads(result.stdout)
    assert {item["outcome"] for item in report["results"]} == {"passed"}
    assert len(report["results"]) > 200
    assert junit.read_text().startswith("<?xml")


def test_the_container_verifies_itself_with_nothing_installed(project, image):
    carried = ["/usr/bin/python3.11", "-I", "-S", "-B", "/etc/envbuild/probe.pyz", "check"]
    result = envbuild("run", "--no-mount", "--", *carried, folder=project)
    assert "differ" not in result.stdout.lower() + result.stderr.lower()


def test_run_passes_the_commands_own_code_and_feeds_it_files(project, image, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import numpy, sys; print(numpy.arange(3).sum()); open('out', 'w'); sys.exit(7)")
    result = envbuild("run", "--copy", str(script), "--", "python", "script.py", folder=project, check=False)
    assert (result.returncode, result.stdout) == (7, "3\n")
    missing = envbuild("run", "--", "no-such-program", folder=project, check=False)
    assert missing.returncode == 125


def test_no_container_is_left_behind(project, image, engine_host):
    envbuild("verify", folder=project)
    assert docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}").stdout == b""


@pytest.mark.long
def test_two_builds_without_cache_are_the_same_image(project, image, engine_host, tmp_path):
    before = digest_of_tree(tree_of_image(engine_host, image))
    identifier = json.loads(envbuild("build", "--json", folder=project).stdout)["image"]
    clone = tmp_path / "elsewhere" / "clone"
    shutil.copytree(project, clone)
    environment = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C"}
    again = envbuild("build", "--no-cache", "--json", folder=clone, environment=environment, umask=0o077)
    assert json.loads(again.stdout)["image"] == identifier
    assert digest_of_tree(tree_of_image(engine_host, image)) == before


def identifier_of(reference):
    return docker("image", "inspect", "--format", "{{.Id}}", reference).stdout


def test_the_rendered_folder_builds_without_envbuild(project, image, engine_host, tmp_path):
    rendered = json.loads(
        envbuild("render", "--output", str(tmp_path / "rendered"), "--json", folder=project).stdout
    )
    command = rendered["command"]
    command[command.index("--tag") + 1] = "first-light-plain:test"
    forget_at_the_end("first-light-plain:test")
    assert command[0] == "docker"
    docker(*command[1:], folder=project)
    assert identifier_of("first-light-plain:test") == identifier_of(image)
    assert tree_of_image(engine_host, "first-light-plain:test") == tree_of_image(engine_host, image)
    envbuild("verify", "--deep", "first-light-plain:test", folder=project)


def test_verify_names_each_change(project, tampered, tmp_path):
    wheel = make_wheel(tmp_path, "stowaway", "6.6.6", files={"stowaway.py": "x = 1\n"})
    installed = tmp_path / "installed"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--target",
            str(installed),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    site = "/opt/venv/lib/python3.11/site-packages"
    failed = tampered(
        project,
        f"COPY installed {site}\n"
        "RUN dpkg --remove --force-depends libgomp1\n"
        f"RUN sed -i 's/^Version: .*/Version: 0.0.1/' {site}/requests-*.dist-info/METADATA "
        f"&& mv {site}/requests-*.dist-info {site}/requests-0.0.1.dist-info\n"
        "ENV OMP_NUM_THREADS=64\n"
        "ENV SURPRISE=1\n"
        "USER root",
        {"installed": installed},
    )
    said = "\n".join(f"{key}: {item['expected']} → {item['found']}" for key, item in failed.items())
    for name in ("stowaway", "libgomp1", "requests", "OMP_NUM_THREADS", "SURPRISE", "user"):
        assert name in said, said
    assert not any("numpy" in key for key in failed), said


def test_deep_verify_names_changed_bytes(project, tampered):
    site = "/opt/venv/lib/python3.11/site-packages"
    script = (
        "import glob, hashlib, base64, py_compile, sys\n"
        f"so = sorted(glob.glob('{site}/numpy/_core/_multiarray_umath*.so'))[0]\n"
        "data = bytearray(open(so, 'rb').read()); data[-1] ^= 1; open(so, 'wb').write(data)\n"
        f"source = '{site}/requests/api.py'\n"
        "pyc = source.replace('api.py', '__pycache__/api.cpython-311.pyc')\n"
        "old = open(pyc, 'rb').read()\n"
        "open('/tmp/api.py', 'w').write(open(source).read().replace('get', 'gat'))\n"
        "new = open(py_compile.compile('/tmp/api.py', '/tmp/api.pyc'), 'rb').read()\n"
        "open(pyc, 'wb').write(old[:16] + new[16:])\n"
        f"changed = '{site}/idna/core.py'\n"
        "open(changed, 'a').write('# changed\\n')\n"
        "data = open(changed, 'rb').read()\n"
        "digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()\n"
        f"record = sorted(glob.glob('{site}/idna-*.dist-info/RECORD'))[0]\n"
        "lines = [f'idna/core.py,sha256={digest},{len(data)}\\n' if l.startswith('idna/core.py,') else l\n"
        "         for l in open(record)]\n"
        "open(record, 'w').writelines(lines)\n"
    )
    failed = tampered(
        project,
        "RUN python -B - <<'SCRIPT'\n" + script + "SCRIPT\nRUN rm -rf /tmp/*\nUSER 1000:1000",
        {},
        "--deep",
    )
    said = "\n".join(f"{key}: {item['title']} {item['reason']}" for key, item in failed.items())
    for name in ("_multiarray_umath", "requests/__pycache__/api", "idna/core.py", "RECORD"):
        assert name in said, said


def test_a_failed_step_is_shown_and_exits_7(project, tmp_path):
    clone = tmp_path / "broken"
    shutil.copytree(project, clone)
    lock = (clone / "envbuild.lock").read_text()
    interpreter = 'path = "/usr/bin/python3.11"'
    assert interpreter in lock
    (clone / "envbuild.lock").write_text(lock.replace(interpreter, 'path = "/usr/bin/python9"'))
    result = envbuild("build", folder=clone, check=False)
    assert result.returncode == 7
    assert "venv.sh" in result.stderr
    assert "python9: not found" in result.stderr


def test_an_image_from_a_registry_is_a_base_too(python_image, engine_host, tmp_path):
    (tmp_path / "envbuild.toml").write_text(
        f"""\
name = "on-an-image"
python = "3.11"
platforms = ["linux/amd64"]
[base]
image = "{python_image.reference}"
[system]
packages = ["libgomp1"]
[pip]
packages = ["six", "numpy"]
"""
    )
    envbuild("lock", folder=tmp_path)
    assert python_image.manifests["linux/amd64"] in (tmp_path / "envbuild.lock").read_text()
    forget_at_the_end(envbuild("build", folder=tmp_path).stdout.strip())
    report = json.loads(envbuild("verify", "--deep", "--json", folder=tmp_path).stdout)
    assert {item["outcome"] for item in report["results"]} <= {"passed", "skipped"}
    shown = envbuild("run", "--", "python", "-c", "import numpy, six; print(six.__name__)", folder=tmp_path)
    assert shown.stdout == "six\n"


def test_push_never_changes_what_a_tag_stands_for(registry, python_image, engine_host, tmp_path):
    (tmp_path / "envbuild.toml").write_text(
        f"""\
name = "pushed"
python = "3.11"
[base]
image = "{python_image.reference}"
[pip]
packages = ["six"]
[image]
repository = "{registry.host}/team/pushed"
"""
    )
    envbuild("lock", folder=tmp_path)
    first = json.loads(envbuild("build", "--push", "--json", folder=tmp_path).stdout)
    reference = first["reference"]
    assert reference.startswith(f"{registry.host}/team/pushed:")
    assert first["pushed"].startswith("sha256:")
    forget_at_the_end(reference)
    again = json.loads(envbuild("build", "--push", "--json", folder=tmp_path).stdout)
    assert (again["built"], again["pushed"]) == (False, first["pushed"])
    impostor = f"FROM {reference}\nUSER 0\nRUN touch /impostor\n"
    build = ("buildx", "build", "--quiet", "--provenance=false", "--tag", reference, "--push", "-")
    docker(*build, stdin=impostor.encode())
    docker("rmi", "--force", reference)
    # its labels are those of the lock, and no more is looked at unless asked for
    believed = envbuild("build", "--push", folder=tmp_path)
    assert "is in the registry already, not verified" in believed.stderr
    assert envbuild("build", "--push", "--verify", folder=tmp_path, check=False).returncode == 8
    refused = envbuild("build", "--push", "--no-cache", folder=tmp_path, check=False)
    assert refused.returncode == 9
    assert f"{reference} already names another image in its registry" in refused.stderr
