"""Variables, user and image configuration: what the process sees, and what the engine says of the image."""

from collections.abc import Iterator

from envbuild.verify.checks.comparison import Context, Difference
from envbuild.verify.checks.facts import Configuration
from envbuild.verify.checks.plan import Check
from envbuild.verify.checks.report import CheckResult

PERSONAL_VARIABLES = frozenset(
    {"BROWSER", "EDITOR", "GIT_EDITOR", "HOME", "LANG", "PAGER", "SHELL", "TERM", "TZ", "USER", "VISUAL"}
)
"""What editors and shells set for the person in a dev container."""

HANDED_OVER = frozenset({"NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES"})
"""What engines write anew into a container that gets GPUs: ``void`` where CDI gave them, else the indices or
UUIDs that were asked for (NVIDIA Container Toolkit; Docker Engine, ``--gpus``; NVIDIA's device plugin for
Kubernetes).  The image's configuration keeps what was locked."""

_PERSONAL_FIELDS = frozenset({"user", "workdir", "command", "entrypoint"})
"""What the dev container tools replace: remoteUser, workspaceFolder, overrideCommand (containers.dev)."""

_NOT_GIVEN = "only the engine can say: compared from outside the container"


def evaluate_variable(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one variable, in the process and in the image."""
    variables = context.facts.variables
    found = variables.values.get(check.subject)
    handed_over = context.target.gpu is not None and check.subject in HANDED_OVER and found is not None
    if found != check.expected and not handed_over:
        yield context.differ(
            check,
            _variable_difference(check, found),
            found=found,
            reason="in the container's processes",
        )
        return
    if context.configuration is not None:
        configured = context.configuration.env.get(check.subject)
        if configured != check.expected:
            yield context.differ(
                check,
                _variable_difference(check, configured),
                found=configured,
                reason="in the image's configuration",
            )
            return
    if found != check.expected:
        reason = "the engine says in it which GPUs this container was given"
        yield context.passed(check, found=found, reason=reason)
        return
    yield context.passed(check)


def evaluate_extra_variables(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each variable the image sets and the lock does not.

    Only the image is asked: engines, shells and people add their own to a process.
    """
    if context.configuration is None:
        yield context.skipped(check, _NOT_GIVEN)
        return
    extras = sorted(context.configuration.env.keys() - context.target.env.keys())
    if not extras:
        yield context.passed(check)
    for name in extras:
        # its value may be a secret
        yield context.unlocked(
            check, f"env/{name}", title=name, found="set", reason="set by the image, not in the lock"
        )


def evaluate_user(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare whom the process runs as."""
    process = context.facts.process
    name = process.user if process.user is not None else "no name"
    # a dev container gives the user the uid of the person outside; another name is another user
    difference: Difference = "personal" if name == context.target.user.name else "changed"
    yield context.compare(check, f"{name} ({process.uid}:{process.gid})", difference=difference)


def evaluate_image(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one field of the image's configuration."""
    configuration = context.configuration
    if configuration is None:
        yield context.skipped(check, _NOT_GIVEN)
        return
    found = {
        "architecture": configuration.architecture,
        "user": configuration.user or "root",
        "workdir": configuration.workdir or "/",
        "command": " ".join(configuration.command),
        "entrypoint": " ".join(configuration.entrypoint),
    }[check.subject]
    if check.subject == "user" and _is_locked_user(configuration, context):
        yield context.passed(check, found=found)
        return
    if check.subject == "command" and configuration.command == context.target.command:
        yield context.passed(check)
        return
    difference: Difference = "personal" if check.subject in _PERSONAL_FIELDS else "changed"
    if found == check.expected and check.subject == "command":
        # the same words, cut in other places
        yield context.differ(
            check, difference, found=repr(configuration.command), expected=repr(context.target.command)
        )
        return
    yield context.compare(check, found, difference=difference)


def evaluate_label(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one label of the image."""
    if context.configuration is None:
        yield context.skipped(check, _NOT_GIVEN)
        return
    yield context.compare(check, context.configuration.labels.get(check.subject))


def evaluate_base_layers(check: Check, context: Context) -> Iterator[CheckResult]:
    """Check that the image's lowest layers are those of the locked base."""
    image = context.target.base.image
    if context.configuration is None or image is None:
        yield context.skipped(check, _NOT_GIVEN)
        return
    found = context.configuration.diff_ids
    same = 0
    for locked, present in zip(image.diff_ids, found, strict=False):
        if locked != present:
            break
        same += 1
    if same == len(image.diff_ids):
        yield context.passed(check)
        return
    yield context.differ(
        check,
        "changed",
        found=f"{same} of them",
        reason=f"layer {same + 1} should be {image.diff_ids[same]}, "
        + (f"is {found[same]}" if same < len(found) else "the image has no more layers"),
    )


def _variable_difference(check: Check, found: str | None) -> Difference:
    if found is None:
        return "missing"
    if check.subject in PERSONAL_VARIABLES:
        return "personal"
    if check.subject == "PATH" and _keeps_order(check.expected or "", found):
        return "personal"
    return "changed"


def _keeps_order(locked: str, found: str) -> bool:
    """Return whether every folder of the locked PATH is still there, in order: editors put theirs between."""
    folders = iter(found.split(":"))
    return all(folder in folders for folder in locked.split(":"))


def _is_locked_user(configuration: Configuration, context: Context) -> bool:
    user = context.target.user
    name, _, group = configuration.user.partition(":")
    return name in {user.name, str(user.uid)} and group in {"", str(user.gid), user.name}
