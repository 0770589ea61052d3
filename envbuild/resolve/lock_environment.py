"""From a request to a lock: all its targets, and the artifacts of all of them.

The world is reached through the :class:`Resolvers` alone, and only for what of the previous lock does not
stand.
"""

from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.lock.model import CondaInstaller, Lock, Target, Wheel
from envbuild.progress import Progress
from envbuild.resolve.compose import LockedArtifacts, choose_user, compose_env
from envbuild.resolve.gpu.assess import refuse_unknown_gpus
from envbuild.resolve.resolvers import Resolvers
from envbuild.resolve.reuse import PreviousTarget
from envbuild.resolve.target import Foundations, ResolvedTarget, TargetResolution
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import Request


def lock_environment(
    request: Request,
    *,
    previous: Lock | None,
    resolvers: Resolvers,
    upgrade: Upgrade,
    progress: Progress,
    catalog: Catalog = BUILT_IN,
) -> Lock:
    """Resolve ``request`` to exact files, keeping what of ``previous`` need not change.

    :raises NoSolutionError: nothing satisfies the request.
    :raises SpecError: the request contradicts what its base turned out to be.
    """
    refuse_unknown_gpus(request, catalog=catalog)
    artifacts = LockedArtifacts()
    foundations: Foundations = {}
    installer = previous.installer_of(previous.targets[0]) if previous and previous.targets else None
    targets = []
    for variant, platform in request.targets():
        resolution = TargetResolution(
            variant=variant,
            platform=platform,
            resolvers=resolvers,
            previous=PreviousTarget.of(previous, variant, platform, upgrade) if previous else None,
            foundations=foundations,
            progress=progress,
            catalog=catalog,
        )
        resolved = resolution.resolve(request.variants[variant])
        installer = resolvers.installer(resolved.foundation, previous=installer)
        targets.append(_target(resolved, installer, artifacts))
    tools = (previous.tools if previous else {}) | resolvers.tools()
    return Lock(
        tools=dict(sorted(tools.items())), request=request, targets=tuple(targets), **artifacts.sorted()
    )


def _target(resolved: ResolvedTarget, installer: Wheel, artifacts: LockedArtifacts) -> Target:
    """Return the target of what was resolved, its artifacts added to those of the lock."""
    request, foundation, conda = resolved.request, resolved.foundation, resolved.conda
    base, packages = foundation.base, conda.packages if conda else ()
    conda_installer = None
    if resolved.conda_installer:
        (file,) = artifacts.add_wheels([resolved.conda_installer])
        conda_installer = CondaInstaller(wheel=file, interpreter=foundation.interpreter)
    (installer_file,) = artifacts.add_wheels([installer])
    artifacts.add_debs(foundation.debs)
    return Target(
        variant=resolved.variant,
        platform=resolved.platform,
        base=artifacts.add_base(base, resolved.variant),
        interpreter=foundation.under(conda).interpreter,
        installer=installer_file,
        debs=artifacts.add_debs(resolved.debs),
        wheels=artifacts.add_wheels(resolved.wheels),
        conda=artifacts.add_conda(packages),
        conda_installer=conda_installer,
        env=compose_env(request, base, resolved.gpu, conda=packages),
        gpu=resolved.gpu,
        user=choose_user(request.image.user, base),
        workdir=request.image.workdir,
        command=request.image.command,
    )
