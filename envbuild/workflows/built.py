"""What `envbuild build` did, told to people and programs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.files.sizes import readable_size

if TYPE_CHECKING:
    from envbuild.cli.output import Output
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.image.docker.load import Loaded
    from envbuild.lock.model import Target
    from envbuild.workflows.check import Checked
    from envbuild.workflows.engines import EngineName
    from envbuild.workflows.outputs import ImageOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build, and what was done with its image."""

    outcome: "BuildOutcome"
    engine: "EngineName"
    target: "Target"
    checked: "Checked | None" = None
    outputs: "tuple[ImageOutput, ...]" = ()
    loaded: "Loaded | None" = None
    pushed: str | None = None
    """Digest in the registry."""

    def tell(self, output: "Output") -> None:
        """Tell a person."""
        reference = self.outcome.reference
        output.say(f"built {reference}" if self.outcome.built else f"{reference} exists; nothing to do")
        if self.checked:
            output.say(f"it came out the same again, with another {', '.join(self.checked.varied)}")
            for note in self.checked.notes:
                output.note(note)
        for place in self.outputs:
            output.say(f"wrote {place}")
        if self.loaded:
            sent = f"by {self.loaded.way}, {readable_size(self.loaded.size)}"
            has_it = "has it already" if self.loaded.way == "there" else f"was sent it {sent}"
            output.say(f"the docker engine {has_it}")
        if self.pushed:
            output.say(f"pushed {reference}@{self.pushed}")

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "reference": self.outcome.reference,
            "engine": self.engine,
            "image": self.outcome.image.identifier,
            "built": self.outcome.built,
            "checked": list(self.checked.varied) if self.checked else None,
            "outputs": [str(place) for place in self.outputs],
            "loaded": {"way": self.loaded.way, "size": self.loaded.size} if self.loaded else None,
            "pushed": self.pushed,
            "size": self.outcome.image.size,
            "target": self.outcome.image.labels["dev.envbuild.target"],
            "variant": self.target.variant,
            "platform": self.target.platform,
        }
