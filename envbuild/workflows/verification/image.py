"""One image being verified: by what it tells, or read from outside."""

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.errors import BuildFailedError, EngineError, ImageError, NetworkError, VerificationError
from envbuild.workflows.images.registry import ask_registry
from envbuild.workflows.machine import Machine
from envbuild.workflows.sources.wheels import target_artifacts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from envbuild.image.engine import Engine
    from envbuild.image.facts import ImageFacts
    from envbuild.image.local.reference import Reference
    from envbuild.image.stored.image import StoredImage
    from envbuild.image.stored.listings import ListingCache
    from envbuild.lock.model import ImageSource, Lock, Target
    from envbuild.store.target_artifacts import TargetArtifacts
    from envbuild.verify.checks.report import CheckResult, Report
    from envbuild.verify.checks.target import LockedTarget
    from envbuild.verify.files.expected_files import ExpectedFiles
    from envbuild.verify.stored import StoredEvidence
    from envbuild.workflows.verification.options import VerifyOptions


@dataclass(frozen=True, slots=True)
class ImageVerification:
    """One target's image being verified; each way returns the name of the image, and the report."""

    lock: "Lock"
    target: "Target"
    options: "VerifyOptions"
    machine: Machine

    @property
    def is_outside(self) -> bool:
        """Whether files are read from outside."""
        return self.options.deep or self.options.exact

    @property
    def locked(self) -> "LockedTarget":
        """What the lock says of the target, as the checks read it."""
        from envbuild.lock.identity import digest_of, project_target
        from envbuild.verify.checks.target import read_target

        projection = project_target(self.lock, self.target)
        return read_target(projection, digest_of(projection))

    def with_engine(self, engine: "Engine") -> "tuple[str, Report]":
        """Verify an image that an engine holds; from outside also one that its registry has."""
        from envbuild.image.built_image import image_reference_for

        reference = self.options.image or image_reference_for(self.lock, self.target)
        self.machine.progress.on_stage(f"looking for {reference}")
        # a name is resolved here, once: everything after this is about the image of this digest
        with _readable(reference):
            facts = engine.find(reference)
        if facts is None and self.options.image is None:
            facts = self._pulled(reference, engine)
        if facts is None:
            if self.is_outside and self.options.image and _has_registry(reference):
                return self.from_outside(f"registry:{reference}")
            raise _no_image(engine, self.lock, self.target, reference, named=self.options.image is not None)
        _refuse_earlier_format(reference, facts)
        if self.is_outside:
            return self.from_outside(reference, engine, facts)
        return self.by_testimony(reference, engine, facts)

    def _pulled(self, reference: str, engine: "Engine") -> "ImageFacts | None":
        """Return the lock's image, pulled from its registry by digest; None: that has none."""
        answer = ask_registry(self.lock, self.target, self.machine)
        if answer.image is None:
            return None
        engine.pull(answer.image)
        self.machine.progress.on_note(f"pulled {answer.image.pinned}")
        return engine.find(reference)

    def by_testimony(self, reference: str, engine: "Engine", facts: "ImageFacts") -> "tuple[str, Report]":
        """Compare what an image tells, and the configuration that its engine tells, with the lock."""
        from envbuild.verify.checks.report import Report
        from envbuild.verify.configuration import compare_configuration, expected_configuration
        from envbuild.verify.image import ask_image

        self.machine.progress.on_stage(f"asking {reference}")
        locked, profile = self.locked, self.options.profile
        told = ask_image(
            engine, facts.identifier, locked, profile=profile, require_gpu=self.options.require_gpu
        )
        base = self._base_configuration(offline=True)
        configuration = compare_configuration(
            expected_configuration(self.lock, self.target, base), facts, profile=profile
        )
        report = Report(
            target=locked.title,
            profile=profile,
            results=(*told, *configuration),
            digest=facts.identifier,
            source=engine.title,
        )
        return reference, report

    def from_outside(
        self, reference: str, engine: "Engine | None" = None, facts: "ImageFacts | None" = None
    ) -> "tuple[str, Report]":
        """Compare every file and the configuration as they are stored; then, with ``--deep``, ask the image.

        Without an engine ``reference`` says where the image lies.
        """
        from envbuild.image.stored.listings import ListingCache
        from envbuild.verify.checks.report import Report

        listings = ListingCache(self.machine.cache, rereads=not self.options.use_cache)
        locked = self.locked
        # what is read or made stays until it is compared
        with self.machine.store.use():
            with _readable(reference):
                image = self._stored(reference, engine, facts, listings)
                _refuse_earlier_format(reference, image.facts)
            made, without = self._reference(listings)
            with _readable(reference):
                evidence = self._compare(image, locked, listings, made, without)
        told: tuple[CheckResult, ...] = ()
        if self.options.deep:
            told = self._testimony(engine, image, locked, held=evidence.held)
        report = Report(
            target=locked.title,
            profile=self.options.profile,
            results=(*told, *evidence.results),
            digest=image.digest,
            source=image.source,
            coverage=evidence.coverage,
            proof=evidence.proof,
        )
        return reference, report

    def _stored(
        self,
        reference: str,
        engine: "Engine | None",
        facts: "ImageFacts | None",
        listings: "ListingCache",
    ) -> "StoredImage":
        from envbuild.platforms import PLATFORMS

        machine, platform = self.machine, PLATFORMS[self.target.platform]
        if engine is None or facts is None:
            from envbuild.image.stored.sources import SourceOptions, open_source

            options = SourceOptions(
                platform=platform,
                cache=machine.cache,
                listings=listings,
                environment=machine.environment,
                offline=machine.offline,
                progress=machine.progress,
            )
            return open_source(reference, options)
        image = engine.stored(facts.identifier, platform=platform, listings=listings)
        if image is None:
            raise EngineError(f"{engine.title} no longer has {facts.identifier[:19]}", hint="try again")
        return image

    def _compare(
        self,
        image: "StoredImage",
        locked: "LockedTarget",
        listings: "ListingCache",
        made: "Reference | None",
        without: str | None,
    ) -> "StoredEvidence":
        from envbuild.image.stored.image import list_image
        from envbuild.verify.files.expected_files import ExpectedFiles
        from envbuild.verify.stored import StoredComparison, compare_stored

        progress, options = self.machine.progress, self.options
        progress.on_stage(f"reading {image.digest[:19]} from {image.source}")
        listed = list_image(image, listings)
        progress.on_stage("comparing every file")
        artifacts = target_artifacts(self.lock, self.target, self.machine)
        return compare_stored(
            StoredComparison(
                lock=self.lock,
                target=self.target,
                locked=locked,
                image=image,
                listings=listed,
                expected=_expected(artifacts, locked, options) if options.deep else ExpectedFiles(),
                # with a reference the lock and the probe are among its files
                carried={} if made is not None else self._carried(),
                reference=made,
                no_reference=without,
                base=self._base_configuration(offline=self.machine.offline),
                exact=options.exact,
                profile=options.profile,
                require_complete=options.require_complete,
            )
        )

    def _carried(self) -> dict[str, str]:
        from envbuild.digest import sha256_bytes
        from envbuild.lock.image_paths import IMAGE_FOLDER
        from envbuild.render.recipe import carried_files
        from envbuild.verify.probe_bundle import build_probe

        files = carried_files(self.lock, self.target, probe=build_probe())
        return {f"{IMAGE_FOLDER}/{name}": sha256_bytes(content) for name, content in files.items()}

    def _testimony(
        self, engine: "Engine | None", image: "StoredImage", locked: "LockedTarget", *, held: bool
    ) -> "tuple[CheckResult, ...]":
        """Ask the image once its files held: one whose files differ says nothing that could be believed."""
        from envbuild.verify.checks.report import CheckResult
        from envbuild.verify.image import ask_image

        options = self.options
        if engine is not None and held:
            self.machine.progress.on_stage(f"asking {image.digest[:19]}")
            return ask_image(
                engine,
                image.digest,
                locked,
                profile=options.profile,
                imports=True,
                require_gpu=options.require_gpu,
            )
        reason = f"only an engine runs it, and it is in {image.source}" if held else "its files differ"
        return (
            CheckResult(
                id="testimony",
                group="environment",
                title="what the image tells",
                outcome="failed" if held and options.require_gpu else "skipped",
                reason=f"not asked: {reason}",
                evidence="stored",
            ),
        )

    def _reference(self, listings: "ListingCache") -> "tuple[Reference | None, str | None]":
        """Return what the local engine makes of the lock, or why it cannot.

        :raises EngineError: it cannot, and with ``--exact`` there is no answer without it.
        """
        from envbuild.image.engine import BuildRequest
        from envbuild.image.local.reference import kept_reference, make_reference
        from envbuild.verify.probe_bundle import build_probe

        machine, use_cache = self.machine, self.options.use_cache
        request = BuildRequest(
            lock=self.lock,
            target=self.target,
            artifacts=target_artifacts(self.lock, self.target, machine),
            probe=build_probe,
            use_cache=use_cache,
        )
        kept = kept_reference(request, listings, cache=machine.cache) if use_cache else None
        if kept is not None:
            return kept, None
        machine.progress.on_stage("assembling the reference: what the lock makes")
        try:
            made = make_reference(request, listings, cache=machine.cache, environment=machine.environment)
        except (EngineError, BuildFailedError, NetworkError) as error:
            if self.options.exact:
                raise EngineError(
                    f"--exact needs what the lock makes, which cannot be assembled: {error.message}",
                    hint=error.hint,
                    detail=error.detail,
                ) from error
            return None, f"no reference: {error.message}"
        return made, None

    def _base_configuration(self, *, offline: bool) -> "dict[str, Any] | None":
        """Return the configuration of the image base; None: there is no such base, or it is not at hand."""
        from envbuild.cache.folders import DOCUMENTS
        from envbuild.formats.json_text import parse_json
        from envbuild.oci.documents import DocumentFolder

        source = self.lock.base(self.target).image
        if source is None:
            return None
        kept = DocumentFolder(DOCUMENTS.path(self.machine.cache)).get(source.config)
        data = kept.data if kept is not None else None if offline else self._fetch_base_configuration(source)
        document: dict[str, Any] | None = None if data is None else parse_json(data)
        return document

    def _fetch_base_configuration(self, source: "ImageSource") -> bytes | None:
        from envbuild.image.local.registry import document_registry
        from envbuild.oci.reference import parse_reference
        from envbuild.platforms import PLATFORMS

        registry = document_registry(self.machine.cache, environment=self.machine.environment, offline=False)
        pinned = parse_reference(source.reference).at(source.digest)
        try:
            resolved = registry.resolve(pinned, PLATFORMS[self.target.platform])
        except (NetworkError, ImageError):
            return None
        return resolved.config.document if resolved.config_digest == source.config else None


@contextmanager
def _readable(reference: str) -> "Iterator[None]":
    """Turn the error of an image that cannot be read into one of verification: it is not the lock's.

    :raises VerificationError: a document or a layer of the image is not well formed.
    """
    from envbuild.oci.manifest import ManifestError

    try:
        yield
    except (ImageError, ManifestError) as error:
        raise VerificationError(
            f"{reference} cannot be read: {error.message}", detail=error.detail, hint=error.hint
        ) from error


def _has_registry(reference: str) -> bool:
    """Return whether a reference names its registry (distribution's ``reference`` grammar)."""
    first, slash, _ = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _no_image(
    engine: "Engine", lock: "Lock", target: "Target", reference: str, *, named: bool
) -> EngineError:
    """Return the error of an image the engine does not hold."""
    from envbuild.image.built_image import earlier_images

    if named:
        return EngineError(f"{engine.title} has no image {reference}", hint="pull it, or check its name")
    earlier = next(earlier_images(lock, target, engine), None)
    if earlier is not None:
        return EngineError(
            f"{engine.title} has no image {reference}: {earlier.reference} is in an older recipe format",
            hint="an earlier release of envbuild built it; rebuild it with `envbuild build`",
        )
    return EngineError(f"{engine.title} has no image {reference}", hint="run `envbuild build`")


def _refuse_earlier_format(reference: str, facts: "ImageFacts") -> None:
    from envbuild.image.built_image import earlier_format
    from envbuild.lock.identity import RECIPE_FORMAT

    number = earlier_format(facts)
    if number is not None:
        raise VerificationError(
            f"{reference} is in the older recipe format {number}; this release verifies {RECIPE_FORMAT}",
            hint="an earlier release of envbuild built it; rebuild it with `envbuild build`",
        )


def _expected(
    artifacts: "TargetArtifacts", locked: "LockedTarget", options: "VerifyOptions"
) -> "ExpectedFiles":
    """Return the files of the locked artifacts; artifacts whose files are not known yet are fetched."""
    from envbuild.cache.folders import TREES
    from envbuild.verify.files.artifacts import TreeCache, expected_files, missing_trees

    cache = TreeCache(TREES.path(artifacts.store.folder), rereads=not options.use_cache)
    names = set(missing_trees(locked, cache))
    if names:
        artifacts.fetch([item for item in artifacts.by_sha256.values() if item.filename in names])
    return expected_files(locked, artifact=artifacts.path, cache=cache)
