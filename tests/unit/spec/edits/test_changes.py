"""Where packages are written, and what is refused: on texts alone, without a lock."""

from collections.abc import Mapping

import pytest

from envbuild.spec.edits.changes import EditedTexts, SpecChange, SpecEdits
from envbuild.spec.edits.scopes import Scope
from envbuild.spec.load import parse_toml
from envbuild.spec.problems import RefusedError
from envbuild.spec.validation import validate

HEAD = 'name = "t"\npython = "3.11"\n'
PROJECT = '[project]\nname = "p"\ndependencies = ["numpy"]\n'


def edits_of(files: Mapping[str, str], *, variant: str | None = None) -> SpecEdits:
    file = "envbuild.toml" if "envbuild.toml" in files else "pyproject.toml"
    document = parse_toml(files[file], file)
    table = document if file == "envbuild.toml" else document["tool"]["envbuild"]

    def read(name: str) -> str:
        if name not in files:
            raise RefusedError(f"`{name}` does not exist")
        return files[name]

    texts = EditedTexts(read)
    validated = validate(table)
    assert validated.problems == ()
    return SpecEdits(
        scope=Scope(spec=validated.spec, file=file, read=texts.read, variant=variant), texts=texts
    )


def test_the_list_of_the_spec_comes_first():
    spec = f'{HEAD}[pip]\nrequirements = ["requirements.txt"]\npackages = ["numpy"]\n'
    edits = edits_of({"envbuild.toml": spec, "requirements.txt": "scipy\n"})

    change = edits.add("pandas>=2", "pip")

    assert change == SpecChange(
        kind="pip", name="pandas", old=None, new="pandas>=2", where="pip.packages", file="envbuild.toml"
    )
    assert edits.texts.changed == {"envbuild.toml": spec.replace('"numpy"', '"numpy", "pandas>=2"')}


@pytest.mark.parametrize(
    ("pip", "file", "text"),
    [
        ('requirements = ["requirements.txt"]', "requirements.txt", "scipy\npandas\n"),
        ("project = true", "pyproject.toml", PROJECT.replace('"numpy"', '"numpy", "pandas"')),
        ('extras = ["x"]', "envbuild.toml", f'{HEAD}[pip]\nextras = ["x"]\npackages = ["pandas"]\n'),
        ("wheels-only = true", "envbuild.toml", f'{HEAD}[pip]\nwheels-only = true\npackages = ["pandas"]\n'),
    ],
)
def test_without_a_list_it_goes_where_the_spec_takes_packages_from(pip: str, file: str, text: str):
    files = {
        "envbuild.toml": f"{HEAD}[pip]\n{pip}\n",
        "requirements.txt": "scipy\n",
        "pyproject.toml": PROJECT,
    }
    edits = edits_of(files)

    assert edits.add("pandas", "pip") is not None

    assert edits.texts.changed == {file: text}


def test_of_several_files_one_must_be_chosen():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\nrequirements = ["a.txt", "b.txt"]\n',
        "a.txt": "scipy\n-r c.txt\n",
        "b.txt": "numpy\n",
        "c.txt": "six\n",
    }

    with pytest.raises(RefusedError) as caught:
        edits_of(files).add("pandas", "pip")
    assert caught.value.message == "several files say what is needed: `a.txt` or `b.txt`"

    edits = edits_of(files)
    edits.add("pandas", "pip", to="./c.txt")
    assert edits.texts.changed == {"c.txt": "six\npandas\n"}

    edits = edits_of(files)
    edits.add("pandas", "pip", to="envbuild.toml")
    assert edits.texts.changed == {"envbuild.toml": files["envbuild.toml"] + 'packages = ["pandas"]\n'}

    with pytest.raises(RefusedError, match=r"takes no such packages from `d\.txt`"):
        edits_of(files).add("pandas", "pip", to="d.txt")


def test_what_is_there_is_replaced_where_it_stands():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\nrequirements = ["a.txt"]\npackages = ["Scikit_Learn>=1"]\n',
        "a.txt": "scipy<1  # why\n",
    }
    edits = edits_of(files)

    first, second = edits.add("scikit-learn[all]>=2", "pip"), edits.add("scipy>=1", "pip")

    assert first is not None
    assert second is not None
    assert (first.old, first.new, first.where) == (
        "Scikit_Learn>=1",
        "scikit-learn[all]>=2",
        "pip.packages[0]",
    )
    assert (second.old, second.new, second.where) == ("scipy<1", "scipy>=1", "a.txt:1")
    assert edits.texts.changed["a.txt"] == "scipy>=1  # why\n"
    assert edits.add("scipy>=1", "pip") is None


def test_requirements_with_markers_are_different_ones():
    spec = f"""{HEAD}[pip]\npackages = ["a<2; python_version < '3.12'", "a>=2; python_version >= '3.12'"]\n"""
    edits = edits_of({"envbuild.toml": spec})

    change = edits.add('a<3; python_version<"3.12"', "pip")

    assert change is not None
    assert change.where == "pip.packages[0]"
    with pytest.raises(RefusedError, match="asked for 2 times"):
        edits.add("a", "pip")


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        ("foo!", "pip"),
        ("./here", "pip"),
        ("-r x.txt", "pip"),
        ("a\n[x]", "pip"),
        ("git/testing", "apt"),
        ("a b c d", "conda"),
    ],
)
def test_what_is_no_package_is_refused(package: str, kind):
    edits = edits_of({"envbuild.toml": f'{HEAD}[conda]\nchannels = ["conda-forge"]\n'})

    with pytest.raises(RefusedError):
        edits.add(package, kind)
    assert edits.texts.changed == {}


def test_packages_of_the_distribution_and_of_conda():
    spec = f'{HEAD}[system]\nfiles = ["apt.txt"]\n\n[conda]\nchannels = ["conda-forge"]\n'
    edits = edits_of({"envbuild.toml": spec, "apt.txt": "git\n"})

    edits.add("ffmpeg", "apt")
    edits.add("git=1:2.39", "apt")
    edits.add("conda-forge::numpy >=2", "conda")

    assert edits.texts.changed == {
        "apt.txt": "git=1:2.39\nffmpeg\n",
        "envbuild.toml": f'{spec}packages = ["conda-forge::numpy >=2"]\n',
    }


def test_without_channels_nothing_comes_from_conda():
    with pytest.raises(RefusedError, match=r"the spec has no \[conda\]"):
        edits_of({"envbuild.toml": HEAD}).add("numpy", "conda")


def test_a_file_of_conda_is_read_and_not_edited():
    files = {
        "envbuild.toml": f'{HEAD}[conda]\nfiles = ["environment.yml"]\n',
        "environment.yml": "channels: [conda-forge]\ndependencies:\n  - numpy >=2\n  - pip:\n    - einops\n",
    }

    with pytest.raises(RefusedError) as caught:
        edits_of(files).add("scipy", "conda")
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("write `- scipy` there under `dependencies:` and run `envbuild lock`")

    with pytest.raises(RefusedError) as caught:
        edits_of(files).remove("NumPy", "conda")
    assert caught.value.hint == "delete it there (environment.yml:3) and run `envbuild lock`"

    with pytest.raises(RefusedError, match=r"stands in `environment\.yml`"):
        edits_of(files).remove("einops", "pip")


def test_what_a_setup_py_asks_for_is_named_with_its_file():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\nrequirements = ["setup.py"]\n',
        "setup.py": "from setuptools import setup\nsetup(install_requires=['numpy'])\n",
    }

    with pytest.raises(RefusedError, match=r"stands in `setup\.py`"):
        edits_of(files).remove("numpy", "pip")
    with pytest.raises(RefusedError, match=r"`setup\.py` is read, and not edited"):
        edits_of(files).add("scipy", "pip")


def test_a_group_is_made_and_taken():
    edits = edits_of({"envbuild.toml": f"{HEAD}[pip]\nproject = true\n", "pyproject.toml": PROJECT})

    change = edits.add("pytest", "pip", group="test")

    assert change is not None
    assert change.where == "pyproject.toml: dependency-groups.test"
    assert edits.take_group("test")
    assert edits.texts.changed == {
        "envbuild.toml": f'{HEAD}[pip]\nproject = true\ngroups = ["test"]\n',
        "pyproject.toml": f'{PROJECT}\n[dependency-groups]\ntest = ["pytest"]\n',
    }


def test_a_group_that_another_includes_is_taken_already():
    groups = '[dependency-groups]\ndev = [{ include-group = "Test" }, "ruff"]\ntest = ["pytest"]\n'
    files = {"envbuild.toml": f'{HEAD}[pip]\ngroups = ["dev"]\n', "pyproject.toml": groups}
    edits = edits_of(files)

    edits.add("hypothesis", "pip", group="test")

    assert not edits.take_group("test")
    (change,) = edits.remove("pytest", "pip")
    assert change.where == "pyproject.toml: dependency-groups.test[0]"


def test_a_variant_has_the_groups_of_all():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\ngroups = ["test"]\n[variants.a]\n',
        "pyproject.toml": "[dependency-groups]\ntest = []\n",
    }
    edits = edits_of(files, variant="a")

    assert not edits.take_group("test")
    assert edits.texts.changed == {}


def test_a_file_is_the_same_however_the_spec_writes_its_path():
    files = {"envbuild.toml": f'{HEAD}[pip]\nrequirements = ["./x/../a.txt"]\n', "a.txt": "scipy\n"}
    edits = edits_of(files)

    edits.add("pandas", "pip")

    assert edits.texts.changed == {"a.txt": "scipy\npandas\n"}


def test_a_group_needs_a_project_file():
    with pytest.raises(RefusedError, match=r"there is no `pyproject\.toml`"):
        edits_of({"envbuild.toml": HEAD}).add("pytest", "pip", group="test")


def test_a_spec_in_a_project_file_and_its_dependencies_are_one_text():
    text = f'{PROJECT}\n[tool.envbuild]\nname = "t"\npython = "3.11"\npip = {{ project = true }}\n'
    edits = edits_of({"pyproject.toml": text})

    edits.add("scipy", "pip")
    edits.add("git", "apt")

    changed = edits.texts.changed["pyproject.toml"]
    assert changed.startswith(PROJECT.replace('"numpy"', '"numpy", "scipy"'))
    assert changed.endswith('\n\n[tool.envbuild.system]\npackages = ["git"]\n')


def test_a_variant_has_its_own_list():
    spec = f'{HEAD}[pip]\npackages = ["numpy"]\n\n[variants.test]\n'
    edits = edits_of({"envbuild.toml": spec}, variant="test")

    edits.add("pytest", "pip")

    table = '\n[variants.test.pip]\npackages = ["pytest"]\n'
    assert edits.texts.changed == {"envbuild.toml": f"{spec}{table}"}
    assert edits.find("numpy") == []


def test_a_package_is_removed_wherever_it_stands():
    files = {
        "envbuild.toml": f"{HEAD}[pip]\n"
        'requirements = ["a.txt"]\npackages = ["NumPy>=1", "six", "numpy<3"]\n',
        "a.txt": "-r b.txt\n",
        "b.txt": "numpy  # why\nscipy\n",
    }
    edits = edits_of(files)

    changes = edits.remove("numpy", "pip")

    assert [change.where for change in changes] == ["pip.packages[0]", "pip.packages[2]", "b.txt:1"]
    assert edits.texts.changed == {
        "envbuild.toml": files["envbuild.toml"].replace('["NumPy>=1", "six", "numpy<3"]', '["six"]'),
        "b.txt": "scipy\n",
    }


WHEEL = "https://host.example/six-1.17.0-py2.py3-none-any.whl"
GIT = "git+https://host.example/rich.git@main"


@pytest.mark.parametrize("group", [None, "dev"])
@pytest.mark.parametrize(
    ("package", "written"),
    [
        (WHEEL, f"six @ {WHEEL}"),
        (f"{WHEEL} ; python_version < '4'", f'six @ {WHEEL} ; python_version < "4"'),
        (f"{GIT}#egg=Rich", f"rich @ {GIT}"),
        (f"rich@{GIT}", f"rich@{GIT}"),
    ],
)
def test_an_address_has_its_name_in_lists_of_other_tools(package: str, written: str, group: str | None):
    files = {"envbuild.toml": f"{HEAD}[pip]\nproject = true\n", "pyproject.toml": PROJECT}
    edits = edits_of(files)

    change = edits.add(package, "pip", group=group)

    assert change is not None
    assert change.new == written
    document = parse_toml(edits.texts.changed["pyproject.toml"], "pyproject.toml")
    if group is None:
        assert document["project"]["dependencies"] == ["numpy", written]
        assert edits.add(package, "pip") is None
    else:
        assert document["dependency-groups"] == {"dev": [written]}


def test_an_address_without_a_name_is_refused_in_lists_of_other_tools():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\nproject = true\nrequirements = ["a.txt"]\n',
        "pyproject.toml": PROJECT,
        "a.txt": "",
    }
    edits = edits_of(files)

    with pytest.raises(RefusedError, match="has no name before its address") as caught:
        edits.add(GIT, "pip", to="pyproject.toml")
    with pytest.raises(RefusedError, match="has no name before its address"):
        edits.add(GIT, "pip", group="dev")
    assert caught.value.hint == f"write `rich @ {GIT}`, or its right name before the `@`"
    assert edits.texts.changed == {}

    # these are read by tools that take an address alone
    edits.add(GIT, "pip", to="a.txt")
    assert edits.texts.changed == {"a.txt": f"{GIT}\n"}
    own = edits_of(files | {"envbuild.toml": f"{HEAD}[pip]\npackages = []\n"})
    own.add(GIT, "pip")
    assert own.texts.changed == {"envbuild.toml": f'{HEAD}[pip]\npackages = ["{GIT}"]\n'}


OWN_EXTRAS = """[project]
name = "My_P"
dependencies = ["numpy"]

[project.optional-dependencies]
fit = ["six<1.17", "my-p[all]"]
all = ["my.p[fit]", "attrs"]

[dependency-groups]
dev = ["my_p[fit]"]
"""


@pytest.mark.parametrize("pip", ['extras = ["all"]', 'extras = ["all", "fit"]', 'groups = ["dev"]'])
def test_extras_that_the_project_asks_itself_for_are_followed(pip: str):
    files = {"envbuild.toml": f"{HEAD}[pip]\n{pip}\n", "pyproject.toml": OWN_EXTRAS}
    edits = edits_of(files)

    change = edits.add("six", "pip")

    place = "pyproject.toml: project.optional-dependencies.fit[0]"
    assert change is not None
    assert (change.old, change.where) == ("six<1.17", place)
    (removed,) = edits.remove("six", "pip")
    assert removed.where == place
    # the project stands for its dependencies too
    assert [asked.where for _, asked in edits.find("numpy")] == ["pyproject.toml: project.dependencies[0]"]
    assert [asked.text for _, asked in edits.find("attrs")] == ["attrs"]


def test_positions_are_those_of_the_files_as_they_were():
    files = {
        "envbuild.toml": f'{HEAD}[pip]\nrequirements = ["a.txt"]\npackages = ["six", "numpy", "scipy"]\n',
        "a.txt": "attrs\npandas\nnumpy\nscipy\n",
    }
    edits = edits_of(files)

    changes = [
        change
        for name in ("attrs", "pandas", "six", "numpy", "scipy")
        for change in edits.remove(name, "pip")
    ]

    assert [(change.name, change.where) for change in changes] == [
        ("attrs", "a.txt:1"),
        ("pandas", "a.txt:2"),
        ("six", "pip.packages[0]"),
        ("numpy", "pip.packages[1]"),
        ("numpy", "a.txt:3"),
        ("scipy", "pip.packages[2]"),
        ("scipy", "a.txt:4"),
    ]
    assert edits.texts.changed["a.txt"] == ""
    assert edits.find("scipy") == []
