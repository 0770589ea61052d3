"""How the processes that are started to assemble an image speak to the one that started them."""

import base64
import sys
from collections.abc import Mapping
from typing import Any, Final

from envbuild.errors import EnvbuildError
from envbuild.image.engine import BuildRequest
from envbuild.lock.codec import dumps, loads
from envbuild.lock.target_choice import select_target
from envbuild.progress import SilentProgress
from envbuild.store.store import Store
from envbuild.store.target_artifacts import TargetArtifacts

ERROR: Final = "error: "
"""What the line with the message of an error begins with."""


class StageLines(SilentProgress):
    """Writes each stage as a line to standard error, which the first process shows."""

    def on_stage(self, text: str) -> None:
        """Write the line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def order_of(request: BuildRequest) -> dict[str, Any]:
    """Return a request as JSON values, which the first process writes."""
    return {
        "lock": dumps(request.lock),
        "variant": request.target.variant,
        "platform": request.target.platform,
        "probe": base64.b64encode(request.probe()).decode(),
        "cache": str(request.artifacts.store.folder),
        "offline": request.artifacts.offline,
        "compression": request.compression,
        "use-cache": request.use_cache,
    }


def request_of(order: Mapping[str, Any], store: Store) -> BuildRequest:
    """Return the request that the first process has written, for artifacts in ``store``."""
    lock = loads(order["lock"])
    target = select_target(lock, variant=order["variant"], platform=order["platform"], host=None)
    probe = base64.b64decode(order["probe"])
    return BuildRequest(
        lock=lock,
        target=target,
        artifacts=TargetArtifacts(lock, target, store=store, progress=StageLines(), offline=order["offline"]),
        probe=lambda: probe,
        compression=order["compression"],
        use_cache=order["use-cache"],
    )


def write_error(error: EnvbuildError) -> int:
    """Write an error to standard error; return the exit status."""
    lines = [f"{ERROR}{error.message}", *(f"  {problem}" for problem in error.problems)]
    lines += [error.detail] if error.detail else []
    sys.stderr.write("\n".join(lines) + "\n")
    return int(error.exit_code)
