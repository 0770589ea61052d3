"""From [conda] and the files it names to what is asked of conda: one spec a package, Python among them."""

from typing import TYPE_CHECKING

from envbuild.errors import Problem
from envbuild.platforms import PLATFORMS
from envbuild.spec import conda_rules
from envbuild.spec.conda_files import read_conda_file
from envbuild.spec.problems import RefusedError
from envbuild.spec.request import CondaRequest

if TYPE_CHECKING:
    from envbuild.spec.model import Spec

PYTHON = "python"


class CondaSources:
    """What one variant asks of conda, and what is wrong with it."""

    def __init__(self, asked: "Spec", *, problems: list[Problem]) -> None:
        if asked.conda is None:
            raise ValueError("there is no [conda]")
        self._table = asked.conda
        self._python = asked.python
        self._subdirs = tuple(PLATFORMS[name].conda for name in sorted(set(asked.platforms)))
        self._problems = problems
        self._channels = list(dict.fromkeys(self._table.channels))
        self._specs = [conda_rules.parse_match_spec(text) for text in self._table.packages]
        self._lock_file: str | None = None
        self._pins: tuple[str, ...] = ()
        self.pip: set[str] = set()
        """Requirements the files have for pip."""

        self.variables: dict[str, str] = {}
        """Environment variables the files set."""

    def add_file(self, text: str, file: str) -> None:
        """Take in a file of conda's."""
        content = read_conda_file(text, file, subdirs=self._subdirs)
        self._problems.extend(content.problems)
        self._channels += [name for name in content.channels if name not in self._channels]
        self._specs += content.packages
        self.pip.update(content.pip)
        self.variables |= content.variables
        if content.pins:
            if self._lock_file is not None:
                self._problems.append(
                    Problem(file, f"`{self._lock_file}` is taken over already", "take over one file")
                )
            self._lock_file, self._pins = file, tuple(sorted(content.pins))

    def finish(self, *, packages: str, channels: str) -> CondaRequest:
        """Return the request; the arguments are where the spec has packages and channels."""
        if not self._channels:
            self._problems.append(
                Problem(channels, "names no channel", 'write those you mean: channels = ["conda-forge"]')
            )
        if self._lock_file is not None:
            self._check_taken_over(self._lock_file)
        specs = () if self._pins else self._merged(packages)
        return CondaRequest(
            channels=tuple(self._channels),
            packages=specs,
            solver=self._table.solver,
            cuda=self._table.cuda,
            link_scripts=tuple(sorted(set(self._table.link_scripts))),
            pins=self._pins,
        )

    def _merged(self, where: str) -> tuple[str, ...]:
        """Return each package once; the spec's own Python is one of them."""
        version = f"=={self._python}" if self._python.count(".") > 1 else f"{self._python}.*"
        by_name: dict[str, list[conda_rules.MatchSpec]] = {}
        for spec in self._specs:
            by_name.setdefault(spec.name, []).append(spec)
        python = by_name.setdefault(PYTHON, [])
        if not any(spec.version == version for spec in python):
            python.append(conda_rules.MatchSpec(PYTHON, version))
        merged = []
        for name in sorted(by_name):
            try:
                merged.append(str(conda_rules.merge(by_name[name])))
            except RefusedError as error:
                self._problems.append(error.at(where))
        return tuple(merged)

    def _check_taken_over(self, file: str) -> None:
        if self._specs:
            self._problems.append(
                Problem(
                    file,
                    "is taken over as it stands, so nothing can be asked beside it",
                    "leave `packages` and other files out, or name the environment.yml it was made from",
                )
            )
        for pin in self._pins:
            name, version, _ = pin.split(" ")[2].rpartition("/")[2].rsplit("-", 2)
            fits = version == self._python or version.startswith(f"{self._python}.")
            if name == PYTHON and not fits:
                self._problems.append(
                    Problem(
                        file,
                        f"has Python {version}, the spec wants {self._python}",
                        "write the same `python`",
                    )
                )
        if not any(pin.split(" ")[2].rpartition("/")[2].rsplit("-", 2)[0] == PYTHON for pin in self._pins):
            self._problems.append(Problem(file, "has no Python"))
