"""The whole configuration of an image, read from outside, against what the lock makes of it.

What is expected follows from the lock, and from the configuration of an image base, which the lock has by
digest.  A field that is not expected is named, whatever it is.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from envbuild.image.compose import created_at, settings_of
from envbuild.image.docker import maker as docker
from envbuild.image.facts import ImageFacts
from envbuild.image.local import maker as local
from envbuild.image.maker import Maker
from envbuild.lock.identity import target_digest
from envbuild.lock.model import Lock, Target
from envbuild.render import labels
from envbuild.verify.checks.comparison import Difference, outcome_of
from envbuild.verify.checks.environment import variable_difference
from envbuild.verify.checks.report import CheckResult, Profile

GROUP: Final = "configuration"

MAKERS: Final = {maker.name: maker for maker in (docker.MAKER, local.MAKER)}
"""What may have built an image of ours, by name."""

_PERSONAL: Final = frozenset({"User", "WorkingDir", "Cmd", "Entrypoint"})
"""What the dev container tools replace: remoteUser, workspaceFolder, overrideCommand (containers.dev)."""

_TITLES: Final = {"User": "user", "WorkingDir": "workdir", "Cmd": "command", "Entrypoint": "entrypoint"}
"""Fields that results call otherwise than the configuration does."""

_OF_CONTAINERS: Final = frozenset(
    {
        *("Hostname", "Domainname", "AttachStdin", "AttachStdout", "AttachStderr"),
        *("Tty", "OpenStdin", "StdinOnce", "Image"),
    }
)
"""Fields of containers that engines' descriptions, and old builders, also give of images; no engine reads
them from an image (Docker Engine API, ``ImageConfig``)."""

_TOP_LEVEL: Final = frozenset({"architecture", "os", "variant", "config", "rootfs", "history", "created"})

NOT_LOCKED: Final = "not in the lock"

_UNKNOWN: Final = "the configuration of the base is not at hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedConfiguration:
    """What the lock makes of an image's configuration."""

    settings: Mapping[str, Any]
    """The ``config`` table; the label that names the engine is left out."""

    architecture: str
    variant: str
    created: str
    base_diff_ids: tuple[str, ...]
    base_reference: str
    inherits: bool
    """Whether there may be more in it, from a base whose configuration is not at hand."""


def expected_configuration(
    lock: Lock,
    target: Target,
    base: Mapping[str, Any] | None,
    *,
    reference: Mapping[str, Any] | None = None,
) -> ExpectedConfiguration:
    """Return what is expected of the image of ``target``.

    ``base`` is the configuration of its image base, ``reference`` that of the image which the local engine
    makes of the lock: it has what the base hands on, where that itself is not at hand.
    """
    source = lock.base(target).image
    settings = settings_of(
        lock,
        target,
        target_digest(lock, target),
        inherited=(base or {}).get("config") or {},
        engine=next(iter(MAKERS)),
    )
    known = base
    if source is not None and base is None and reference is not None:
        settings, known = reference["config"], reference
    named = {name: value for name, value in settings["Labels"].items() if name != labels.ENGINE}
    return ExpectedConfiguration(
        settings={**settings, "Labels": named},
        architecture=target.platform.partition("/")[2],
        variant=str((known or {}).get("variant") or ""),
        created=created_at(lock, target),
        base_diff_ids=source.diff_ids if source else (),
        base_reference=source.reference if source else "",
        inherits=source is not None and known is None,
    )


def compare_configuration(
    expected: ExpectedConfiguration,
    facts: ImageFacts,
    *,
    document: Mapping[str, Any] | None = None,
    profile: Profile = "image",
) -> tuple[CheckResult, ...]:
    """Return a result for each field of an image's configuration.

    ``facts`` are what the engine says, or follow from the stored ``document``, which also has the fields that
    engines do not tell.
    """
    comparison = _FieldComparison(expected, profile)
    return (
        *comparison.platform(facts, document),
        *comparison.settings(facts.settings),
        *comparison.layers(facts.diff_ids),
        *comparison.rest(document),
    )


class _FieldComparison:
    def __init__(self, expected: ExpectedConfiguration, profile: Profile) -> None:
        self._expected = expected
        self._profile: Profile = profile

    def platform(self, facts: ImageFacts, document: Mapping[str, Any] | None) -> Iterator[CheckResult]:
        yield self._compare(
            "image/architecture", "image architecture", self._expected.architecture, facts.architecture
        )
        if document is None:
            return
        yield self._compare("image/os", "image os", "linux", str(document.get("os") or ""))
        variant = str(document.get("variant") or "")
        if not self._expected.inherits:
            yield self._compare("image/variant", "image variant", self._expected.variant, variant)
        yield self._compare(
            "image/created",
            "image created",
            self._expected.created,
            _same_time(self._expected.created, document.get("created")),
        )

    def settings(self, found: Mapping[str, Any]) -> Iterator[CheckResult]:
        wanted = self._expected.settings
        yield from self._variables(found.get("Env"))
        yield from self._labels(found.get("Labels"))
        names = {*wanted, *found} - {"Env", "Labels"}
        maker = MAKERS.get(str(_table(found.get("Labels")).get(labels.ENGINE)))
        for name in sorted(names):
            if name in wanted or not _says_nothing(name, found[name], maker):
                yield from self._field(name, wanted.get(name), found.get(name))

    def layers(self, found: tuple[str, ...]) -> Iterator[CheckResult]:
        """Yield whether the lowest layers are those of the locked base."""
        wanted = self._expected.base_diff_ids
        if not wanted:
            return
        same = 0
        for locked, present in zip(wanted, found, strict=False):
            if locked != present:
                break
            same += 1
        title = f"layers of {self._expected.base_reference}"
        said = f"{len(wanted)} {'layer' if len(wanted) == 1 else 'layers'} of the locked base"
        if same == len(wanted):
            yield self._passed("base-layers", title, said)
            return
        yield self._differ(
            "base-layers",
            title,
            "changed",
            expected=said,
            found=f"{same} of them",
            reason=f"layer {same + 1} should be {wanted[same]}, "
            + (f"is {found[same]}" if same < len(found) else "the image has no more layers"),
        )

    def rest(self, document: Mapping[str, Any] | None) -> Iterator[CheckResult]:
        """Yield the fields beside the settings that no image of ours has."""
        for name in sorted((document or {}).keys() - _TOP_LEVEL):
            value = (document or {})[name]
            if value not in (None, "", [], {}):
                yield self._differ(
                    f"image/{name}", f"image {name}", "extra", found=_short(value), reason=NOT_LOCKED
                )

    def _variables(self, found: object) -> Iterator[CheckResult]:
        wanted = _variables(self._expected.settings.get("Env"))
        present, odd = _variables(found), _odd_variables(found)
        for name, value in sorted(wanted.items()):
            if present.get(name) == value:
                yield self._passed(f"image/env/{name}", f"image variable {name}", value)
            else:
                difference = variable_difference(name, value, present.get(name))
                yield self._differ(
                    f"image/env/{name}",
                    f"image variable {name}",
                    difference,
                    expected=value,
                    found=present.get(name),
                )
        for name in sorted({*present} - {*wanted}) + odd:
            # its value may be a secret
            yield self._differ(
                f"env/{name}", name, "extra", found="set", reason="set by the image, not in the lock"
            )

    def _labels(self, found: object) -> Iterator[CheckResult]:
        wanted: Mapping[str, str] = self._expected.settings["Labels"]
        present = _table(found)
        for name, value in sorted(wanted.items()):
            now = present.get(name)
            if now == value:
                yield self._passed(f"label/{name}", f"label {name}", value)
            else:
                difference: Difference = "missing" if now is None else "changed"
                shown = None if now is None else str(now)
                yield self._differ(f"label/{name}", f"label {name}", difference, expected=value, found=shown)
        engine = present.get(labels.ENGINE)
        name = f"label {labels.ENGINE}"
        if isinstance(engine, str) and engine in MAKERS:
            yield self._passed(f"label/{labels.ENGINE}", name, str(engine))
        else:
            shown = None if engine is None else str(engine)
            yield self._differ(
                f"label/{labels.ENGINE}",
                name,
                "missing" if engine is None else "changed",
                expected=" or ".join(MAKERS),
                found=shown,
            )
        for name in sorted({*present} - {*wanted, labels.ENGINE}):
            yield from self._unexpected(f"label/{name}", f"label {name}", present[name])

    def _field(self, name: str, wanted: object, found: object) -> Iterator[CheckResult]:
        title = f"image {_TITLES.get(name, name)}"
        key = f"image/{_TITLES.get(name, name)}"
        if _plain(wanted) == _plain(found):
            if not _is_empty(wanted):
                yield self._passed(key, title, _short(wanted))
            return
        if name == "User" and self._is_user(str(found or "")):
            yield self._passed(key, title, str(found))
            return
        if _is_empty(wanted):
            if name in _PERSONAL:
                yield self._differ(
                    key, title, "personal", expected="", found=_short(found), reason=NOT_LOCKED
                )
            else:
                yield from self._unexpected(key, title, found)
            return
        difference: Difference = (
            "personal" if name in _PERSONAL else "missing" if _is_empty(found) else "changed"
        )
        yield self._differ(
            key,
            title,
            difference,
            expected=_short(wanted),
            found=None if _is_empty(found) else _short(found),
        )

    def _unexpected(self, key: str, title: str, found: object) -> Iterator[CheckResult]:
        if self._expected.inherits:
            yield CheckResult(
                id=key,
                group=GROUP,
                title=title,
                outcome="skipped",
                found=_short(found),
                reason=_UNKNOWN,
                evidence="stored",
            )
        else:
            yield self._differ(key, title, "extra", found=_short(found), reason=NOT_LOCKED)

    def _is_user(self, found: str) -> bool:
        """Return whether ``found`` is the locked user by number, with or without its group."""
        uid, _, _ = str(self._expected.settings["User"]).partition(":")
        return found == uid

    def _compare(self, key: str, title: str, wanted: str, found: str) -> CheckResult:
        if wanted == found:
            return self._passed(key, title, wanted)
        return self._differ(key, title, "changed", expected=wanted or "none", found=found or "none")

    def _passed(self, key: str, title: str, value: str) -> CheckResult:
        return CheckResult(
            id=key,
            group=GROUP,
            title=title,
            outcome="passed",
            expected=value,
            found=value,
            evidence="stored",
        )

    def _differ(
        self,
        key: str,
        title: str,
        difference: Difference,
        *,
        expected: str | None = None,
        found: str | None,
        reason: str | None = None,
    ) -> CheckResult:
        return CheckResult(
            id=key,
            group=GROUP,
            title=title,
            outcome=outcome_of(self._profile, difference),
            expected=expected,
            found="missing" if found is None else found,
            reason=reason,
            evidence="stored",
        )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _says_nothing(name: str, value: object, maker: Maker | None) -> bool:
    """Return whether a field that the lock does not have is one that every image of its engine may have."""
    if maker is not None and name in maker.settings:
        # to Python 1 is True, to JSON it is not
        return type(value) is type(maker.settings[name]) and bool(value == maker.settings[name])
    return name in _OF_CONTAINERS and (_is_empty(value) or value is False)


def _variables(found: object) -> dict[str, str]:
    items = found if isinstance(found, list | tuple) else ()
    return dict(str(item).partition("=")[::2] for item in items if "=" in str(item))


def _odd_variables(found: object) -> list[str]:
    """Return the items of an environment that are no variables, or set one again."""
    items = [str(item) for item in found] if isinstance(found, list | tuple) else []
    names = [item.partition("=")[0] for item in items]
    twice = {name for name, count in Counter(names).items() if count > 1}
    return sorted({item for item in items if "=" not in item} | twice)


def _plain(value: object) -> object:
    """Return a value in one form: engines write a field that is not set in several ways, and lists as tuples.

    Only the whole value can be nothing: to engines ``{"/data": null}`` is a volume, as ``{"/data": {}}`` is.
    """
    if isinstance(value, tuple):
        value = list(value)
    return None if value is None or value in ("", [], {}) else value


def _is_empty(value: object) -> bool:
    return _plain(value) is None


def _short(value: object) -> str:
    """Return a value in a few words: a list of words as a command line, else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return (
            " ".join(value) if not any(" " in item or not item for item in value) else json.dumps(list(value))
        )
    return json.dumps(value, sort_keys=True, default=str)


def _same_time(expected: str, found: object) -> str:
    """Return ``expected`` if ``found`` is the same moment written otherwise, else ``found``."""
    try:
        same = datetime.fromisoformat(str(found)) == datetime.fromisoformat(expected)
    except (ValueError, TypeError):
        same = False
    return expected if same else str(found or "")
