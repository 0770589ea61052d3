"""From a request for conda packages to the exact files of one target."""

import contextlib
import json
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from envbuild.errors import EnvbuildError, IntegrityError, NoSolutionError, Problem, SpecError
from envbuild.formats.conda_package import CondaArchive
from envbuild.formats.conda_prefix import CondaPython
from envbuild.lock.conda import CONDA_PREFIX, CondaPackage, CondaSubdir
from envbuild.lock.model import Base, Interpreter
from envbuild.platforms import PLATFORMS
from envbuild.progress import SILENT, Progress
from envbuild.remote.channels import ChannelAddress, ChannelConfiguration
from envbuild.resolve.conda.condalock import CondaAnswer, CondaQuestion, read_records, solve
from envbuild.resolve.conda.contents import interpreter_sha256, read_contents
from envbuild.resolve.conda.resolution import CondaResolution
from envbuild.resolve.conda.virtual import cuda_of, virtual_packages
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.request import CondaRequest, VariantRequest
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import ChannelLocator
from envbuild.store.plan import artifact_of
from envbuild.store.store import Store

PYTHON = "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaResolver:
    """Resolves with what this machine is configured for."""

    configuration: ChannelConfiguration
    store: Store
    cache: Path
    environment: Mapping[str, str]
    vendor: Path | None = None
    upgrade: Upgrade = NO_UPGRADE
    progress: Progress = SILENT

    def resolve(
        self, request: VariantRequest, base: Base, *, previous: Sequence[CondaPackage] = ()
    ) -> CondaResolution:
        """Return the packages of one target.

        ``previous`` are those locked for it: where nothing that is asked speaks against them, and they are
        not to be upgraded, they stay.

        :raises NoSolutionError: nothing satisfies the request, or a package locked elsewhere is gone.
        :raises NetworkError: a channel or a package cannot be had.
        :raises IntegrityError: a package is corrupt, or not what it was locked as.
        :raises SpecError: a package has a link script that the spec does not allow.
        """
        conda = _conda_of(request)
        question = self._question(request, base, previous)
        with self._login_file(question.channels) as login_file:
            records = self._records(question, conda, login_file)
        packages = tuple(
            sorted((_package(record, question) for record in records), key=lambda item: item.key)
        )
        self._fetch(packages)
        self.progress.on_stage("reading conda packages")
        filled = tuple(self._filled(package, conda) for package in packages)
        return CondaResolution(packages=filled, interpreter=self._interpreter(filled))

    def choose(
        self, request: VariantRequest, base: Base, *, previous: Sequence[CondaPackage] = ()
    ) -> Sequence[Mapping[str, Any]]:
        """Return the records of the packages that :meth:`resolve` would take; none of them is fetched.

        :raises NoSolutionError, NetworkError: as that method.
        """
        question = self._question(request, base, previous)
        with self._login_file(question.channels) as login_file:
            return self._records(question, _conda_of(request), login_file)

    def offered(
        self, request: VariantRequest, base: Base, names: Collection[str]
    ) -> Sequence[Mapping[str, Any]]:
        """Return what the channels have of packages, all versions of them.

        :raises NetworkError: a channel cannot be read.
        """
        question = self._question(request, base, ())
        with self._login_file(question.channels) as login_file:
            return read_records(
                question, names, cache=self.cache, environment=self.environment, login_file=login_file
            )

    def _question(
        self, request: VariantRequest, base: Base, previous: Sequence[CondaPackage]
    ) -> CondaQuestion:
        conda = _conda_of(request)
        return CondaQuestion(
            specs=conda.packages,
            channels=tuple(self.configuration.address(name) for name in conda.channels),
            subdir=PLATFORMS[base.platform].conda,
            virtual_packages=virtual_packages(base, cuda_of(request)),
            program=conda.solver,
            prefer=tuple(f"{item.name} {item.version} {item.build}" for item in self.upgrade.kept(previous)),
            snapshot=request.snapshot,
        )

    def _records(
        self, question: CondaQuestion, conda: CondaRequest, login_file: Path | None
    ) -> Sequence[Mapping[str, Any]]:
        known = {"cache": self.cache, "environment": self.environment, "login_file": login_file}
        read = partial(read_records, **cast("Any", known))
        if conda.pins:
            self.progress.on_stage("looking up the packages of the conda-lock.yml")
            return _pinned(question, conda.pins, read)
        self.progress.on_stage(f"resolving conda packages for {question.subdir}")
        answer: CondaAnswer = solve(question, **cast("Any", known))
        if answer.records:
            return answer.records
        # a program of the machine says less than the lock holds
        found = _found(question, answer.urls, read)
        problems = [
            Problem(url.rpartition("/")[2], "no channel of the spec has it")
            for url in answer.urls
            if url not in found
        ]
        if problems:
            raise NoSolutionError(
                f"{question.program} chose packages that cannot be had",
                problems=problems,
                hint='its own settings may name other channels; `solver = "rattler"` has none',
            )
        return [found[url] for url in answer.urls]

    def _fetch(self, packages: Sequence[CondaPackage]) -> None:
        locator = ChannelLocator(lambda: self.configuration)
        artifacts = [artifact_of(package, locator) for package in packages]
        self.progress.on_stage("fetching conda packages")
        fetch_all(artifacts, store=self.store, vendor=self.vendor, progress=self.progress)

    def _filled(self, package: CondaPackage, conda: CondaRequest) -> CondaPackage:
        contents = read_contents(self._archive(package))
        if contents.link_scripts and package.name not in conda.link_scripts:
            raise SpecError.at(
                "conda.link-scripts",
                f"`{package.name}` runs a script when it is installed: {contents.link_scripts[0]}",
                f'read it; link-scripts = ["{package.name}"] runs it in the build, without a network',
            )
        for line in contents.activation.unread:
            self.progress.on_note(
                f"activation of `{package.name}` does what cannot be worked out without running it: {line}"
            )
        return package.model_copy(
            update={
                "distributions": contents.distributions,
                "env": contents.activation.env,
                "env_unread": tuple(contents.activation.unread),
                "link_scripts": contents.link_scripts,
            }
        )

    def _interpreter(self, packages: Sequence[CondaPackage]) -> Interpreter:
        package = next((item for item in packages if item.name == PYTHON), None)
        if package is None:
            raise NoSolutionError(
                "the environment has no Python", hint="ask for `python` in [conda] packages"
            )
        python = CondaPython.of(package.version, package.site_packages)
        path = f"bin/python{python.version}"
        return Interpreter(
            version=package.version,
            path=f"{CONDA_PREFIX}/{path}",
            provider=f"conda {PYTHON}",
            sha256=interpreter_sha256(self._archive(package), python, path),
        )

    def _archive(self, package: CondaPackage) -> CondaArchive:
        if not self.store.verify(package.sha256):
            raise IntegrityError(f"{package.file} in the store is not what was fetched", hint="lock again")
        return CondaArchive(self.store.place_of(package.sha256), name=package.file)

    @contextlib.contextmanager
    def _login_file(self, channels: Sequence[ChannelAddress]) -> Iterator[Path | None]:
        """Yield a file of the channels' credentials that py-rattler reads; for this user only."""
        logins: dict[str, Any] = {}
        for channel in channels:
            # py-rattler looks for the host without its port
            host = urlsplit(channel.url).hostname or ""
            if channel.credentials:
                logins[host] = {
                    "BasicHTTP": {
                        "username": channel.credentials.username,
                        "password": channel.credentials.password,
                    }
                }
            elif channel.token:
                logins[host] = {"CondaToken": channel.token}
        if not logins:
            yield None
            return
        with tempfile.TemporaryDirectory(prefix="envbuild-login-") as folder:
            path = Path(folder) / "credentials.json"
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                json.dump(logins, stream)
            yield path


def _conda_of(request: VariantRequest) -> CondaRequest:
    if request.conda is None:
        raise ValueError("the request has no conda packages")
    return request.conda


def _pinned(question: CondaQuestion, pins: Sequence[str], read: Any) -> list[Mapping[str, Any]]:
    """Return the records of files that a conda-lock.yml names, compared with the hashes it has."""
    wanted: dict[str, tuple[str, str]] = {}
    addresses = {channel.name: channel.url for channel in question.channels}
    for pin in pins:
        platform, channel, rest = pin.split(" ")
        if platform != question.subdir:
            continue
        path, _, digest = rest.partition("#")
        if channel not in addresses:
            addresses[channel] = channel
        wanted[f"{addresses[channel]}/{path}"] = (path, digest)
    found = _found(question, wanted, read)
    problems = []
    for url, (path, digest) in wanted.items():
        algorithm, _, value = digest.partition(":")
        if url not in found:
            problems.append(Problem(path, "no channel has it any more"))
        elif found[url].get(algorithm) != value:
            problems.append(Problem(path, f"the channel has another file now: {algorithm} differs"))
    if problems:
        raise NoSolutionError(
            "packages of the conda-lock.yml cannot be had as they were locked",
            problems=problems,
            hint="lock again from the environment.yml it was made from",
        )
    return [found[url] for url in wanted]


def _found(question: CondaQuestion, urls: Collection[str], read: Any) -> dict[str, Mapping[str, Any]]:
    """Return the records of files by address, as far as the channels have them."""
    found = {record["url"]: record for record in read(question, {_name_of(url) for url in urls})}
    others = {url for url in urls if url not in found and url.endswith(".tar.bz2")}
    if others:
        # a channel that has both formats is asked for the older one in particular
        named = {_name_of(url) for url in others}
        found |= {record["url"]: record for record in read(question, named, every_format=True)}
    return found


def _name_of(url: str) -> str:
    return url.rpartition("/")[2].rsplit("-", 2)[0]


def _package(record: Mapping[str, Any], question: CondaQuestion) -> CondaPackage:
    channel, subdir, file = _place(str(record["url"]), question)
    if not record.get("sha256") or not record.get("size"):
        raise NoSolutionError(
            f"channel `{channel}` gives no sha256 of `{file}`",
            hint="ask whoever runs it to index it again with a current tool",
        )
    timestamp = record.get("timestamp")
    noarch = record.get("noarch")
    return CondaPackage(
        name=record["name"],
        version=record["version"],
        build=record["build"],
        build_number=record["build_number"],
        channel=channel,
        subdir=cast("CondaSubdir", subdir),
        file=file,
        size=record["size"],
        sha256=record["sha256"],
        md5=record.get("md5"),
        timestamp=datetime.fromtimestamp(timestamp // 1000, UTC) if timestamp else None,
        noarch=cast("Literal['generic', 'python']", noarch) if noarch in {"generic", "python"} else None,
        depends=tuple(record.get("depends") or ()),
        constrains=tuple(record.get("constrains") or ()),
        license=record.get("license") or None,
        site_packages=record.get("python_site_packages_path"),
    )


def _place(url: str, question: CondaQuestion) -> tuple[str, str, str]:
    """Return channel, subdir and file of an address."""
    root, _, file = url.rpartition("/")
    root, _, subdir = root.rpartition("/")
    if subdir not in {question.subdir, "noarch"}:
        raise EnvbuildError(f"the solver chose `{file}`, which is for {subdir}, not for {question.subdir}")
    for channel in question.channels:
        if root == channel.url:
            return channel.name, subdir, file
    raise EnvbuildError(f"the solver chose `{file}` from a channel that was not asked for")
