"""Versions that an image of a framework brings, beside what its users ask for: a later step wins."""

from collections.abc import Callable, Iterable

from packaging.requirements import Requirement

from envbuild.discovery.commands.pip import listed_requirements
from envbuild.discovery.commands.requirement_words import name_of
from envbuild.discovery.content import FileContent


def settle_base_pins(
    pins: Iterable[str], content: FileContent, where: str, read: Callable[[str], str | None]
) -> None:
    """Leave out what the base pins and a step asks for otherwise."""
    packages = content.tables.get("pip", {}).get("packages", [])
    asked = [text for text in packages if text not in pins]
    for file in content.files:
        asked += listed_requirements(read(file) or "")
    for pin in pins:
        other = next((text for text in asked if name_of(text) == name_of(pin) and not _fits(text, pin)), None)
        if other and pin in packages:
            packages.remove(pin)
            message = f"`{pin}` of the base gives way to `{other}`, which a step installs"
            content.leave(where, message, "name a base of that version, if its other parts matter")


def _fits(text: str, pin: str) -> bool:
    """Return whether a requirement allows the one version of a pin."""
    wanted = Requirement(text)
    if wanted.url:
        return False
    versions = [part.version for part in Requirement(pin).specifier]
    return all(wanted.specifier.contains(version, prereleases=True) for version in versions)
