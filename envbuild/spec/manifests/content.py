"""What a file that says what a project needs gives, in one form for all of them."""

from dataclasses import dataclass, field

from envbuild.errors import Problem
from envbuild.spec.problems import RefusedError


class WrittenRequirement(str):
    """A requirement, and where it is written; ``.where`` is empty if its place in a list tells."""

    __slots__ = ("where",)
    where: str

    @classmethod
    def at(cls, where: str, text: str) -> "WrittenRequirement":
        """Return ``text``, written at ``where``."""
        written = cls(text)
        written.where = where
        return written


@dataclass(frozen=True, slots=True)
class UnusableRequirement:
    """A requirement that cannot be asked of an index, and why."""

    where: str
    error: RefusedError


AnyRequirement = WrittenRequirement | UnusableRequirement


@dataclass(slots=True)
class ManifestContent:
    """What one file says a project needs."""

    name: str | None = None
    dependencies: list[AnyRequirement] = field(default_factory=list)
    extras: dict[str, list[AnyRequirement]] = field(default_factory=dict)
    groups: dict[str, list[AnyRequirement]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    """Requirements files it takes its dependencies from, relative to its folder."""

    extra_files: dict[str, list[str]] = field(default_factory=dict)
    """Requirements files it takes extras from."""

    pythons: list[tuple[str, bool, str]] = field(default_factory=list)
    """Versions of Python, whether each is a range, and where it is written."""

    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Distribution → name and address of the one index it may come from."""

    problems: list[Problem] = field(default_factory=list)

    def refuse(self, where: str, message: str, hint: str | None = None) -> None:
        """Note what cannot be used."""
        self.problems.append(Problem(where, message, hint))


def classifier_pythons(classifiers: list[str], where: str) -> list[tuple[str, bool, str]]:
    """Return the Pythons that classifiers name, as one range; nothing if they name none."""
    prefix = "Programming Language :: Python :: 3."
    minors = sorted(
        {
            int(text.removeprefix(prefix))
            for text in classifiers
            if text.startswith(prefix) and text.removeprefix(prefix).isdecimal()
        }
    )
    return [("|".join(f"3.{minor}.*" for minor in minors), True, f"{where}: classifiers")] if minors else []
