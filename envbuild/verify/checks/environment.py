"""Variables and user, as a process of the image has them."""

from collections.abc import Iterator

from envbuild.lock.tracker_variables import MLFLOW, WANDB, includes
from envbuild.verify.checks.comparison import Context, Difference
from envbuild.verify.checks.plan import Check
from envbuild.verify.checks.report import CheckResult

PERSONAL_VARIABLES = frozenset(
    {
        *(
            "BROWSER",
            "EDITOR",
            "GIT_EDITOR",
            "HOME",
            "LANG",
            "PAGER",
            "SHELL",
            "TERM",
            "TZ",
            "USER",
            "VISUAL",
        ),
        *(MLFLOW, WANDB),
    }
)
"""What editors and shells set for the person in a dev container, and what people tell trackers of a run."""

HANDED_OVER = frozenset({"NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_VISIBLE_DEVICES"})
"""What engines write anew into a container that gets GPUs: ``void`` where CDI gave them, else the indices or
UUIDs that were asked for (NVIDIA Container Toolkit; Docker Engine, ``--gpus``; NVIDIA's device plugin for
Kubernetes).  The image's configuration keeps what was locked."""


def evaluate_variable(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one variable of the process."""
    variables = context.facts.variables
    found = variables.values.get(check.subject)
    is_tracked = check.subject in context.target.tracker_variables and found is not None
    if is_tracked and found != check.expected and includes(check.subject, check.expected or "", found or ""):
        yield context.passed(check, found=found, reason="what this container was started with is added")
        return
    handed_over = context.target.gpu is not None and check.subject in HANDED_OVER and found is not None
    if found != check.expected and not handed_over:
        yield context.differ(
            check,
            variable_difference(check.subject, check.expected, found),
            found=found,
            reason="in the container's processes",
        )
        return
    if found != check.expected:
        reason = "the engine says in it which GPUs this container was given"
        yield context.passed(check, found=found, reason=reason)
        return
    yield context.passed(check)


def evaluate_user(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare whom the process runs as."""
    process = context.facts.process
    name = process.user if process.user is not None else "no name"
    # a dev container gives the user the uid of the person outside; another name is another user
    difference: Difference = "personal" if name == context.target.user.name else "changed"
    yield context.compare(check, f"{name} ({process.uid}:{process.gid})", difference=difference)


def variable_difference(name: str, expected: str | None, found: str | None) -> Difference:
    """Return how a variable that is not as locked differs."""
    if found is None:
        return "missing"
    if name in PERSONAL_VARIABLES:
        return "personal"
    if name == "PATH" and _keeps_order(expected or "", found):
        return "personal"
    return "changed"


def _keeps_order(locked: str, found: str) -> bool:
    """Return whether every folder of the locked PATH is still there, in order: editors put theirs between."""
    folders = iter(found.split(":"))
    return all(folder in folders for folder in locked.split(":"))
