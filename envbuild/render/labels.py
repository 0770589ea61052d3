"""Labels an image made by envbuild carries, beside the OCI ones."""

TARGET = "dev.envbuild.target"
"""Digest of the target it was made from."""

ENGINE = "dev.envbuild.engine"
"""What made it: the same target has other bytes from another engine."""

FORMAT = "dev.envbuild.format"
"""Number of the recipe format."""

VARIANT = "dev.envbuild.variant"
