"""The real dev container CLI, features to publish with it, and what its configuration may hold."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.rig.paths import SCRIPTS

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "schema.json").read_text(encoding="utf-8"))


class DevContainers:
    """Runs the dev container CLI."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        done = subprocess.run(
            [SCRIPTS / "devcontainer-cli"], capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        self._program = done.stdout.strip()
        self._environment = {**os.environ, **environment}

    def __call__(self, *arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run it in ``folder`` to its end, whatever that is."""
        return subprocess.run(
            [self._program, *arguments],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def publish(self, registry: str, namespace: str, features: Path) -> None:
        """Publish every feature in a folder."""
        done = self(
            "features", "publish", "--registry", registry, "--namespace", namespace, ".", folder=features
        )
        if done.returncode != 0:
            raise RuntimeError(done.stdout + done.stderr)


def make_feature(
    folder: Path,
    name: str,
    version: str,
    *,
    install: str,
    options: Mapping[str, Any] | None = None,
    depends_on: Sequence[str] = (),
) -> None:
    """Write the source of a feature; ``install`` is its script."""
    home = folder / name
    home.mkdir(parents=True)
    metadata = {
        "id": name,
        "version": version,
        "name": name,
        **({"options": dict(options)} if options else {}),
        **({"dependsOn": {need: {} for need in depends_on}} if depends_on else {}),
    }
    (home / "devcontainer-feature.json").write_text(json.dumps(metadata))
    script = home / "install.sh"
    script.write_text(f"#!/bin/sh\nset -e\n{install}\n")
    script.chmod(0o755)
