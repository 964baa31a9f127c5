"""One optimiser step, as `sw_model.train` asks for it, and the plain form: autograd through `EventNetwork` on any device.

`sw_model.fused_stepper` is the same for a GPU, where the plain form would be some fifty times slower.
"""

from typing import Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional

from sw_model.dropout import DropoutMasks
from sw_model.event_gru import THRESHOLD_MAX, EventNetwork, LayerState, NetworkOutput
from sw_model.pruning import apply_masks
from sw_model.train_config import TrainConfig

OPTIMIZER, STATE = "optimizer.", "state."
#: The fused kernels take the streams of a process in multiples of this.
STREAM_TILE = 16


def rank() -> int:
    """Return which of the processes that train together this one is."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


Batch = TypeVar("Batch", contravariant=True)


class Stepper(Protocol[Batch]):
    """Holds what one step hands to the next: weights, moments, network state."""

    def step(self, chunk: Batch, first: bool, learning_rate: float, seed: int) -> Tensor:
        """Do one optimiser step.

        Args:
            chunk: Of a text tokens, int64, shape (steps + 1, streams); each predicts the next.
            first: Whether the chunk begins its sequences: the state is zero before it.
            learning_rate: Of this step.
            seed: Fixes the dropout of this step.

        Returns:
            Cross entropy in nats, or of a regression the squared error, a tensor of no dimensions; on a GPU it is not waited for.
        """

    def publish(self) -> None:
        """Bring the weights into the network that the stepper was made for."""

    def set_masks(self, masks: dict[str, Tensor]) -> None:
        """Take weights and pruning masks from the network, whose masked weights are zero; from now on they stay zero."""

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and the state of all streams by name, for a checkpoint; of several processes all must call it."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned, and the weights of the network.

        Raises:
            ValueError: When they are those of another network.
        """


def decayed_parameters(network: EventNetwork) -> list[str]:
    """Return the names of the parameters that weight decay pulls to zero: matrices, not biases nor thresholds."""
    matrices = {id(weight) for group in network.matrices().values() for weight in group}
    return [name for name, parameter in network.named_parameters() if id(parameter) in matrices]


def activity_loss(config: TrainConfig, output: NetworkOutput, frames: Tensor | None = None) -> Tensor | float:
    """Return the pressure on the event density (see `ActivityConfig`), in nats.

    Args:
        config: The phase.
        output: What the network did.
        frames: Which time steps count, bool, shape (steps, streams); all if not given.
    """
    if config.activity is None:
        return 0.0
    neurons = sum(fired.shape[-1] for fired in output.fired)
    if frames is None:
        events = torch.stack([fired.mean() * fired.shape[-1] for fired in output.fired]).sum() / neurons
    else:
        events = torch.stack([(fired.sum(dim=-1) * frames).sum() for fired in output.fired]).sum() / (frames.sum() * neurons)
    return config.activity.weight * (events - config.activity.target).clamp(min=0.0)


class Descent:
    """AdamW with clipping, masks that hold, and thresholds that stay legal: what follows a loss, whatever it is of."""

    def __init__(self, network: EventNetwork, config: TrainConfig) -> None:
        """Change ``network`` in place."""
        self._network, self._config = network, config
        self._masks: dict[str, Tensor] = {}
        decayed = set(decayed_parameters(network))
        trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
        groups = [
            {"params": [p for name, p in trained.items() if name in decayed], "weight_decay": config.weight_decay},
            {"params": [p for name, p in trained.items() if name not in decayed], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)

    def _descend(self, learning_rate: float) -> None:
        """Go one step down the gradient that the parameters hold."""
        network = self._network
        torch.nn.utils.clip_grad_norm_(network.parameters(), self._config.gradient_clip)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        apply_masks(network, self._masks)
        with torch.no_grad():
            for layer in network.event_layers():
                layer.threshold.clamp_(0.0, THRESHOLD_MAX)

    def publish(self) -> None:
        """Do nothing: the network is trained in place."""

    def set_masks(self, masks: dict[str, Tensor]) -> None:
        """See `Stepper`."""
        self._masks = masks

    def tensors(self) -> dict[str, Tensor]:
        """Return the moments by name."""
        tensors = {}
        for name, parameter in self._network.named_parameters():
            for key, value in self._optimizer.state.get(parameter, {}).items():
                tensors[f"{OPTIMIZER}{name}/{key}"] = value
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take up what `tensors` returned.

        Raises:
            ValueError: When they are those of another network.
        """
        for name, parameter in self._network.named_parameters():
            prefix = f"{OPTIMIZER}{name}/"
            entries = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            if entries:
                _require_moments(name, entries, parameter)
                self._optimizer.state[parameter] = entries


class PlainStepper(Descent):
    """Autograd through `EventNetwork` over chunks of a text; the state goes on from chunk to chunk."""

    def __init__(self, network: EventNetwork, config: TrainConfig) -> None:
        """Train ``network`` in place."""
        super().__init__(network, config)
        self._state: list[LayerState] | None = None
        self._dropout = DropoutMasks.allocate(config.dropout, network.mask_shapes(config.chunk), network.decoder_bias.device)

    def step(self, chunk: Tensor, first: bool, learning_rate: float, seed: int) -> Tensor:
        """See `Stepper`."""
        torch.manual_seed(seed)
        output = self._network(chunk[:-1], None if first else self._state, self._dropout.draw())
        self._state = output.state
        cross_entropy = functional.cross_entropy(output.logits.flatten(0, 1), chunk[1:].flatten())
        self._optimizer.zero_grad(set_to_none=True)
        (cross_entropy + activity_loss(self._config, output)).backward()  # type: ignore[no-untyped-call]
        self._descend(learning_rate)
        return cross_entropy.detach()

    def tensors(self) -> dict[str, Tensor]:
        """See `Stepper`."""
        return super().tensors() | state_tensors(self._state or [])

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """See `Stepper`."""
        super().restore(tensors)
        sizes = self._network.config.hidden_sizes
        expected = {f"{STATE}{index}.{part}": (self._config.streams, size) for index, size in enumerate(sizes) for part in "cy"}
        if {name: tuple(value.shape) for name, value in tensors.items() if name in expected} != expected:
            raise ValueError("the state of the streams is that of another network")
        self._state = states_of(tensors, len(sizes))


def _require_moments(name: str, entries: dict[str, Tensor], parameter: Tensor) -> None:
    shapes = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
    if {key: value.shape for key, value in entries.items()} != shapes or any(value.dtype != torch.float32 for value in entries.values()):
        raise ValueError(f"the optimiser's moments of {name} are those of another parameter")


def state_tensors(states: list[LayerState]) -> dict[str, Tensor]:
    """Name the tensors of a network's state."""
    named: dict[str, Tensor] = {}
    for index, state in enumerate(states):
        named |= {f"{STATE}{index}.c": state.c, f"{STATE}{index}.y": state.y}
    return named


def states_of(tensors: dict[str, Tensor], layers: int) -> list[LayerState]:
    """Undo `state_tensors`."""
    return [LayerState(tensors[f"{STATE}{index}.c"], tensors[f"{STATE}{index}.y"]) for index in range(layers)]
