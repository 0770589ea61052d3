"""Versions equal those of plain uv that may build from source, package by package."""

import json

import pytest

from tests.rig.corpus.judged_lock import LOCK_BASE, locked_versions
from tests.rig.plain_uv import compile_with_uv
from tests.rig.running import envbuild

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("versions-equal-uv")]

IN_EVERY_RUN = ("hydra: a source below it", "a source by a range", "a web service")

SETS = {
    # wheels alone would give years-old versions of these, or none
    "hydra: a source below it": ["hydra-core"],
    "hydra with plugins": ["hydra-core>=1.3", "hydra-colorlog", "omegaconf>=2.3"],
    "lightning and its extra": ["lightning[extra]"],
    "omegaconf of old": ["omegaconf>=2.0,<2.2"],
    "a source by a range": ["langdetect>=1.0", "six"],
    "sources in C": ["pycosat>=0.6.3", "docopt"],
    "a speech toolkit": ["webrtcvad", "pydub"],
    "sources of every kind of age": ["wget", "termcolor>=2", "docopt>=0.6"],
    "segmentation of text": ["jieba", "tinysegmenter", "pypinyin"],
    "scores of summaries": ["rouge-score", "sacrebleu"],
    "sources for configuration": ["ml-collections", "antlr4-python3-runtime<4.10"],
    "a training engine by a range": ["deepspeed>=0.9,<1"],
    "reinforcement learning of old": ["gym==0.26.2", "stable-baselines3[extra]"],
    # the corpus
    "detector": [
        "gitpython>=3.1.30",
        "matplotlib>=3.3",
        "opencv-python>=4.1.1",
        "thop>=0.1.1",
        "seaborn>=0.11.0",
    ],
    "text classification": ["accelerate>=0.12.0", "datasets>=1.8.0", "sentencepiece!=0.1.92", "evaluate"],
    "folder of requirements": ["cython", "imagecorruptions", "pycocotools", "shapely", "terminaltables"],
    "airflow": ["apache-airflow-providers-http", "pandas>=2", "boto3"],
    "kaggle": ["lightgbm==4.5.0", "pandas==2.2.3", "numpy==1.26.4", "scikit-learn==1.5.2"],
    "whisper": ["numba", "numpy", "torch", "tqdm", "more-itertools", "tiktoken"],
    "kedro": ["kedro~=0.19.9", "scikit-learn~=1.5.1", "seaborn~=0.12.1"],
    "spacy": ["spacy>=3.7,<4", "pydantic>=2.4,<3", "typer[all]>=0.9.0,<0.10.0"],
    "baselines": ["gymnasium>=0.29.1,<1.3", "numpy>=1.20,<3.0", "cloudpickle", "pandas", "matplotlib"],
    "detectron": ["pillow>=7.1", "pycocotools>=2.0.2", "yacs>=0.1.8", "tensorboard", "omegaconf>=2.1,<2.4"],
    "cookiecutter": ["click", "sphinx", "coverage", "python-dotenv>=0.5.1"],
    "binder": ["ipykernel", "bqplot==0.12.43", "nbgitpuller"],
    "a web service": ["flask[async]>=3", "gunicorn", "prometheus-client~=0.20"],
    "alignment": [
        "accelerate>=1.4.0",
        "datasets>=3.0.0",
        "transformers>=4.55.0",
        "peft>=0.8.0",
        "num2words==0.5.14",
    ],
    "flax": ["flax", "optax"],
    "streamlit": ["streamlit", "altair>=5", "pydeck"],
    "prefect": ["apprise>=1.9", "cachetools>=5.3", "tzlocal; sys_platform != 'win32'", "joblib>=1.3"],
    "astronomy": ["astropy", "pyerfa>=2.0.1", "sgp4"],
    "mlflow": ["mlflow-skinny", "scikit-learn", "pandas<3"],
    "markers and extras": [
        "httpx[http2,socks]",
        "uvicorn[standard]<1",
        "importlib-metadata; python_version < '3.8'",
    ],
}
"""What is asked for, by what it is like."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {"ENVBUILD_CACHE_DIR": str(tmp_path_factory.mktemp("cache"))}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.long) for name in SETS],
)
def test_versions_equal_those_of_uv(name, tmp_path, cache):
    (tmp_path / "envbuild.toml").write_text(
        f'name = "versions"\npython = "3.11"\n[base]\npackages = "{LOCK_BASE}"\n'
        f'[pip]\npackages = {json.dumps(SETS[name])}\nbuild = "all"\n'
    )
    envbuild("lock", folder=tmp_path, environment=cache)
    locked = locked_versions(tmp_path / "envbuild.lock")
    peer = compile_with_uv(SETS[name])
    assert peer.failure == ""
    assert {package: locked.get(package) for package in peer.versions} == peer.versions
    # what builds a wheel, or installs it, is no part of the environment
    assert set(locked) == set(peer.versions)


def test_there_are_thirty():
    assert len(SETS) >= 30
