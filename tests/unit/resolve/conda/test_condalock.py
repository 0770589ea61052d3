"""conda-lock as a process: what it is started with."""

import importlib.util
import json
import os
import py_compile

import pytest

from envbuild.cache.folders import CONDA_LISTS
from envbuild.remote.channels import ChannelAddress
from envbuild.resolve.conda.condalock import CondaQuestion, bytecode_settings, read_records
from tests.rig.web import Answer, LoopbackServer


def test_bytecode_is_kept_where_the_installation_has_none(tmp_path):
    source = tmp_path / "program.py"
    source.write_text("x = 1\n")
    spec = importlib.util.spec_from_file_location("program", source)
    kept = tmp_path / "kept"
    assert bytecode_settings(spec, kept) == {"PYTHONPYCACHEPREFIX": str(kept)}
    py_compile.compile(str(source))
    assert bytecode_settings(spec, kept) == {}


def test_a_program_that_is_not_there_has_no_bytecode(tmp_path):
    assert bytecode_settings(None, tmp_path) == {"PYTHONPYCACHEPREFIX": str(tmp_path)}


@pytest.mark.slow
@pytest.mark.parametrize("every_format", [False, True])
def test_reading_repodata_is_noted_and_leaves_what_pruning_knows(tmp_path, every_format):
    def answer(request):
        document: dict[str, object] = {"info": {}, "packages": {}, "packages.conda": {}}
        if request.path.endswith("/repodata.json"):
            return Answer(content=json.dumps(document).encode())
        return None

    cache = tmp_path / "cache"
    note = cache / "conda" / "last-use"
    with LoopbackServer(answer) as server:
        question = CondaQuestion(
            specs=(),
            channels=(ChannelAddress(name="channel", url=f"{server.url}/channel"),),
            subdir="linux-64",
            virtual_packages={},
        )
        for _ in range(2):
            read_records(
                question,
                ["none"],
                cache=cache,
                environment=os.environ,
                login_file=None,
                every_format=every_format,
            )
            assert note.stat().st_mtime > 1
            os.utime(note, (1, 1))

    left = [path.relative_to(cache).as_posix() for path in (cache / "conda").iterdir()]
    assert len(left) > 1
    assert [path for path in left if not CONDA_LISTS.is_written(path)] == []
