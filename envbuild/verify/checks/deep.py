"""Every file against the locked artifacts, and bytecode against its source."""

import posixpath
from collections.abc import Iterator

from envbuild.verify.checks.allowed import MODES, VOLATILE, is_generated, is_in_system_folder
from envbuild.verify.checks.comparison import Context, Difference
from envbuild.verify.checks.expected_files import ExpectedEntry
from envbuild.verify.checks.facts import BytecodeFinding, FileEntry
from envbuild.verify.checks.files import FileIndex, describe_difference, is_unread
from envbuild.verify.checks.path_origins import Files
from envbuild.verify.checks.plan import Check
from envbuild.verify.checks.report import CheckResult

_NOT_ASKED = "files are compared with --deep only"
_NOT_LOCKED = "the locked artifact was not at hand"

_PROBLEMS = {
    "mismatch": "is not what its source compiles to",
    "orphan": "has no source",
    "stale": "was made from another source than the one beside it",
    "mode": "was not written by the build",
    "header": "records the hash of another source",
    "unreadable": "cannot be read as bytecode",
}


def evaluate_wheel_files(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare a wheel's files with what installing the locked file gives."""
    return _compare_package(check, context, context.claims.of_wheel(check.subject))


def evaluate_conda_files(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare a conda package's files with what the locked file holds, its prefix replaced."""
    return _compare_package(check, context, context.claims.of_conda(check.subject))


def evaluate_deb_files(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare a deb's files with what the locked file holds."""
    return _compare_package(check, context, context.claims.of_deb(check.subject))


def evaluate_prefix_extras(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each file in the prefix that is no locked wheel's, nor bytecode of one, nor the venv's own."""
    files = context.files
    if files is None or context.expected is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    prefix = context.target.prefix
    claimed = {*context.claims.wheel_paths, *context.claims.conda_paths}
    results: list[CheckResult] = []
    for path, found in files.deep.files.items():
        if not path.startswith(f"{prefix}/") or found[0] == "d" or path in claimed:
            continue
        if _source_of(path) in claimed:
            continue  # evaluate_bytecode judges it
        results += _judge_skeleton(check, context, files, path, found)
    yield from results or [context.passed(check)]


def evaluate_system_extras(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each file in folders for programs and libraries that no locked deb brings.

    Only for a base made of packages: an image base's own files are its layers, which have digests.
    """
    files = context.files
    if files is None or context.expected is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    claimed = context.claims.deb_paths
    prefix = f"{context.target.prefix}/"
    results = [
        context.unlocked(
            check, f"file{path}", title=path, found=_KIND_WORDS[found[0]], reason="owned by no locked package"
        )
        for path, found in files.deep.files.items()
        if found[0] != "d"
        and is_in_system_folder(path)
        and not path.startswith(prefix)
        and path not in claimed
        and _source_of(path) not in claimed
        and not is_generated(path, found)
    ]
    yield from results or [context.passed(check)]


def evaluate_bytecode(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each ``.pyc`` that could run in place of its source, and each that is not the build's."""
    files = context.files
    if files is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    bytecode = files.deep.bytecode
    results: list[CheckResult] = []
    harmless: dict[str, list[str]] = {}
    for finding in bytecode.findings:
        if _is_shipped(context, files, finding.path):
            continue
        if _is_harmless(context, finding):
            harmless.setdefault(finding.problem, []).append(finding.path)
        else:
            results.append(_judge_bytecode(check, context, finding))
    results += [
        context.single(
            check,
            f"bytecode/{problem}",
            "harmless",
            title=f"bytecode of the base, {len(paths)} files",
            expected=None,
            found=_PROBLEMS[problem],
            reason=f"first: {paths[0]}",
        )
        for problem, paths in sorted(harmless.items())
    ]
    foreign = f", {bytecode.foreign} of other Python versions not" if bytecode.foreign else ""
    found = f"{bytecode.checked} files compared with their sources{foreign}"
    yield from results or [context.passed(check, found=found)]


_WRITABLE = 0o222
_KIND_WORDS = {"f": "a file", "l": "a link", "o": "a special file"}


def _compare_package(check: Check, context: Context, locked: Files | None) -> Iterator[CheckResult]:
    files = context.files
    if files is None or locked is None:
        yield context.skipped(check, _NOT_ASKED if files is None else _NOT_LOCKED)
        return
    missing: list[str] = []
    results: list[CheckResult] = []
    unread = 0
    owned = 0
    for path, place, entry in locked:
        if entry.kind != "d":
            owned += 1
        found = files.get(place)
        if found is None:
            if entry.kind != "d" and not _may_be_missing(context, files, path):
                missing.append(place)
        elif is_unread(entry, found):
            unread += 1
        else:
            results += _judge_file(check, context, place, entry, found)
    if missing and len(missing) == owned:
        yield context.differ(check, "missing", found=None, reason=f"none of its {owned} files is there")
        return
    results += [
        context.single(
            check, f"file{path}", "missing", title=path, expected="a file", found=None, reason=check.title
        )
        for path in missing
    ]
    if unread:
        yield context.skipped(
            check, f"{unread} files cannot be read by uid {context.facts.process.uid}; deep checks want root"
        )
    elif not results:
        yield context.passed(check, found=f"{owned} files")
    yield from sorted(results, key=lambda result: result.id)


def _may_be_missing(context: Context, files: FileIndex, path: str) -> bool:
    return path in VOLATILE or context.claims.may_be_absent(path) or files.is_mounted(path)


def _judge_file(
    check: Check, context: Context, path: str, entry: ExpectedEntry, found: FileEntry
) -> Iterator[CheckResult]:
    overrides = context.facts.deep.mode_overrides if context.facts.deep else {}
    described = describe_difference(entry, found, mode=overrides.get(path, MODES.get(path)))
    if described is None:
        return
    if entry.kind == "d" and found[0] == "l":
        return  # a folder of one package may be a link of another (merged /usr); what it leads to is compared
    if context.claims.is_owned_as_found(path, found) and described[0][:4] != "mode":
        return  # another locked package replaces the file (Replaces, Debian Policy 7.6)
    expected, now = described
    # a dev container may let its person edit the environment (render/devcontainer/editable.py)
    opened = expected[:4] == "mode" and found[1] == entry.mode | _WRITABLE
    opened = opened and path.startswith(f"{context.target.prefix}/")
    difference: Difference = "personal" if entry.conffile or opened else "changed"
    reason = f"{check.title}; a configuration file" if entry.conffile else check.title
    yield context.single(
        check, f"file{path}", difference, title=path, expected=expected, found=now, reason=reason
    )


def _judge_skeleton(
    check: Check, context: Context, files: FileIndex, path: str, found: FileEntry
) -> Iterator[CheckResult]:
    """Judge what ``python -m venv --without-pip`` puts into the prefix, and name all else as extra."""
    if context.target.conda is not None:
        yield from _judge_conda_prefix(check, context, path, found)
        return
    name = path[len(context.target.prefix) + 1 :]
    kind, _, _, content = found
    interpreter = context.target.interpreter.path
    scripts = files.deep.environment_scripts or {}
    if name == "pyvenv.cfg":  # compared by value in the check of that name
        return
    if (name, kind, content) == ("lib64", "l", "lib"):
        return
    if kind == "l" and name in _links_to_python(context.target.python_tag):
        target = files.follow(path)
        is_right = target == interpreter
        expected, now = f"a link to {interpreter}", f"a link to {target or content}"
    elif name in scripts:
        is_right = kind == "f" and content in scripts[name]
        expected, now = f"as {interpreter} writes it", "other content"
    else:
        reason = "no locked wheel brings it"
        yield context.unlocked(check, f"file{path}", title=path, found=_KIND_WORDS[kind], reason=reason)
        return
    if not is_right:
        yield context.single(check, f"file{path}", "changed", title=path, expected=expected, found=now)


def _links_to_python(tag: str) -> frozenset[str]:
    names = ("python", "python3", f"python{tag}", "\N{MATHEMATICAL ITALIC SMALL PI}thon")
    return frozenset(f"bin/{name}" for name in names)


def _judge_conda_prefix(check: Check, context: Context, path: str, found: FileEntry) -> Iterator[CheckResult]:
    """Pass over conda's records, which have checks of their own, and name all else as extra."""
    name = path[len(context.target.prefix) + 1 :]
    records = {f"conda-meta/{_stem(package.file)}.json" for package in context.conda_packages}
    if name in records | {"conda-meta/history"}:
        return
    # of two packages with one path, the file of the one that lost is kept beside it
    original = path.partition("__clobber-from-")[0]
    if original != path and len(context.claims.conda_paths.get(original, ())) > 1:
        return
    if context.target.conda and context.target.conda.runs_scripts:
        yield context.single(
            check,
            f"file{path}",
            "harmless",
            title=path,
            expected=None,
            found=_KIND_WORDS[found[0]],
            reason="no package brings it; a link script of a package may have written it",
        )
        return
    yield context.unlocked(
        check, f"file{path}", title=path, found=_KIND_WORDS[found[0]], reason="no locked package brings it"
    )


def _stem(file: str) -> str:
    return file.removesuffix(".conda").removesuffix(".tar.bz2")


def _source_of(path: str) -> str | None:
    """Return the source a cached ``.pyc`` belongs to (PEP 3147), or None for any other path."""
    folder, name = posixpath.split(path)
    parent, cache = posixpath.split(folder)
    if cache != "__pycache__" or not name.endswith(".pyc") or "." not in name[:-4]:
        return None
    return f"{parent}/{name.partition('.')[0]}.py"


def _is_shipped(context: Context, files: FileIndex, path: str) -> bool:
    """Return whether a locked artifact itself brings this very bytecode."""
    found = files.deep.files.get(path)
    return found is not None and context.claims.is_owned_as_found(path, found)


def _is_harmless(context: Context, finding: BytecodeFinding) -> bool:
    """Return whether a finding outside the prefix says nothing against the image.

    Stale bytecode is never run: clamped file times make it in many bases.  And what an image base holds
    besides locked packages is its layers' affair, which have digests.
    """
    if finding.path.startswith(f"{context.target.prefix}/"):
        return False
    ours = context.target.base.image is None or _source_of(finding.path) in context.claims.deb_paths
    return finding.problem == "stale" or not ours


def _judge_bytecode(check: Check, context: Context, finding: BytecodeFinding) -> CheckResult:
    difference: Difference = "extra" if finding.problem in {"mode", "stale"} else "changed"
    return context.single(
        check,
        f"bytecode{finding.path}",
        difference,
        title=finding.path,
        expected="bytecode of its source",
        found=_PROBLEMS[finding.problem],
        reason=finding.detail or None,
    )
