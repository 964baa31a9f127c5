"""What the one training loop (`sw_model.train`) asks of what it trains on: `sw_model.text_training` and `sw_model.sequence_training`."""

from typing import Any, Protocol

from sw_model.checkpoint import Checkpoint, DataInfo, FeatureDataInfo
from sw_model.event_gru import EventNetwork
from sw_model.stepper import Stepper


class Task(Protocol):
    """A data set, its batches, and how a network is judged on it."""

    @property
    def quality(self) -> str:
        """Name of the figure of `validate` that the best network has least of; its unit is its name."""

    @property
    def info(self) -> DataInfo | FeatureDataInfo:
        """What a checkpoint says of the data."""

    def new_network(self) -> EventNetwork:
        """Draw a network that suits the data."""

    def require_match(self, loaded: Checkpoint) -> None:
        """Check that a checkpoint's network reads this data, in the same way.

        Raises:
            UserError: When it does not.
        """

    def stepper(self, network: EventNetwork) -> Stepper[Any]:
        """Return what trains ``network`` on what `batch` returns."""

    def batch(self, step: int) -> tuple[Any, bool]:
        """Return what a step trains on, and whether sequences begin there; both are functions of the configuration and ``step``."""

    def validate(self, network: EventNetwork) -> dict[str, float]:
        """Measure the validation split: the `quality`, ``event_density``, and whatever else is worth keeping."""
