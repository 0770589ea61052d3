"""The command that usually comes next, for a person at a terminal."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.workflows.project import Project


class TargetOptions(Protocol):
    """Options of a command that works on one target."""

    @property
    def variant(self) -> str | None:
        """Which variant of the spec."""

    @property
    def platform(self) -> str | None:
        """Which platform."""

    @property
    def engine(self) -> str | None:
        """What builds and runs."""


def tell_next(output: "Output", project: "Project", *words: str, like: TargetOptions | None = None) -> None:
    """Tell a person which command comes next: ``words``, on the same target as ``like``.

    Nothing is told with ``--quiet``, with ``--json``, or where no person reads.
    """
    if output.quiet or output.as_json or not output.talk.isatty():
        return
    given = {"--variant": like.variant, "--platform": like.platform, "--engine": like.engine} if like else {}
    options = (word for name, value in given.items() if value is not None for word in (name, value))
    output.aside(f"next: {project.command(words[0], *options, *words[1:])}")
