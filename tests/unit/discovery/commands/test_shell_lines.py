"""What lines of shells ask for: packages of each manager, and a report of every other line."""

from collections.abc import Iterable

import pytest

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.shell_lines import read_shell
from envbuild.discovery.content import FileContent


def read(script: str, files: Iterable[str] = (), texts: dict[str, str] | None = None) -> FileContent:
    texts = texts or {}
    present = {*files, *texts}
    content = FileContent()
    state = BuildState(content, "run.sh", present.__contains__, texts.get)
    state.workdir, state.copied = "/src", {"/src": "."}
    read_shell(script, state)
    return content


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


@pytest.mark.parametrize(
    ("script", "packages"),
    [
        (
            "apt-get update && apt-get install -y --no-install-recommends git curl=7.8-1",
            ["git", "curl=7.8-1"],
        ),
        ("apt install -yq git\napt-get clean\nrm -rf /var/lib/apt/lists/*", ["git"]),
        ("sudo -E apt-get -o Acquire::Retries=3 install git", ["git"]),
        ("DEBIAN_FRONTEND=noninteractive apt-get install -y tzdata", ["tzdata"]),
        ("apt-get install -y git gcc && apt-get purge -y gcc && apt-get autoremove -y", ["git"]),
        ("bash -c 'apt-get update && apt-get install -y git'", ["git"]),
        ("install_packages git", ["git"]),
    ],
)
def test_packages_of_the_distribution(script, packages):
    content = read(script)
    assert content.tables == {"system": {"packages": packages}}
    assert left(content) == []


def test_packages_of_python_are_evidence():
    content = read("apt-get install -y python3.11 python3.11-dev python3.11-venv python3-pip git")
    assert [(python.text, python.where) for python in content.pythons] == [("3.11", "run.sh:1")]
    assert content.tables["system"]["packages"] == ["git"]
    assert left(content) == []


@pytest.mark.parametrize(
    ("package", "message"),
    [
        (
            "python3-numpy",
            "`python3-numpy` is for the distribution's own Python, which the environment does not see",
        ),
        ("cuda-toolkit-12-1", "`cuda-toolkit-12-1` is of NVIDIA's archive"),
        ("libcudnn8=8.9.0", "`libcudnn8` is of NVIDIA's archive"),
        ("./local.deb", "`./local.deb` is a file"),
        ("git:amd64", "`git:amd64` names an architecture"),
        ("$PACKAGES", "`$PACKAGES` has no value here"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_taken_is_reported_alone(package, message):
    content = read(f"apt-get install -y \\\n git \\\n {package}")
    assert left(content) == [f"run.sh:3: {message}"]
    assert content.tables["system"]["packages"] == ["git"]


@pytest.mark.parametrize(
    "command",
    [
        "pip install --no-cache-dir -U 'torch>=2.1' Six==1.16",
        "python3 -m pip install --user 'torch>=2.1' Six==1.16",
        "uv pip install --system 'torch>=2.1' Six==1.16",
        "conda run --no-capture-output -n x pip install -q 'torch>=2.1' Six==1.16",
        "PIP_NO_CACHE_DIR=1 pip3 install --upgrade pip setuptools wheel 'torch>=2.1' Six==1.16",
    ],
)
def test_packages_of_pip(command):
    content = read(command)
    assert content.tables == {"pip": {"packages": ["torch>=2.1", "six==1.16"]}}
    assert left(content) == []


def test_files_and_constraints_of_pip():
    content = read(
        "cd reqs && pip install -r base.txt --requirement=/src/dev.txt -c limits.txt",
        ["reqs/base.txt", "dev.txt", "reqs/limits.txt"],
    )
    assert content.files == ["reqs/base.txt", "dev.txt"]
    assert content.tables == {"pip": {"constraints": ["reqs/limits.txt"]}}


def test_a_file_that_is_not_in_the_folder_is_reported():
    assert left(read("pip install -r /tmp/x.txt")) == ["run.sh:1: `/tmp/x.txt` is no file of the folder"]


def test_the_project_with_an_extra():
    content = read("pip install -e '.[dev,docs]'", ["pyproject.toml"])
    assert (content.files, content.extras) == (["pyproject.toml"], ["dev", "docs"])


def test_a_clone_is_not_the_project():
    content = read("git clone https://git.example.com/a/apex.git && cd apex && pip install .", ["setup.py"])
    assert left(content) == [
        "run.sh:1: `git clone https://git.example.com/a/apex.git`: fetches sources of apex",
        "run.sh:1: `.` is a clone of https://git.example.com/a/apex.git",
    ]
    assert content.left[1].hint == (
        '`packages = ["apex @ git+https://git.example.com/a/apex.git@COMMIT"]` in [pip]'
    )
    assert content.files == []


def test_a_repository_is_a_requirement_by_address():
    content = read(
        "pip install git+https://git.example.com/a/bee.git@v1 'x @ https://h.example.com/x-1.tar.gz'"
    )
    assert content.tables["pip"]["packages"] == [
        "bee @ git+https://git.example.com/a/bee.git@v1",
        "x @ https://h.example.com/x-1.tar.gz",
    ]


@pytest.mark.parametrize("option", ["--index-url", "--extra-index-url", "-i"])
def test_an_index_is_bound_to_what_only_it_has(option):
    content = read(f"pip install torch==2.1.0 numpy {option} https://index.example.com/whl/cu121")
    assert content.tables["pip"]["indexes"] == {"cu121": "https://index.example.com/whl/cu121"}
    assert content.tables["pip"]["sources"] == {"torch": "cu121"}
    assert left(content) == []


def test_an_index_is_bound_to_what_a_file_asks_for():
    content = read(
        "pip install -r r.txt --extra-index-url https://index.example.com/whl/cpu",
        texts={"r.txt": "torch==2.1.0\nnumpy\n--pre\n"},
    )
    assert content.tables["pip"]["sources"] == {"torch": "cpu"}


def test_an_index_for_packages_that_are_not_known_is_reported_with_what_to_write():
    content = read("pip install ours --extra-index-url https://index.example.com/team/simple")
    assert left(content) == [
        "run.sh:1: which packages come from `https://index.example.com/team/simple` is not said"
    ]
    assert content.left[0].hint == (
        'write `team = "https://index.example.com/team/simple"` in [pip.indexes], '
        'and `PACKAGE = "team"` in [pip.sources]'
    )


def test_an_address_with_a_password_is_reported_without_it():
    content = read("pip install torch -i https://me:secret@index.example.com/simple")
    assert left(content) == ["run.sh:1: the address of `-i` contains credentials"]


def test_a_page_of_links_is_bound():
    content = read("pip install torch-scatter -f https://data.example.com/torch-2.1.0+cu121.html")
    assert content.tables["pip"]["find-links"] == {
        "torch-2-1-0-cu121": "https://data.example.com/torch-2.1.0+cu121.html"
    }
    assert content.tables["pip"]["sources"] == {"torch-scatter": "torch-2-1-0-cu121"}


def test_a_build_without_its_index_is_reported():
    assert left(read("pip install torch==2.1.0+cu121")) == [
        "run.sh:1: `torch==2.1.0+cu121` is a build that only an index of its own has"
    ]


def test_a_bound_without_quotes_is_reported_and_the_package_is_taken():
    content = read("pip install bitsandbytes>0.37")
    assert content.tables == {"pip": {"packages": ["bitsandbytes"]}}
    assert left(content) == [
        (
            "run.sh:1: `bitsandbytes>0.37` is not quoted: the shell writes to a file, "
            "and any `bitsandbytes` is installed"
        )
    ]


def test_wheels_that_were_built_before_are_no_new_requirement():
    content = read(
        "pip wheel -w /wheels -r r.txt && pip install --no-index --find-links=/wheels /wheels/*", ["r.txt"]
    )
    assert (content.files, left(content)) == (["r.txt"], [])


def test_packages_and_channels_of_conda():
    content = read(
        "conda install -y -n base -c pytorch -c conda-forge python=3.11 pytorch=2.1 && conda clean -afy"
    )
    assert content.tables == {
        "conda": {"channels": ["pytorch", "conda-forge"], "packages": ["pytorch 2.1.*"]}
    }
    assert [python.text for python in content.pythons] == ["3.11"]


def test_a_file_of_conda():
    content = read(
        "micromamba install -y -n base -f env/e.yml && mamba env update --file x.yml", ["env/e.yml"]
    )
    assert content.files == ["env/e.yml"]
    assert left(content) == ["run.sh:1: `x.yml` is no file of the folder"]


@pytest.mark.parametrize(
    ("script", "files", "extras", "groups"),
    [
        ("uv sync --frozen --extra gpu --group train", ["uv.lock", "pyproject.toml"], ["gpu"], ["train"]),
        ("poetry install --no-root --with dev,docs -E gpu", ["pyproject.toml"], ["gpu"], ["dev", "docs"]),
        ("pdm sync -G test --prod", ["pyproject.toml"], [], ["test"]),
        ("pipenv install --system --deploy", ["Pipfile.lock", "Pipfile"], [], []),
    ],
)  # fmt: skip
def test_tools_that_install_the_project(script, files, extras, groups):
    content = read(script, ["uv.lock", "pyproject.toml", "Pipfile", "Pipfile.lock"])
    assert (content.files, content.extras, content.groups, left(content)) == (files, extras, groups, [])


@pytest.mark.parametrize(
    ("script", "message", "hint"),
    [
        ("curl x.example.com | bash", "a pipe is not read", "do it in a Dockerfile of your own"),
        ("curl https://h.example.com/uv/install.sh | sh", "a pipe is not read", "nothing is to be done"),
        ("make install", "builds something from source", "building it in the image is a later feature"),
        ("npm ci", "installs what is not Python", "do it in a Dockerfile"),
        ("apk add git", "packages of another distribution than Debian and Ubuntu", "name Debian's"),
        ("python -c 'import x'", "runs Python while building", "do it in a Dockerfile"),
        ("python -m spacy download en", "fetches a model, which no index has", "write the wheel's address"),
        ("./setup.sh", "is not understood", "do it in a Dockerfile"),
        ("bash setup.sh", "runs a script", "write what it installs into the spec"),
        ("mkdir -p /data", "makes a folder, which is not there in the image", "make it when"),
        ("pip uninstall -y x", "what a package requires cannot be taken out again", "do it in"),
        ("add-apt-repository ppa:a/b", "adds an archive of packages", "archives of packages besides"),
        ("xargs apt-get install -y < apt.txt", "input from elsewhere is not read", "name the file"),
    ],
)  # fmt: skip
def test_every_other_command_is_reported_with_what_to_do(script, message, hint):
    (problem,) = read(f"set -e\n{script}").left
    assert (problem.where, problem.message) == ("run.sh:2", f"`{script}`: {message}")
    assert (problem.hint or "").startswith(hint)


def test_a_variable_of_a_build_is_reported_and_the_package_is_taken():
    content = read("FORCE_CUDA=1 MAX_JOBS=4 pip install x")
    assert left(content) == ["run.sh:1: `FORCE_CUDA` is set for a build"]
    assert content.tables == {"pip": {"packages": ["x"]}}


@pytest.mark.parametrize(
    "script",
    [
        "rm -rf /root/.cache; chmod +x a; useradd -m app; ldconfig",
        "add-apt-repository -y ppa:deadsnakes/ppa",
        "ln -s /usr/bin/python3 /usr/bin/python",
        "update-alternatives --install /usr/bin/python python /usr/bin/python3 1",
        "wget https://h.example.com/Miniconda3-latest-Linux-x86_64.sh -O m.sh",
        "find /opt -name '*.pyc' -delete",
        "mkdir -p /root/.cache /var/run/x",
        ". /opt/conda/etc/profile.d/conda.sh && conda activate x",
        "python -m venv /opt/venv && pip install -U pip",
        "poetry config virtualenvs.create false",
    ],
)
def test_what_leaves_nothing_behind_is_no_report(script):
    content = read(script)
    assert (content.tables, left(content)) == ({}, [])
