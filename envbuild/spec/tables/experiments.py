"""``[experiments]``: what trackers of experiments are told of the environment."""

from envbuild.spec.tables.table import SpecTable


class ExperimentsTable(SpecTable):
    """What runs tell trackers such as MLflow and Weights & Biases of their environment."""

    record: bool = True
    """Record the environment: variables that trackers read, in the image and by `envbuild run`."""

    runtime: bool | None = None
    """Install `envbuild-runtime`, the hooks for trackers; absent: if `record` is not switched off."""

    @property
    def installs_runtime(self) -> bool:
        """Whether ``envbuild-runtime`` is part of the environment."""
        return self.record if self.runtime is None else self.runtime
