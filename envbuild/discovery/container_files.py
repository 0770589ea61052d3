"""Files of containers and systems of one folder: which of each kind is taken, and what they give together.

Dockerfiles come first, for they say what runs; then Cog, dev containers and Binder; then files of conda, of
which one that a Dockerfile installs from wins; then lists of Debian packages.
"""

import re
from collections.abc import Iterable, Iterator

from envbuild.discovery.commands.build_state import is_inside
from envbuild.discovery.container import binder, cog, compose, devcontainer, dockerfile
from envbuild.discovery.container.base_images import read_base_image
from envbuild.discovery.content import FileContent
from envbuild.discovery.environments import conda_environment, conda_lists, system_lists
from envbuild.discovery.project_folder import ProjectFolder


def read_container_files(folder: ProjectFolder) -> Iterator[FileContent]:
    """Yield what files of containers, of conda and lists of Debian packages give."""
    containers = [*_dockerfiles(folder), *_cog(folder), *_binder(folder)]
    named = [file for content in containers for file in content.files if is_inside(file)]
    yield from _conda(folder, named)
    yield from containers
    for file in folder.find(*system_lists.PATTERNS):
        if (text := _take(folder, file)) is not None:
            yield system_lists.read_system_list(text, file)


def leave_out_beside_binder(folder: ProjectFolder) -> Iterator[FileContent]:
    """Leave out files that Binder does not read beside others: what they say does not hold."""
    files = binder.binder_files(folder.has)
    if files:
        folder.taken.update(files.ignored)
    yield FileContent()


def _dockerfiles(folder: ProjectFolder) -> Iterator[FileContent]:
    """Yield what the dev container gives, and the one Dockerfile that is taken."""
    call = None
    for file in folder.find(*devcontainer.PATTERNS)[:1]:
        if (text := _take(folder, file)) is not None:
            content = devcontainer.read_devcontainer(text, file, exists=folder.has)
            call = devcontainer.dockerfile_of(text, file) or _service(folder, text, file, content)
            yield content
    files = folder.find(*dockerfile.PATTERNS)
    if call and call.file not in files and is_inside(call.file) and folder.has(call.file):
        files.append(call.file)
    for file in files[:1]:
        text = _take(folder, file)
        if text is None:
            continue
        if call and call.file == file:
            yield dockerfile.read_dockerfile(
                text,
                file,
                exists=folder.has,
                read=folder.read,
                arguments=call.arguments,
                target=call.target,
                context=call.context,
            )
        else:
            yield dockerfile.read_dockerfile(text, file, exists=folder.has)
    yield _beside(folder, files, "a spec is for one of them; move what it adds into a variant")


def _service(
    folder: ProjectFolder, text: str, file: str, content: FileContent
) -> devcontainer.DockerfileCall | None:
    """Return the Dockerfile of the service of Docker Compose that a dev container runs in."""
    named = devcontainer.compose_of(text, file)
    if named is None:
        return None
    files, service = named
    present = [name for name in files if is_inside(name) and folder.has(name)]
    compose_text = folder.read(present[0]) if present else None
    if compose_text is None:
        content.leave(
            file, f"`{files[0]}` is not in the folder", "name what its service installs in the spec"
        )
        return None
    found = compose.read_service(compose_text, present[0], service, content)
    if found and found.image:
        read_base_image(found.image, f"{present[0]}:{found.line}", content)
    return found.call if found else None


def _cog(folder: ProjectFolder) -> Iterator[FileContent]:
    for file in folder.find(*cog.PATTERNS)[:1]:
        if (text := _take(folder, file)) is not None:
            yield cog.read_cog(text, file, exists=folder.has)


def _binder(folder: ProjectFolder) -> Iterator[FileContent]:
    files = binder.binder_files(folder.has)
    if files is None:
        return
    content = binder.read_binder(files, lambda file: _take(folder, file), exists=folder.has)
    yield content
    if files.dockerfile and files.dockerfile not in folder.taken:
        text = _take(folder, files.dockerfile)
        if text is not None and not folder.find(*dockerfile.PATTERNS):
            yield dockerfile.read_dockerfile(text, files.dockerfile, exists=folder.has, read=folder.read)


def read_conda_file(folder: ProjectFolder, file: str) -> FileContent:
    """Return what one file of conda gives that a user named."""
    text = _take(folder, file)
    if text is None:
        return FileContent()
    return conda_environment.read_conda_environment(text, file, exists=folder.has)


def _conda(folder: ProjectFolder, named: Iterable[str]) -> Iterator[FileContent]:
    """Yield what the one file of conda gives that is taken, and lists that conda wrote under other names."""
    files = [file for file in folder.find(*conda_environment.PATTERNS) if file not in folder.taken]
    first = [file for file in named if file in files or file.endswith((".yml", ".yaml"))]
    ordered = [file for file in dict.fromkeys([*first, *files]) if _is_conda_file(folder, file)]
    while ordered:
        text = _take(folder, ordered[0])
        if text is not None:
            content = conda_environment.read_conda_environment(text, ordered[0], exists=folder.has)
            yield content
            if content.taken or len(ordered) == 1:
                break
        del ordered[0]
    yield _beside(folder, ordered, '`files = ["{file}"]` in [conda], or in [variants.NAME.conda] for some')
    lists = [*folder.find(*conda_lists.LISTS), *folder.find("requirements.txt", "environment.txt")]
    for file in dict.fromkeys(lists):
        text = folder.read(file)
        if text is None or file in folder.taken or not conda_lists.is_conda_list(text):
            continue
        folder.taken.add(file)
        if ordered:
            content = FileContent()
            hint = f"{ordered[0]} says what was asked for; the list is what came of it once"
            content.leave(file, f"not taken beside {ordered[0]}", hint)
            yield content
            continue
        yield conda_lists.read_conda_list(text, file, exists=folder.has)
        ordered.append(file)


def _is_conda_file(folder: ProjectFolder, file: str) -> bool:
    """Return whether a file is one of conda: by its usual name, or by what is in it."""
    name = file.rpartition("/")[2]
    if name.startswith(("environment.", "conda-lock.")):
        return folder.has(file)
    text = folder.read(file) or ""
    return re.search(r"^(?:dependencies|channels)\s*:", text, re.MULTILINE) is not None


def _beside(folder: ProjectFolder, files: list[str], hint: str) -> FileContent:
    """Return the report of files that are not taken beside the first one."""
    content = FileContent()
    for file in files[1:]:
        if file not in folder.taken:
            folder.taken.add(file)
            content.leave(file, f"not taken beside {files[0]}", hint.format(file=file))
    return content


def _take(folder: ProjectFolder, file: str) -> str | None:
    """Return the text of a file that nobody has taken yet, and note that it is."""
    if file in folder.taken:
        return None
    text = folder.read(file)
    if text is not None:
        folder.taken.add(file)
    return text
