"""Values of [image] that build on the base's own."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.spec.conftest import Ask, Refuse

HINT = 'folders before the base\'s own value are a key of their own: prepend = { PATH = ["…"] }'


@pytest.mark.parametrize(
    ("image", "where", "message", "hint"),
    [
        (
            'env = { PATH = "/opt/bin:${PATH}" }',
            "image.env.PATH",
            "`${PATH}` is not expanded: the value is taken as it is written",
            HINT,
        ),
        (
            'env = { A = "${B:-c}" }',
            "image.env.A",
            "`${B:-c}` is not expanded: the value is taken as it is written",
            HINT,
        ),
        (
            'env = { PATH = "/opt/bin:$PATH" }',
            "image",
            "`env.PATH` holds `$PATH`, which is not expanded",
            'folders before the base\'s own value: prepend = { PATH = ["…"] }',
        ),
        (
            'env = { A = "b" }\nprepend = { A = ["c"] }',
            "image",
            "`A` is in `env` and in `prepend`",
            "`env` replaces the base's own value: keep one",
        ),
    ],
)
def test_what_would_be_expanded_is_refused(refuse: "Refuse", image: str, where, message, hint) -> None:
    (problem,) = refuse(f"[image]\n{image}\n")

    assert (problem.where, problem.message, problem.hint) == (where, message, hint)


def test_a_dollar_alone_is_text(ask: "Ask") -> None:
    image = (
        ask('[image]\nenv = { A = "5$ or $PATHS" }\nprepend = { PATH = ["/b", "/a"] }\n')
        .variants["default"]
        .image
    )

    assert (image.env, image.prepend) == ({"A": "5$ or $PATHS"}, {"PATH": ("/b", "/a")})
