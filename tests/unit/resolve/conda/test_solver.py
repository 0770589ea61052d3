"""What the solver makes of what conda-lock hands it."""

import pytest

from envbuild.resolve.conda.solver import addressed

CHANNELS = {
    "conda-forge": "https://mirror.example.com/conda/conda-forge",
    "lab": "https://other.example.com/cf",
    "https://conda.example.com/a/label/dev": "https://conda.example.com/a/label/dev",
}


@pytest.mark.parametrize(
    ("spec", "understood"),
    [
        ("greetings==2.1", "greetings==2.1"),
        ("conda-forge::greetings==2.1", "https://mirror.example.com/conda/conda-forge::greetings==2.1"),
        ("lab::greetings=2", "https://other.example.com/cf::greetings=2"),
        ("a/label/dev::x", "https://conda.example.com/a/label/dev::x"),
        ("elsewhere::x", "elsewhere::x"),
    ],
)
def test_a_channel_s_name_is_where_this_machine_has_it(spec, understood):
    assert addressed(spec, CHANNELS) == understood
