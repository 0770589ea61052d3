"""The Jupyter example as its page says: a server in the image, and a notebook that is run there."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
import requests

from tests.rig.engine import docker, forget_at_the_end
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild as run_envbuild
from tests.rig.web import free_port

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.long,
    pytest.mark.xdist_group("jupyter"),
]

PATIENCE_SECONDS = 120


@pytest.fixture(scope="module", params=["docker", "local"])
def project(request, engine_host, tmp_path_factory):
    """Return the engine, and a function that runs envbuild in a copy of the example whose image is built."""
    folder = tmp_path_factory.mktemp("jupyter")
    shutil.copytree(CHECKOUT / "examples/jupyter", folder, dirs_exist_ok=True)
    environment = {"ENVBUILD_ENGINE": request.param}
    envbuild = partial(run_envbuild, folder=folder, environment=environment)
    forget_at_the_end(envbuild("build").stdout.strip())
    return folder, environment, envbuild


def test_a_notebook_is_run_in_the_image(project):
    folder, _, envbuild = project

    envbuild(
        "run", "--", *["jupyter", "nbconvert", "--to", "notebook", "--execute", "--inplace", "walk.ipynb"]
    )

    cells = json.loads((folder / "walk.ipynb").read_text())["cells"]
    printed = ["".join(output.get("text", ())) for cell in cells[1:] for output in cell["outputs"]]
    assert printed[0].startswith("/opt/venv/bin/python\n")
    assert printed[1] == "ends at 18\n"
    assert "image/png" in cells[3]["outputs"][0]["data"]


def test_a_server_answers_who_has_the_token(project):
    folder, environment, _ = project
    port, token = free_port(), secrets.token_hex(8)
    command = f"jupyter lab --ip 0.0.0.0 --port {port} --no-browser --allow-root"
    words = ("run", "--env", f"JUPYTER_TOKEN={token}", "-p", f"{port}:{port}", "--", *command.split())
    server = subprocess.Popen(
        [sys.executable, "-m", "envbuild", *words],
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        notebook = f"http://127.0.0.1:{port}/api/contents/walk.ipynb"
        wait_for(notebook)
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(notebook, timeout=60).status_code == 403
            session.headers["Authorization"] = f"token {token}"
            found = session.get(notebook, timeout=60).json()
            started = session.post(
                f"http://127.0.0.1:{port}/api/sessions",
                json={"path": "walk.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}},
                timeout=60,
            )
        assert found["name"] == "walk.ipynb"
        assert started.status_code == 201, started.text
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)
    if environment["ENVBUILD_ENGINE"] == "docker":
        assert docker("ps", "--quiet", "--filter", f"publish={port}").stdout == b""


def wait_for(address: str) -> None:
    """Return when a server answers there."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            requests.get(address, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < end, "no server answers"
            time.sleep(0.5)
        else:
            return
