"""What ``python -m venv --without-pip`` writes besides links and ``pyvenv.cfg``: the activation scripts."""

import hashlib
import types
from pathlib import Path

# Python 3.13's `venv` asks version control to leave an environment alone (its `--without-scm-ignore-files`).
_GIT_IGNORE = "# Created by venv; see https://docs.python.org/3/library/venv.html\n*\n"


def environment_scripts(prefix: str) -> dict[str, tuple[str, ...]] | None:
    """Return the digests each of venv's files may have, by path below ``prefix``; None without that module.

    They are made again from this interpreter's own templates by its own code.  Two digests each, since the
    prompt is written with parentheses before Python 3.13 and without since.
    """
    try:
        import venv  # noqa: PLC0415 - a minimal Python lacks it, and it is slow to load
    except ImportError:
        return None
    templates = Path(venv.__file__).parent / "scripts"
    builder = venv.EnvBuilder()
    scripts: dict[str, tuple[str, ...]] = {".gitignore": (hashlib.sha256(_GIT_IGNORE.encode()).hexdigest(),)}
    for template in sorted((*templates.glob("common/*"), *templates.glob("posix/*"))):
        if template.is_file():
            name = f"bin/{template.name}"
            scripts[name] = tuple(
                sorted(_digest(builder, template, prefix, prompt) for prompt in ("({}) ", "{}"))
            )
    return scripts


def _digest(builder: object, template: Path, prefix: str, prompt: str) -> str:
    name = prefix.rpartition("/")[2]
    context = types.SimpleNamespace(
        env_dir=prefix,
        env_name=name,
        prompt=prompt.format(name),
        bin_name="bin",
        env_exe=f"{prefix}/bin/python",
        script_path=str(template),
    )
    replace = builder.replace_variables  # type: ignore[attr-defined]
    return hashlib.sha256(replace(template.read_bytes().decode(), context).encode()).hexdigest()
