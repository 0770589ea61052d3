"""Fixtures and settings every suite shares."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.rig.engine import note_forgotten, remove_forgotten

pytest_plugins = ["tests.rig.fixtures"]

collect_ignore = ["corpus"]

# The machines this runs on are small and shared: a deadline would test them, not the code.
# `make property` tries twenty times as many.
settings.register_profile(
    "default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "quick",
    parent=settings.get_profile("default"),
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=1000)
settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Let the processes of all tests say which images are to be forgotten, and none read the user's file."""
    os.environ["ENVBUILD_CONFIG"] = ""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # as a shell starts what runs in the background; programs that tests start would not hear it either
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        note_forgotten()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove those images, once: xdist's workers have ended by now."""
    if not hasattr(config, "workerinput"):
        remove_forgotten()


GOLDEN = Path(__file__).parent / "golden"


LONGEST_ID = 60
"""Characters of one value in the name of a test."""


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Keep the values of tables out of names where they are long: one is 5 MB, and names are sent about."""
    del config
    if isinstance(val, (str, bytes)) and len(val) > LONGEST_ID:
        return f"{argname} of {len(val)}"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option behind `make golden`."""
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Return a check that a text is the golden file of a name."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs; see `make golden`"

    return check
