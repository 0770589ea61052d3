"""Root of a user namespace, for programs that may be started again."""

from collections.abc import Mapping, Sequence


def restart_program(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Start ``envbuild ARGUMENTS`` as root of a user namespace, in place of this process.

    :raises EngineError: this user may not; says what to install.
    """
    from envbuild.files.ownership import NAMESPACE_VARIABLE
    from envbuild.image.local.user_namespace import restart_in_namespace

    restart_in_namespace(arguments, environment={**environment, NAMESPACE_VARIABLE: "1"})
