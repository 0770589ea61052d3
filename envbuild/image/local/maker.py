"""What is true of every image that the local engine made."""

from typing import Final

from envbuild.image.compose import ENGINE_NAME
from envbuild.image.maker import Maker

MAKER: Final = Maker(name=ENGINE_NAME, same_bytes=True, settings={})
