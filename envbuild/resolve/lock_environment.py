"""From a request to a lock: all its targets, and the artifacts of all of them.

The world is reached through the :class:`Resolvers` alone, and only for what of the previous lock does not
stand.
"""

from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.lock.model import CondaInstaller, Lock, Target, Wheel
from envbuild.platforms import PlatformName
from envbuild.progress import Progress
from envbuild.resolve.compose import choose_user, compose_env
from envbuild.resolve.gpu.assess import refuse_unknown_gpus
from envbuild.resolve.locked_artifacts import LockedArtifacts
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.resolvers import Resolvers
from envbuild.resolve.reuse import PreviousTarget
from envbuild.resolve.sources.release import locked_builds
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
    platform: PlatformName | None = None,
) -> Lock:
    """Resolve ``request`` to exact files, keeping what of ``previous`` need not change.

    With ``platform`` that one alone is resolved.  Others are taken over from ``previous`` if they answer
    ``request``; if not, the lock is one of the platforms it has, and stale until those are locked too.

    :raises NoSolutionError: nothing satisfies the request.
    :raises SpecError: the request contradicts what its base turned out to be.
    """
    refuse_unknown_gpus(request, catalog=catalog)
    artifacts = LockedArtifacts()
    foundations: Foundations = {}
    installer = previous.installer_of(previous.targets[0]) if previous and previous.targets else None
    targets = []
    request, kept = (request, ()) if platform is None else _one_platform(request, platform, previous)
    for variant, platform_of_target in request.targets():
        if previous is not None and platform_of_target in kept:
            targets.append(_kept(previous, variant, platform_of_target, artifacts))
            continue
        resolution = TargetResolution(
            variant=variant,
            platform=platform_of_target,
            resolvers=resolvers,
            previous=PreviousTarget.of(previous, variant, platform_of_target, upgrade) if previous else None,
            foundations=foundations,
            progress=progress,
            catalog=catalog,
        )
        resolved = resolution.resolve(request.variants[variant])
        installer = resolvers.installer(resolved.foundation, previous=installer)
        targets.append(_target(resolved, installer, artifacts))
    tools = (previous.tools if previous else {}) | resolvers.tools()
    return Lock(
        tools=dict(sorted(tools.items())),
        request=request,
        targets=tuple(targets),
        data=previous.data if previous else (),
        **artifacts.sorted(),
    )


def _one_platform(
    request: Request, platform: PlatformName, previous: Lock | None
) -> tuple[Request, tuple[PlatformName, ...]]:
    """Return the request of ``platform`` and of what ``previous`` has for others, and these others."""
    stands = previous is not None and previous.request.variants == request.variants
    held = previous.request.platforms if previous is not None and stands else ()
    kept = tuple(other for other in request.platforms if other != platform and other in held)
    return request.model_copy(update={"platforms": tuple(sorted((platform, *kept)))}), kept


def _kept(previous: Lock, variant: str, platform: PlatformName, artifacts: LockedArtifacts) -> Target:
    """Return a target of ``previous`` as it is, its artifacts added to those of the lock."""
    target = next(item for item in previous.targets if (item.variant, item.platform) == (variant, platform))
    base = previous.base(target)
    key = artifacts.add_base(base, variant)
    artifacts.add_debs((*previous.base_debs_of(base), *previous.system_debs_of(target)))
    python = artifacts.apart(
        PythonResolution(wheels=previous.wheels_of(target), builds=locked_builds(previous, target))
    )
    artifacts.add_wheels(previous.tools_of(target))
    artifacts.add_conda(previous.conda_of(target))
    artifacts.add_builds(python.builds, base=key, variant=variant)
    return target.model_copy(update={"base": key, "wheels": artifacts.add_wheels(python.wheels)})


def _target(resolved: ResolvedTarget, installer: Wheel, artifacts: LockedArtifacts) -> Target:
    """Return the target of what was resolved, its artifacts added to those of the lock."""
    request, foundation, conda = resolved.request, resolved.foundation, resolved.conda
    base, packages = foundation.base, conda.packages if conda else ()
    python = artifacts.apart(resolved.python)
    conda_installer = None
    if resolved.conda_installer:
        (file,) = artifacts.add_wheels([resolved.conda_installer])
        conda_installer = CondaInstaller(wheel=file, interpreter=foundation.interpreter)
    (installer_file,) = artifacts.add_wheels([installer])
    artifacts.add_debs(foundation.debs)
    base_key = artifacts.add_base(base, resolved.variant)
    artifacts.add_builds(python.builds, base=base_key, variant=resolved.variant)
    return Target(
        variant=resolved.variant,
        platform=resolved.platform,
        base=base_key,
        interpreter=foundation.under(conda).interpreter,
        installer=installer_file,
        debs=artifacts.add_debs(resolved.debs),
        wheels=artifacts.add_wheels((*python.wheels, *resolved.carried)),
        conda=artifacts.add_conda(packages),
        conda_installer=conda_installer,
        env=compose_env(request, base, resolved.gpu, conda=packages),
        gpu=resolved.gpu,
        user=choose_user(request.image.user, base),
        workdir=request.image.workdir,
        command=request.image.command,
        record=request.experiments.record if request.experiments else None,
    )
