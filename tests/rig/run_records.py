"""The record of a run as a value, and a git whose answers depend on no configuration of this machine."""

import os
import subprocess
from pathlib import Path

from envbuild.records.model import (
    RecordedGit,
    RecordedImage,
    RecordedLock,
    RecordedMount,
    RecordedOptions,
    RunRecord,
)

DIGEST = "sha256:" + "a" * 64
RECORD = RunRecord(
    name="train",
    variant="default",
    platform="linux/amd64",
    target=DIGEST,
    tag="a" * 12,
    format=4,
    lock=RecordedLock(sha256="b" * 64, path="train/envbuild.lock"),
    image=RecordedImage(reference="train:aaaaaaaaaaaa", digest=DIGEST, engine="docker"),
    git=RecordedGit(commit="c" * 40, dirty=True, remote="https://host.example/a", folder="train"),
    command=("python", "-c", "print('ä')\n"),
    folder="src",
    mounted=True,
    options=RecordedOptions(shm_size="8g"),
    variables={"PYTHONHASHSEED": "0"},
    variable_names=("HF_TOKEN",),
    mounts=(RecordedMount(target="/cache"),),
    gpus=("NVIDIA H200",),
    driver="550.54.15",
)

GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.com",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, and return what it says."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=GIT_ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
