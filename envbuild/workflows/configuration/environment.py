"""The environment variables of this machine, with the user's configuration file as their defaults."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.workflows.configuration.file import (
    FILE_VARIABLE,
    ConfiguredValue,
    configuration_file,
    read_configuration_file,
)
from envbuild.workflows.configuration.settings import CREDENTIALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What is configured on this machine."""

    file: Path | None
    """The user's file, whether it exists or not; None: the user wants none."""

    exists: bool
    values: tuple[ConfiguredValue, ...]
    """What the file says, in its order."""

    variables: Mapping[str, str] = field(repr=False)
    """The environment variables without the file."""

    @property
    def in_force(self) -> tuple[ConfiguredValue, ...]:
        """The values of the file that count: those whose variable is not set.

        Credentials count with the address beside them alone: they are not for one of a variable.
        """
        return tuple(item for item in self.values if not self._is_overruled(item))

    @property
    def environment(self) -> dict[str, str]:
        """The variables, and the values of the file where a variable is not set."""
        return {item.key.variable: item.value for item in self.in_force} | dict(self.variables)

    def _is_overruled(self, item: ConfiguredValue) -> bool:
        if item.key.variable in self.variables:
            return True
        kind = item.key.path[-1]
        if len(item.key.path) == 1 or kind not in CREDENTIALS:
            return False
        address = item.key.variable.removesuffix(kind.upper()) + "URL"
        return address in self.variables


def read_user_configuration(variables: Mapping[str, str] = os.environ) -> Configuration:
    """Return what is configured: ``variables``, and the configuration file that they lead to.

    :raises ConfigurationError: the file cannot be used, or ``ENVBUILD_CONFIG`` names none.
    """
    path = configuration_file(variables)
    exists = path is not None and (FILE_VARIABLE in variables or os.path.lexists(path))
    values = read_configuration_file(path, variables) if path is not None and exists else ()
    return Configuration(file=path, exists=exists, values=values, variables=variables)


def configured_environment() -> dict[str, str]:
    """Return the variables of this process, and the user's configuration as their defaults.

    :raises ConfigurationError: see :func:`read_user_configuration`.
    """
    return read_user_configuration().environment
