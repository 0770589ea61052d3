"""Names of archives, which indexes and addresses can write as they like."""

from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.backend import Question
from envbuild.resolve.python.direct import DirectSource
from envbuild.resolve.sources.build import source_release
from envbuild.resolve.sources.index import choose_source
from tests.rig.desk import TARGET


def test_an_archive_whose_name_no_lock_can_have_is_not_offered() -> None:
    names = ("../../app-1.0.tar.gz", "a pp-1.0.tar.gz", "app;-1.0.tar.gz", "app\n-1.0.zip", "app-1.0.zip")
    files = [IndexFile(filename=name, url="https://files.example.com/x") for name in names]
    question = Question(requirements=("app",), target=TARGET)
    chosen = choose_source(files, question)
    assert chosen is not None
    assert chosen.filename == "app-1.0.zip"
    assert choose_source(files[:-1], question) is None


def test_an_archive_by_its_address_gets_a_name_that_a_lock_can_have() -> None:
    source = DirectSource(
        name="app",
        kind="archive",
        url="https://files.example.com/my%20app%40v1..%2F1.0.tar.gz",
        sha256="0" * 64,
        size=1,
    )
    assert source_release(source).file.filename == "my-app-v1..-1.0.tar.gz"
