"""What a progress was told, for a test to look at."""

from dataclasses import dataclass, field

from envbuild.progress import Progress


@dataclass
class RecordedProgress:
    """Remembers what it was told, in order."""

    stages: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    bytes: list[tuple[int, int]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def on_stage(self, text: str) -> None:
        self.stages.append(text)

    def on_item(self, text: str) -> None:
        self.items.append(text)

    def on_count(self, done: int, total: int) -> None:
        self.counts.append((done, total))

    def on_bytes(self, done: int, total: int) -> None:
        self.bytes.append((done, total))

    def on_note(self, text: str) -> None:
        self.notes.append(text)


_: type[Progress] = RecordedProgress
