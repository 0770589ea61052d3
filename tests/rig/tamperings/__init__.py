"""The catalogue: everything that a deep verification must find, and what it must not."""

from tests.rig.tampering import Tampering
from tests.rig.tamperings import answers, configuration, hidden, metadata, packages, shapes, system, wheels
from tests.rig.tamperings.untouched import IMAGES as UNTOUCHED

CATALOGUE: tuple[Tampering, ...] = tuple(
    tampering
    for module in (answers, wheels, packages, hidden, metadata, system, shapes, configuration)
    for tampering in module.TAMPERINGS
)

__all__ = ["CATALOGUE", "UNTOUCHED"]
