import pytest

from envbuild.errors import SpecError
from envbuild.spec.conda_files import channel_of
from envbuild.spec.conda_rules import channel, match_spec
from envbuild.spec.load import parse_toml
from envbuild.spec.normalize import normalize
from envbuild.spec.problems import RefusedError
from envbuild.spec.request import CondaRequest
from envbuild.spec.validation import validate


def spec(text, base='name = "train"\npython = "3.11"\n'):
    validated = validate(parse_toml(base + text, "envbuild.toml"))
    assert not validated.problems, validated.problems
    return validated.spec


def asked(text, folder, variant="default"):
    return normalize(spec(text), folder).variants[variant]


def refused(text, folder):
    with pytest.raises(SpecError) as caught:
        normalize(spec(text), folder)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("NumPy", "numpy"),
        ("numpy=1.26", "numpy 1.26.*"),
        ("numpy =1.26", "numpy 1.26.*"),
        ("numpy=1.26.*", "numpy 1.26.*"),
        ("numpy=1.26*", "numpy 1.26.*"),
        ("numpy=1.26.*,!=1.26.1", "numpy 1.26.*,!=1.26.1"),
        ("numpy==1.26.4", "numpy ==1.26.4"),
        ("numpy 1.26.4", "numpy ==1.26.4"),
        ("numpy 1.26.*", "numpy 1.26.*"),
        ("numpy>=1.2, < 2", "numpy >=1.2,<2"),
        ("numpy >= 1.2 | 1.1.*", "numpy >=1.2|1.1.*"),
        ("numpy=1.26.4=py311_0", "numpy ==1.26.4 py311_0"),
        ("blas * openblas", "blas * openblas"),
        ("pytorch >=2 *cuda12*", "pytorch >=2 *cuda12*"),
        ("nvidia::cuda-version =12.6", "nvidia::cuda-version 12.6.*"),
        ("https://conda.example.com/ml/::x", "https://conda.example.com/ml::x"),
    ],
)
def test_a_match_spec_has_one_spelling(written, plain):
    assert match_spec(written) == plain
    assert match_spec(plain) == plain


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("numpy[version='>=2']", "`numpy[version='>=2']` has attributes in brackets"),
        ("__cuda", "`__cuda` is a virtual package"),
        (">=2", "`>=2` is not a package of conda"),
        ("numpy 1 2 3", "`numpy 1 2 3` cannot be read as `name version build`"),
        ("numpy ~~1", "`numpy ~~1` cannot be read as `name version build`"),
    ],
)
def test_what_is_no_match_spec_is_refused(written, message):
    with pytest.raises(RefusedError) as caught:
        match_spec(written)
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("defaults", "`defaults` stands for several channels"),
        ("https://me:secret@conda.example.com/ml", "contains credentials"),
        ("https://conda.example.com/t/secret-token/ml", "contains a token"),
        ("file:///srv/channel", "is not an address every machine can reach"),
        ("../channel", "`../channel` is not a channel"),
    ],
)
def test_channels_that_cannot_be_locked_are_refused_without_their_secret(written, message):
    with pytest.raises(RefusedError) as caught:
        channel(written)
    assert caught.value.message == message
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_python_is_one_of_the_packages(tmp_path):
    conda = asked('[conda]\nchannels = ["conda-forge"]\npackages = ["numpy >=2"]\n', tmp_path).conda
    assert conda.packages == ("numpy >=2", "python 3.11.*")


def test_variants_switch_it_off_and_append(tmp_path):
    text = """
    [conda]
    channels = ["conda-forge"]
    packages = ["numpy"]
    [variants.cpu]
    conda = false
    [variants.gpu.conda]
    packages = ["cuda-version =12.6"]
    cuda = "12.6"
    """
    request = normalize(spec(text), tmp_path)
    assert request.variants["cpu"].conda is None
    conda = request.variants["gpu"].conda
    assert conda is not None
    assert conda.packages == ("cuda-version 12.6.*", "numpy", "python 3.11.*")
    assert conda.cuda == "12.6"
    assert request.variants["default"].conda == CondaRequest(
        channels=("conda-forge",), packages=("numpy", "python 3.11.*")
    )


def test_an_environment_file_brings_channels_packages_pip_and_variables(tmp_path):
    (tmp_path / "environment.yml").write_text(
        "name: old\nchannels: [nodefaults, lab, conda-forge]\n"
        "dependencies:\n  - python=3.11\n  - numpy>=2\n  - pip:\n    - Demo_Package>=1\n"
        "variables:\n  OMP_NUM_THREADS: 2\nprefix: /home/me/env\n"
    )
    variant = asked(
        '[conda]\nfiles = ["environment.yml"]\npackages = ["numpy <3"]\nchannels = ["first"]\n', tmp_path
    )
    assert variant.conda.channels == ("first", "lab", "conda-forge")
    assert variant.conda.packages == ("numpy <3,>=2", "python 3.11.*")
    assert variant.pip.requirements == ("demo-package>=1",)
    assert variant.image.env == {"OMP_NUM_THREADS": "2"}


def test_what_of_an_environment_file_cannot_be_honoured_is_named(tmp_path):
    (tmp_path / "environment.yml").write_text(
        "channels: [defaults]\ncategory: dev\n"
        "dependencies:\n  - numpy[build=x]\n  - npm:\n    - left-pad\n  - pip:\n    - -e .\n"
        "  - winonly  # [win]\n"
    )
    assert refused('[conda]\nfiles = ["environment.yml", "missing.yml"]\n', tmp_path) == [
        "environment.yml:9: has a platform selector, which conda itself reads as a comment",
        "environment.yml: category: cannot be honoured",
        "environment.yml: channels[0]: `defaults` stands for several channels",
        "environment.yml: dependencies[0]: `numpy[build=x]` has attributes in brackets",
        "environment.yml: dependencies[1].npm: cannot be honoured",
        "environment.yml: dependencies[2].pip[0]: `-e` is not taken from an environment.yml",
        "conda.files[1]: `missing.yml` does not exist",
        "conda.channels: names no channel",
    ]


DIGEST = "0123456789abcdef" * 4
LOCK_FILE = f"""\
version: 1
metadata:
  content_hash: {{linux-64: abc}}
  channels:
  - {{url: conda-forge, used_env_vars: []}}
  platforms: [linux-64]
  sources: [environment.yml]
package:
- name: python
  version: 3.11.9
  manager: conda
  platform: linux-64
  dependencies: {{}}
  category: main
  optional: false
  url: https://me:secret@mirror.example.com/t/secret/conda-forge/linux-64/python-3.11.9-h1_0.conda
  hash: {{md5: 0123456789abcdef0123456789abcdef, sha256: {DIGEST}}}
- name: demo
  version: '1.0'
  manager: pip
  platform: linux-64
  dependencies: {{}}
  category: main
  optional: false
  url: https://index.example.com/demo-1.0.whl
  hash: {{sha256: abc}}
"""


def test_a_lock_of_conda_is_taken_over(tmp_path):
    (tmp_path / "conda-lock.yml").write_text(LOCK_FILE)
    variant = asked('[conda]\nfiles = ["conda-lock.yml"]\n', tmp_path)
    assert variant.conda.pins == (f"linux-64 conda-forge linux-64/python-3.11.9-h1_0.conda#sha256:{DIGEST}",)
    assert variant.conda.packages == ()
    assert variant.pip.requirements == ("demo==1.0",)
    assert "secret" not in variant.model_dump_json()


def test_a_lock_of_conda_that_does_not_fit_is_refused(tmp_path):
    (tmp_path / "conda-lock.yml").write_text(LOCK_FILE.replace("3.11.9", "3.12.1"))
    text = '[conda]\nfiles = ["conda-lock.yml"]\npackages = ["numpy"]\n'
    with pytest.raises(SpecError) as caught:
        normalize(
            spec(text, 'name = "train"\npython = "3.11"\nplatforms = ["linux/amd64", "linux/arm64"]\n'),
            tmp_path,
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "conda-lock.yml: has no packages for linux-aarch64",
        "conda-lock.yml: is taken over as it stands, so nothing can be asked beside it",
        "conda-lock.yml: has Python 3.12.1, the spec wants 3.11",
    ]


def test_a_package_for_another_subdir_is_refused(tmp_path):
    (tmp_path / "conda-lock.yml").write_text(LOCK_FILE.replace("/linux-64/python", "/osx-64/python"))
    assert refused('[conda]\nfiles = ["conda-lock.yml"]\n', tmp_path)[0] == (
        "conda-lock.yml: package[0]: `python-3.11.9-h1_0.conda` is for osx-64, not for linux-64"
    )


def test_channels_are_recognised_by_address_name_or_being_the_only_one():
    names = ["conda-forge", "https://conda.example.com/ml"]
    assert channel_of("https://mirror.example.com/conda-forge", names) == "conda-forge"
    assert channel_of("https://conda.example.com/ml", names) == "https://conda.example.com/ml"
    assert channel_of("https://other.example.com/x", names) == "https://other.example.com/x"
    assert channel_of("https://mirror.example.com/x", ["conda-forge"]) == "conda-forge"
