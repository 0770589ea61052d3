"""The artifacts of a lock on disk: what no side of a comparison is measured at."""

import os
import subprocess
import sys
from pathlib import Path

_FETCH = (
    "import sys; from pathlib import Path; from envbuild.cli.output import Activity;"
    "from envbuild.workflows.machine import Machine; from envbuild.lock.codec import loads;"
    "lock = loads(Path(sys.argv[1]).read_text());"
    "artifacts = Machine().artifacts(lock, lock.targets[0]);"
    "artifacts.fetch(list(artifacts.by_sha256.values()))"
)


def fetch(project: Path, cache: Path) -> None:
    """Bring the artifacts of the first target of ``project`` into the store of ``cache``."""
    subprocess.run(
        [sys.executable, "-c", _FETCH, project / "envbuild.lock"],
        env={**os.environ, "ENVBUILD_CACHE_DIR": str(cache)},
        check=True,
    )
