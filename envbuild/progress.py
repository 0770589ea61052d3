"""What a long resolution tells whoever watches it."""

from typing import Protocol


class Progress(Protocol):
    """Receives what is happening; may be called from any thread, and must return quickly."""

    def on_stage(self, text: str) -> None:
        """Note that ``text`` is now being done; a count before it no longer holds."""

    def on_item(self, text: str) -> None:
        """Note what of this stage is being looked at right now; there may be hundreds."""

    def on_count(self, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` things of this stage are finished."""

    def on_note(self, text: str) -> None:
        """Note a fact the user should see once, such as a yanked release."""


class SilentProgress:
    """Watches nothing."""

    def on_stage(self, text: str) -> None:
        """Do nothing."""

    def on_item(self, text: str) -> None:
        """Do nothing."""

    def on_count(self, done: int, total: int) -> None:
        """Do nothing."""

    def on_note(self, text: str) -> None:
        """Do nothing."""
