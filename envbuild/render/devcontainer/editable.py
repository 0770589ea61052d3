"""The layer that makes installed packages editable in a dev container: a Dockerfile and what it runs."""

from envbuild.lock.model import Target
from envbuild.render.devcontainer.configuration import DOCKERFILE, ImageChoice

SCRIPT = "editable.py"
FILES = (DOCKERFILE, SCRIPT)


def editable_files(target: Target, image: ImageChoice) -> dict[str, str]:
    """Return the files beside the configuration, by name."""
    # most dev containers are written, and all are checked, without a template
    from envbuild.render.templates import render_template, template_folder  # noqa: PLC0415

    values = {
        "image": image.reference,
        "interpreter": target.interpreter.path,
        "prefix": target.prefix,
        "user": target.user,
    }
    return {
        DOCKERFILE: render_template("devcontainer/Dockerfile.j2", values),
        SCRIPT: (template_folder() / "devcontainer" / SCRIPT).read_text(encoding="utf-8"),
    }
