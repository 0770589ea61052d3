"""Where an image carries its target's lock and the probe that it is verified with.

The probe (:mod:`envbuild.verify.probe.main`) and the recipe's ``finish.sh`` spell these paths themselves.
"""

from typing import Final

IMAGE_FOLDER: Final = "/etc/envbuild"
LOCK_FILE: Final = "lock.json"
PROBE_FILE: Final = "probe.pyz"
IMAGE_LOCK: Final = f"{IMAGE_FOLDER}/{LOCK_FILE}"
IMAGE_PROBE: Final = f"{IMAGE_FOLDER}/{PROBE_FILE}"
