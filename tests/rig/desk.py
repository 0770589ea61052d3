"""Real resolvers, asked about a loopback index."""

import platform
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.lock.model import Libc, Wheel
from envbuild.platforms import AMD64, host
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.resolve.python.backend import PythonResolver
from envbuild.resolve.python.pip_tools import PipToolsResolver
from envbuild.resolve.python.resolve import resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from tests.rig.index import PackageIndex
from tests.rig.progress import RecordedProgress

TARGET = TargetPython(AMD64, Libc(family="glibc", version="2.36"), "3.11.2")

THIS_PYTHON = TargetPython(host() or AMD64, Libc(family="glibc", version="2.36"), platform.python_version())
"""What pip-tools can resolve for: the Python the tests run on."""


@dataclass
class Desk:
    """Real resolvers asked about a loopback index."""

    index: PackageIndex
    cache: Path
    environment: dict[str, str]
    configuration: ClientConfiguration
    progress: RecordedProgress = field(default_factory=RecordedProgress)

    @property
    def folder(self) -> Path:
        return self.index.folder

    def resolver(self, name: str = "uv") -> PythonResolver:
        kind = UvResolver if name == "uv" else PipToolsResolver
        return kind(self.configuration, environment=self.environment)

    def client(self) -> PythonIndex:
        return PythonIndex(self.configuration, retries=0)

    def resolve(
        self,
        *requirements: str,
        target: TargetPython = TARGET,
        resolver: str = "uv",
        provided: tuple[str, ...] = (),
        previous: tuple[Wheel, ...] = (),
        upgrade: Upgrade = NO_UPGRADE,
        request: VariantRequest | None = None,
    ) -> tuple[Wheel, ...]:
        asked = request or VariantRequest(
            python="3.11", base=BaseRequest(image="base"), pip=PipRequest(requirements=requirements)
        )
        return resolve_python(
            asked,
            target,
            resolver=self.resolver(resolver),
            index=self.client(),
            cache=self.cache,
            progress=self.progress,
            provided=provided,
            previous=previous,
            upgrade=upgrade,
        ).wheels
