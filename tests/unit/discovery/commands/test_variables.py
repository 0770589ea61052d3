"""Variables in words: what they stand for, and what is not known."""

import pytest

from envbuild.discovery.commands.variables import expand


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a$V", "a12.1.0"),
        ("${V}-x", "12.1.0-x"),
        ("$", "$"),
        ("\\$V", "$V"),
        ("${N:-d}", "d"),
        ("${N-d}", "d"),
        ("${E:-d}${E-d}", "d"),
        ("${V:-d}", "12.1.0"),
        ("${V:+s}${N:+s}", "s"),
        ("${N:-${V}}", "12.1.0"),
        ("${V%.*}", "12.1"),
        ("${V%%.*}", "12"),
        ("${V#*.}", "1.0"),
        ("${V##*.}", "0"),
        ("${V//./}", "1210"),
        ("${V/./-}", "12-1.0"),
        ("${V%x}", "12.1.0"),
    ],
)
def test_known_values(text, expected):
    found = expand(text, {"V": "12.1.0", "E": ""})
    assert (found.text, found.unknown) == (expected, None)


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("$N", "$N"),
        ("${N}", "${N}"),
        ("${N%.*}", "${N%.*}"),
        ("${V^^}", "${V^^}"),
        ("$(date +%s)", "$(date +%s)"),
        ("${U}", "${U}"),
        ("$?", "$?"),
        ("$(" + "x" * 60 + ")", "$(" + "x" * 35 + "…"),
    ],
)
def test_unknown_values(text, unknown):
    assert expand(text, {"V": "1", "U": None}).unknown == unknown
