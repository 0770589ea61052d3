"""A real S3-compatible server on loopback: rclone's, which keeps buckets as folders."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from tests.rig.paths import CHECKOUT
from tests.rig.web import free_port

RCLONE: Final = CHECKOUT / ".venv/bin/rclone"
_SECONDS: Final = 30


@dataclass(frozen=True)
class S3Server:
    """A server of the buckets that are folders of `folder`."""

    folder: Path
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """What a client of it has."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret-of-the-store",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
        }


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Yield a server of the buckets in `folder`."""
    port = free_port()
    server = S3Server(folder, f"http://127.0.0.1:{port}")
    words = [
        str(RCLONE),
        "serve",
        "s3",
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        "key,secret-of-the-store",
    ]
    words += ["--config", "/dev/null", "--dir-cache-time", "0s", "--vfs-cache-mode", "off", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(server.endpoint)
            yield server
        finally:
            process.terminate()


def _wait(endpoint: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            urlopen(endpoint, timeout=1).close()
        except URLError as error:
            # any answer of HTTP will do
            if hasattr(error, "code"):
                return
            if time.monotonic() > deadline:
                raise
        else:
            return
