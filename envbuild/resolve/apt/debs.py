"""From a line of apt's plan and a stanza of the signed index to a package of the lock."""

from collections.abc import Iterable, Mapping

from envbuild.catalog.distributions import archive_of_label
from envbuild.errors import IntegrityError
from envbuild.lock.model import Deb
from envbuild.resolve.apt.output import Download, Repository, relations

UNLABELLED = "unlabelled"
"""Archive name of packages from an archive whose Release file has neither Label nor Origin."""


def compose_debs(
    downloads: Iterable[Download],
    records: Iterable[Mapping[str, str]],
    repositories: Iterable[Repository],
) -> tuple[Deb, ...]:
    """Return the packages of ``downloads``, sorted by key.

    :raises IntegrityError: plan and index contradict each other, or the index gives no sha256.
    """
    archives = tuple(repositories)
    described: dict[tuple[str, str], list[Mapping[str, str]]] = {}
    for fields in records:
        described.setdefault((fields.get("Package", ""), fields.get("Version", "")), []).append(fields)
    debs = []
    for download in downloads:
        fields = _described(download, described.get((download.name, download.version), []))
        debs.append(_deb(download, fields, _repository_of(download, archives)))
    return tuple(sorted(debs, key=lambda deb: deb.file))


def _described(download: Download, candidates: list[Mapping[str, str]]) -> Mapping[str, str]:
    """Return the stanza of exactly the file that apt would fetch: archives may share a version's number."""
    what = f"{download.name} {download.version}"
    if not candidates:
        raise IntegrityError(f"the archive's index does not describe {what}")
    for fields in candidates:
        digest = fields.get("SHA256")
        if digest and (fields.get("Size"), digest) == (str(download.size), download.sha256 or digest):
            return fields
    if any(fields.get("SHA256") for fields in candidates):
        raise IntegrityError(f"the archive describes two different files as {what}")
    raise IntegrityError(
        f"the archive's index gives no sha256 for {what}", hint="take it from an archive that publishes one"
    )


def _deb(download: Download, fields: Mapping[str, str], repository: Repository) -> Deb:
    return Deb(
        name=download.name,
        version=download.version,
        architecture=fields["Architecture"],
        file=f"{download.name}_{download.version}_{fields['Architecture']}.deb",
        size=download.size,
        sha256=fields["SHA256"],
        archive=_archive_name(repository),
        path=download.uri.removeprefix(repository.address).removeprefix("./"),
        source=fields.get("Source", download.name),
        depends=(*relations(fields.get("Pre-Depends", "")), *relations(fields.get("Depends", ""))),
        provides=relations(fields.get("Provides", "")),
        essential=fields.get("Essential") == "yes",
    )


def _repository_of(download: Download, archives: tuple[Repository, ...]) -> Repository:
    """Return the archive a package comes from: the longest address its own starts with."""
    matching = [archive for archive in archives if download.uri.startswith(archive.address)]
    if not matching:
        raise IntegrityError(f"apt would take {download.name} from none of the archives it was given")
    return max(matching, key=lambda archive: len(archive.address))


def _archive_name(repository: Repository) -> str:
    if repository.label:
        return archive_of_label(repository.label)
    return repository.origin.lower() or UNLABELLED
