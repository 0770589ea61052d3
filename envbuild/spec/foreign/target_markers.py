"""Which markers hold on the targets of an environment (PEP 508, "Environment Markers")."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName

from envbuild.platforms import PLATFORMS, PlatformName, marker_environment
from envbuild.spec.problems import RefusedError

_EXTRA = re.compile(
    r"""extra\s*(?P<operator>==|!=)\s*(?P<quote>['"])(?P<name>[^'"]*)(?P=quote)"""
    r"""|['"](?P<member>[^'"]*)['"]\s+(?P<set>in|not\s+in)\s+(?:extras|dependency_groups)"""
)
_TRUE, _FALSE = "python_version >= '3'", "python_version < '3'"
_LAST_PATCH = 20
"""Stands for the patch release of a Python that is given without one."""


@dataclass(frozen=True, slots=True)
class MarkerTarget:
    """One machine type with one Python, and the extras and groups that are asked for."""

    python: str
    """``3.11``, or with a patch release."""

    platform: PlatformName
    extras: frozenset[str] = frozenset()
    """Names that ``extra`` has in markers: those of extras, and what a tool makes of them."""

    def holds(self, marker: str | None) -> bool:
        """Return whether ``marker`` holds here.

        :raises RefusedError: it is no marker.
        """
        if not marker:
            return True
        try:
            return Marker(_EXTRA.sub(self._of_extra, marker)).evaluate(self._environment())
        except (InvalidMarker, UndefinedEnvironmentName) as error:
            raise RefusedError(f"`{marker}` is not a marker") from error

    def _of_extra(self, match: re.Match[str]) -> str:
        name = match["name"] if match["operator"] else match["member"]
        wanted = match["operator"] == "==" or match["set"] == "in"
        return _TRUE if (name in self.extras) is wanted else _FALSE

    def _environment(self) -> dict[str, str]:
        full = self.python if self.python.count(".") > 1 else f"{self.python}.{_LAST_PATCH}"
        return {**marker_environment(PLATFORMS[self.platform], full), "extra": ""}


def targets_of(
    python: str, platforms: Iterable[PlatformName], extras: Iterable[str] = ()
) -> tuple[MarkerTarget, ...]:
    """Return a target for each platform, sorted."""
    names = frozenset(extras)
    return tuple(MarkerTarget(python, platform, names) for platform in sorted(set(platforms)))


def machine_marker(platforms: Iterable[PlatformName]) -> str:
    """Return the marker that holds on these platforms alone."""
    return " or ".join(
        f'platform_machine == "{PLATFORMS[platform].machine}"' for platform in sorted(platforms)
    )
