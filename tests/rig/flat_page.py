"""A page on the loopback interface that links to files, as ``--find-links`` takes it."""

from pathlib import Path
from urllib.parse import quote

from envbuild.digest import sha256_file
from tests.rig.web import Answer, LoopbackServer, Request


class LinkPage(LoopbackServer):
    """Serve a page at `/whl/page.html`, and the files of a folder below `/whl/files/`.

    `body` replaces the page; `with_hashes` adds their sha256 to the links.
    """

    def __init__(self, folder: Path, *, auth: tuple[str, str] | None = None) -> None:
        super().__init__(self._answer, auth=auth)
        self.folder = folder
        self.with_hashes = True
        self.body: str | None = None

    @property
    def page_url(self) -> str:
        return f"{self.url}/whl/page.html"

    def file_url(self, name: str) -> str:
        return f"{self.url}/whl/files/{quote(name)}"

    def _answer(self, request: Request) -> Answer | None:
        if request.path == "/whl/page.html":
            return Answer(content=(self.body or self._page()).encode(), media_type="text/html")
        path = self.folder / request.path.removeprefix("/whl/files/")
        return Answer(content=path) if path.parent == self.folder and path.is_file() else None

    def _page(self) -> str:
        links = []
        for path in sorted(self.folder.iterdir()):
            fragment = f"#sha256={sha256_file(path)}" if self.with_hashes else ""
            links.append(f'<a href="files/{quote(path.name)}{fragment}">a file</a><br>')
        return "<!DOCTYPE html><html><body>\n" + "\n".join(links) + "\n</body></html>\n"
