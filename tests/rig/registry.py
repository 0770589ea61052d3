"""A private image registry that lives as long as a `with` block."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rig.paths import SCRIPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registry that answers at `host`, over plain HTTP."""

    host: str
    """As it stands in an image reference: `127.0.0.1:41191`."""
    auth: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextmanager
def running_registry(folder: Path, *, auth: tuple[str, str] | None = None) -> Iterator[Registry]:
    """Run a registry on a free port, with its images in `folder`; end it on the way out."""
    data = folder.resolve()
    arguments = ["--data", str(data)]
    protection = ["--htpasswd", ":".join(auth)] if auth else []
    try:
        host = _script("start", *arguments, *protection)
        yield Registry(host=host, auth=auth)
    finally:
        _script("stop", *arguments)


def _script(*arguments: str) -> str:
    done = subprocess.run(
        [SCRIPTS / "registry", *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout.strip()
