"""What is true of every image that a Docker Engine made."""

from typing import Final

from envbuild.image.maker import Maker

MAKER: Final = Maker(
    name="docker",
    same_bytes=False,
    # BuildKit notes of every command that it is a list of words; it means something to Windows alone
    settings={"ArgsEscaped": True},
)
