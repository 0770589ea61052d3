"""The engine that apt is run in, where a machine has no apt: any Docker Engine, whichever builds images."""

from contextlib import closing
from typing import TYPE_CHECKING

from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.resolve.apt.container import AptContainers


def apt_containers(machine: Machine) -> "AptContainers":
    """Return the containers of the Docker Engine that the environment points at; it is not spoken to yet."""
    from envbuild.image.docker.held import DockerHolder

    return DockerHolder(machine.environment, progress=machine.progress)


def describe_apt(machine: Machine) -> str:
    """Return the version of this machine's apt; or how the distribution's own would be run here.

    :raises ToolMissingError: apt can be run in no way.
    """
    from envbuild.cache.folders import APT_LISTS, APT_PROGRAMS
    from envbuild.remote.apt import read_settings
    from envbuild.resolve.apt.client import Apt
    from envbuild.resolve.apt.container import apt_ways
    from envbuild.resolve.apt.unpacked import AptTrees

    trees = AptTrees(
        folder=APT_PROGRAMS.path(machine.cache),
        store=machine.store,
        settings=lambda: read_settings(machine.environment),
    )
    ways = apt_ways(trees, apt_containers(machine))
    with closing(Apt(APT_LISTS.path(machine.cache), environment=machine.environment, ways=ways)) as apt:
        return apt.describe()
