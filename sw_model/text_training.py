"""Training on a text: contiguous streams, chunk by chunk; a `sw_model.training_task.Task`."""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from sw_model.checkpoint import Checkpoint, DataInfo
from sw_model.datasets import TextDataset
from sw_model.errors import UserError
from sw_model.evaluate import evaluate_network
from sw_model.event_gru import EventNetwork, NetworkConfig
from sw_model.stepper import PlainStepper, Stepper, rank, ranks
from sw_model.train_config import TrainConfig


class TextTask:
    """See `sw_model.training_task.Task`."""

    quality = "bits"

    def __init__(self, dataset: TextDataset, config: TrainConfig, start: Checkpoint | None = None) -> None:
        """Take the text; whether it is long enough is asked when it is first trained on.

        Raises:
            UserError: When ``start`` was trained on another.
        """
        self.info = DataInfo(name=dataset.name, unit=dataset.unit, vocabulary=dataset.vocabulary)
        self._dataset, self._config = dataset, config
        if start is not None:
            self.require_match(start)

    @cached_property
    def _batches(self) -> "Batches":
        return Batches(self._dataset.train, self._config)

    def new_network(self) -> EventNetwork:
        """See `Task`."""
        return EventNetwork(NetworkConfig(tokens=len(self.info.vocabulary), **self._config.network.model_dump()))

    def require_match(self, loaded: Checkpoint) -> None:
        """See `Task`."""
        require_vocabulary(loaded, self._dataset)

    def stepper(self, network: EventNetwork) -> Stepper[Tensor]:
        """See `Task`."""
        if self._config.device == "cpu":
            return PlainStepper(network, self._config)
        # Triton is there on a GPU machine only.
        from sw_model.fused_stepper import FusedStepper

        return FusedStepper(network, self._config, torch.device(self._config.device))

    def batch(self, step: int) -> tuple[Tensor, bool]:
        """See `Task`."""
        return self._batches.at(step)

    def validate(self, network: EventNetwork) -> dict[str, float]:
        """See `Task`."""
        result = evaluate_network(network, self._dataset.valid, self._config.validation_streams)
        return {"bits": result.bits_per_symbol, "event_density": result.total_event_density}


class Batches:
    """The training text dealt over streams, cut into chunks, from another place in every epoch.

    With several processes each gets its own streams.
    """

    def __init__(self, tokens: np.ndarray, config: TrainConfig) -> None:
        """Take the text.

        Raises:
            UserError: When it is too short.
        """
        self._tokens = tokens
        self._seed, self._chunk = config.seed, config.chunk
        self._steps = len(tokens) // config.streams
        self._streams = config.streams
        self._chunks = steps_per_epoch(tokens, config)
        if self._chunks < 1:
            raise UserError(
                f"a training text of {len(tokens)} symbols",
                f"is too short for streams={config.streams} of chunk={config.chunk}",
                "lower streams or chunk, or give a longer text",
            )
        self._device = torch.device(config.device)
        self._epoch, self._dealt = -1, torch.zeros(0, 0)

    def at(self, step: int) -> tuple[Tensor, bool]:
        """Return the tokens of a step, int64, shape (chunk + 1, streams), and whether they begin a sequence."""
        epoch, index = divmod(step, self._chunks)
        if epoch != self._epoch:
            offset = int(np.random.default_rng((self._seed, epoch)).integers(len(self._tokens)))
            rolled = np.roll(self._tokens, -offset)[: self._streams * self._steps]
            own = np.split(rolled.reshape(self._streams, self._steps), ranks())[rank()]
            self._epoch, self._dealt = epoch, torch.as_tensor(np.ascontiguousarray(own.T)).to(self._device)
        start = index * self._chunk
        return self._dealt[start : start + self._chunk + 1], index == 0


def steps_per_epoch(tokens: np.ndarray, config: TrainConfig) -> int:
    """Return how many chunks the training text has for every stream."""
    return (len(tokens) // config.streams - 1) // config.chunk


def require_vocabulary(loaded: Checkpoint, dataset: TextDataset) -> None:
    """Check that a checkpoint's network reads this text.

    Raises:
        UserError: When its vocabulary is another.
    """
    known = loaded.text()
    if known.vocabulary != dataset.vocabulary:
        raise UserError(
            f"checkpoint {loaded.folder}, trained on {known.name}",
            f"has another vocabulary than {dataset.name}",
            "give the text that it was trained on",
        )
