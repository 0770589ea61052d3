import tomllib

import pytest

from envbuild.errors import LockInvalidError, LockVersionError
from envbuild.lock.codec import HEADER, VERSION_OF_TABLE, dumps, loads
from envbuild.lock.versions import READ_VERSIONS
from envbuild.spec.request import BaseRequest
from tests.rig.locks import conda_lock, gpu_lock, image_base, sample_lock
from tests.rig.paths import CHECKOUT


@pytest.mark.parametrize(
    "lock",
    [sample_lock(), sample_lock(image_base()), gpu_lock(), conda_lock()],
    ids=["packages", "image", "gpu", "conda"],
)
def test_text_and_value_are_the_same_thing(lock):
    text = dumps(lock)
    assert loads(text) == lock
    assert dumps(loads(text)) == text


def test_a_base_that_was_matched_to_the_gpu_is_none_that_was_asked_for():
    lock = gpu_lock(image_base())
    variant = lock.request.variants["default"].model_copy(update={"base": BaseRequest()})
    request = lock.request.model_copy(update={"variants": {"default": variant}})
    lock = lock.model_copy(update={"request": request})
    assert loads(dumps(lock)) == lock


def test_carriage_returns_change_nothing():
    lock = sample_lock()
    assert loads(dumps(lock).replace("\n", "\r\n")) == lock


def test_every_list_stands_one_item_a_line():
    text = dumps(sample_lock())
    assert '    "joblib-1.5.2-py3-none-any.whl",\n    "numpy-2.3.4-py3-none-any.whl",\n' in text


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5_000], ids=["deep", "digits"])
def test_toml_that_nobody_would_write_is_refused(value):
    with pytest.raises(LockInvalidError, match="not TOML anybody would write"):
        loads(f"version = {value}")


def test_newer_format_asks_for_an_upgrade():
    with pytest.raises(LockVersionError) as caught:
        loads(dumps(sample_lock()).replace("version = 1", "version = 3", 1))
    assert caught.value.message == "the lock has format version 3; this envbuild reads versions 1 and 2"
    assert caught.value.hint == "upgrade envbuild to a release that reads version 3"


def test_an_older_format_asks_to_lock_again():
    with pytest.raises(LockVersionError) as caught:
        loads(dumps(sample_lock()).replace("version = 1", "version = 0", 1))
    assert caught.value.hint == "delete it and run `envbuild lock`"


@pytest.mark.parametrize("lock", [sample_lock(), gpu_lock(), conda_lock()], ids=["packages", "gpu", "conda"])
def test_a_lock_without_tables_of_version_2_is_written_as_version_1(lock):
    text = dumps(lock)
    assert text.startswith(f"{HEADER}version = 1\n")
    later = text.replace("version = 1", "version = 2", 1)
    assert loads(later) == lock
    assert dumps(loads(later)) == text


@pytest.mark.parametrize(
    "path", sorted((CHECKOUT / "examples").glob("*/envbuild.lock")), ids=lambda path: path.parent.name
)
def test_committed_locks_stay_as_they_are(path):
    text = path.read_text(encoding="utf-8")
    assert dumps(loads(text)) == text


@pytest.mark.parametrize(
    "table",
    [
        "targets.gpu",
        "targets.gpu.fleet",
        "request.variants.*.gpu",
        "targets.gpu.libraries.soname",
        "request.*.*.gpu.targets",
    ],
)
def test_a_table_of_version_2_raises_the_lock_that_uses_it(table):
    versions = {table: 2, "targets.models": 2}
    text = dumps(gpu_lock(), version_of_table=versions)
    assert text == dumps(gpu_lock()).replace("version = 1", "version = 2", 1)
    assert loads(text) == gpu_lock()
    assert dumps(sample_lock(), version_of_table=versions) == dumps(sample_lock())


def test_every_table_of_a_later_version_can_be_read():
    assert set(VERSION_OF_TABLE.values()) <= set(READ_VERSIONS[1:])


def test_a_lock_without_version_is_refused():
    with pytest.raises(LockInvalidError) as caught:
        loads("[request]\n")
    assert [str(problem) for problem in caught.value.problems] == ["version: must be an integer"]


def test_not_toml_names_the_line():
    with pytest.raises(LockInvalidError) as caught:
        loads("version = 1\nwheels = [\n")
    assert "line 3" in caught.value.message or "end of document" in caught.value.message


def test_an_unresolved_merge_is_recognised():
    with pytest.raises(LockInvalidError) as caught:
        loads("version = 1\n<<<<<<< HEAD\n")
    assert caught.value.hint == "it holds an unresolved merge: take one side whole, then run `envbuild lock`"


def test_all_field_problems_are_told_at_once():
    text = dumps(sample_lock())
    numpy = sample_lock().wheels[2]
    text = text.replace(f'sha256 = "{numpy.sha256}"', 'sha256 = "abc"').replace("size = 9000000", "size = -9")
    with pytest.raises(LockInvalidError) as caught:
        loads(text)
    assert [problem.where for problem in caught.value.problems] == ["wheels[2].sha256", "wheels[3].size"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(
            '    "numpy-2.3.4-py3-none-any.whl",\n',
            '    "numpy-9-py3-none-any.whl",\n',
            "targets[0].wheels: `numpy-9-py3-none-any.whl` is not among the wheels",
            id="wheel",
        ),
        pytest.param(
            'base = "debian:bookworm linux/amd64"',
            'base = "debian:sid linux/amd64"',
            "targets[0].base: `debian:sid linux/amd64` is not among the bases",
            id="base",
        ),
        pytest.param(
            'default-variant = "default"\nplatforms',
            'default-variant = "default"\nplatforms',
            "",
            id="unchanged",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_named(old, new, problem):
    text = dumps(sample_lock()).replace(old, new, 1)
    if not problem:
        assert loads(text) == sample_lock()
        return
    with pytest.raises(LockInvalidError) as caught:
        loads(text)
    assert problem in [str(item) for item in caught.value.problems]


def test_artifacts_out_of_order_are_refused():
    lock = sample_lock()
    shuffled = lock.model_copy(update={"wheels": tuple(reversed(lock.wheels))})
    with pytest.raises(LockInvalidError) as caught:
        loads(dumps(shuffled))
    assert "wheels" in {problem.where for problem in caught.value.problems}


@pytest.mark.parametrize("evil", ["../../etc/passwd.whl", "/etc/x.whl", "a b.whl", "x.whl\\nRUN evil"])
def test_a_file_name_is_never_a_path(evil):
    text = dumps(sample_lock()).replace("numpy-2.3.4-py3-none-any.whl", evil)
    with pytest.raises(LockInvalidError):
        loads(text)


def test_the_text_is_plain_toml_any_tool_reads():
    document = tomllib.loads(dumps(sample_lock()))
    assert document["version"] == 1
    assert document["targets"][0]["wheels"][0] == "joblib-1.5.2-py3-none-any.whl"


def test_conda_packages_and_what_lays_them_down_belong_together():
    text = dumps(conda_lock())
    package = conda_lock().conda[0].key
    with pytest.raises(LockInvalidError) as caught:
        loads(text.replace(f'    "{package}",\n', f'    "{package}x",\n', 1))
    assert [str(problem) for problem in caught.value.problems] == [
        f"targets[0].conda: `{package}x` is not among the conda packages"
    ]
    with pytest.raises(LockInvalidError) as caught:
        loads(
            text.replace(
                '[targets.conda-installer]\nwheel = "py_rattler', '[targets.conda-installer]\nwheel = "py'
            )
        )
    assert [problem.where for problem in caught.value.problems] == ["targets[0].conda-installer.wheel"]
    table = text[text.index("[targets.conda-installer]") : text.index("[targets.env]")]
    with pytest.raises(LockInvalidError) as caught:
        loads(text.replace(table, ""))
    assert [str(problem) for problem in caught.value.problems] == [
        "targets[0].conda-installer: must be there exactly when there are conda packages"
    ]


def test_a_table_of_a_newer_release_asks_for_that_release():
    text = dumps(sample_lock()).replace("version = 1\n", "version = 2\n", 1) + "\n[models]\nsize = 1\n"
    with pytest.raises(LockVersionError) as caught:
        loads(text)
    assert caught.value.hint == "upgrade envbuild: a newer release wrote the lock"
    assert [problem.where for problem in caught.value.problems] == ["models"]
