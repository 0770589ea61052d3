"""Put the facts together."""

from collections.abc import Iterable
from pathlib import Path

from envbuild.verify.checks.facts import FACTS_FORMAT, DeepFacts, Facts
from envbuild.verify.probe.bytecode import bytecode_facts
from envbuild.verify.probe.dpkg import diversions, mode_overrides
from envbuild.verify.probe.environment import environment_facts, interpreter_facts
from envbuild.verify.probe.packages import deb_facts, outside_distributions, prefix_distributions
from envbuild.verify.probe.skeleton import environment_scripts
from envbuild.verify.probe.system import libc_facts, machine_facts, os_facts, process_facts, variable_facts
from envbuild.verify.probe.tree import walk_files


def gather_facts(
    *, prefix: str, variables: Iterable[str], root: Path = Path("/"), deep: bool = False
) -> Facts:
    """Return all facts about this container.

    ``variables`` are those whose values may be told.  ``root`` is where / of the image lies; ``deep`` looks
    into every file.
    """
    environment = environment_facts(prefix, root)
    return Facts(
        format=FACTS_FORMAT,
        os=os_facts(root),
        libc=libc_facts(),
        machine=machine_facts(),
        interpreter=interpreter_facts(),
        environment=environment,
        process=process_facts(root),
        variables=variable_facts(variables),
        debs=deb_facts(root),
        distributions=prefix_distributions(prefix, root),
        outside_distributions=outside_distributions(environment.sys_path, prefix, root),
        deep=_deep_facts(prefix, root) if deep else None,
    )


def _deep_facts(prefix: str, root: Path) -> DeepFacts:
    files, mounts = walk_files(root)
    return DeepFacts(
        files=files,
        mounts=mounts,
        diversions=diversions(root),
        mode_overrides=mode_overrides(root),
        environment_scripts=environment_scripts(prefix),
        bytecode=bytecode_facts(root, files.items(), prefix=prefix),
    )
