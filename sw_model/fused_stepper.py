"""One optimiser step on a GPU as one CUDA graph: dropout, casts, forward, backward, clipping, AdamW and pruning masks.

With `torch.distributed` initialised, every process computes its own streams and the gradients are added up between backward pass and
update; all processes then hold the same weights, bit for bit.
"""

import os

import torch
import torch.distributed as dist
from torch import Tensor

from sw_model import triton_kernels as kernels
from sw_model.event_gru import THRESHOLD_MAX, EventNetwork, LayerState
from sw_model.fused_network import FlatParameters, FusedNetwork, Precision, Tiles, corner
from sw_model.stepper import OPTIMIZER, rank, ranks, state_tensors, states_of
from sw_model.train_config import TrainConfig

BLOCK, ROUNDS = 1024, 8
EPSILON, CLIP_EPSILON = 1e-8, 1e-6
FIRST_MOMENT, SECOND_MOMENT, UPDATES = "exp_avg", "exp_avg_sq", "updates"


class FlatAdamW:
    """AdamW over `FlatParameters`, with clipping by the norm of the whole gradient and masks that hold weights at zero."""

    def __init__(self, network: EventNetwork, weights: FlatParameters, grads: FlatParameters, config: TrainConfig) -> None:
        """Begin with zero moments."""
        self._weights, self._grads, self._config = weights, grads, config
        device, sums = weights.buffer.device, weights.buffer.dtype
        self.second = FlatParameters(network, sums, device)
        # With β1 = 0 the first moment is the gradient itself.
        self.first = FlatParameters(network, sums, device) if config.betas[0] else None
        self.masks = FlatParameters(network, torch.uint8, device)
        self.masks.buffer.fill_(1)
        count = weights.buffer.numel()
        self._partial = torch.zeros(-(-count // (BLOCK * ROUNDS)), dtype=sums, device=device)
        self._scalars = torch.ones(4, dtype=sums, device=device)
        self._learn_thresholds = network.config.learn_thresholds
        self.updates = 0

    def advance(self, learning_rate: float) -> None:
        """Set what differs from step to step; launched before `update`, never captured."""
        self.updates += 1
        self._scalars[0].fill_(learning_rate)
        for place, beta in zip((2, 3), self._config.betas, strict=True):
            self._scalars[place].fill_(1.0 - beta**self.updates)

    def update(self) -> None:
        """Clip the gradients and change the weights."""
        weights, grads, config = self._weights, self._grads, self._config
        count = weights.buffer.numel()
        kernels.square_sums[(len(self._partial),)](grads.buffer, self._partial, count, BLOCK=BLOCK, ROUNDS=ROUNDS)
        norm = self._partial.sum().sqrt()
        self._scalars[1].copy_((config.gradient_clip / (norm + CLIP_EPSILON)).clamp(max=1.0))
        kernels.adamw[(-(-count // BLOCK),)](
            weights.buffer, grads.buffer, (self.first or self.second).buffer, self.second.buffer, self.masks.buffer, self._scalars, count,
            weights.decayed, config.weight_decay, config.betas[0], config.betas[1], EPSILON,
            FIRST_MOMENT=self.first is not None, MASKED=True, BLOCK=BLOCK,
        )  # fmt: skip
        if self._learn_thresholds:
            for name, view in weights.views.items():
                if name.endswith("threshold"):
                    view.clamp_(0.0, THRESHOLD_MAX)


class FusedStepper:
    """A `Stepper` on `FusedNetwork`; on a CPU, under Triton's interpreter, it does the same without a graph."""

    def __init__(
        self,
        network: EventNetwork,
        config: TrainConfig,
        device: torch.device,
        *,
        precision: Precision | None = None,
        tiles: Tiles | None = None,
    ) -> None:
        """Compile, capture, and take the weights of ``network``.

        Raises:
            UserError: When the configuration does not fit the kernels, see `FusedNetwork`.
        """
        # cuBLAS on several streams is deterministic only with workspaces of its own for each.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        self._network = network
        self._ranks = ranks()
        activity = (config.activity.target, config.activity.weight) if config.activity else None
        self.fused = FusedNetwork(
            network, config.dropout, streams=config.streams // self._ranks, steps=config.chunk, device=device, activity=activity,
            ranks=self._ranks, precision=precision, tiles=tiles,
        )  # fmt: skip
        self.optimizer = FlatAdamW(network, self.fused.weights, self.fused.grads, config)
        self._graphs = self._capture() if device.type == "cuda" else None
        self.fused.load(network)

    def _capture(self) -> list[torch.cuda.CUDAGraph]:
        # Twice before the capture: the first call compiles kernels and allocates workspaces, which a graph cannot.
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                self.fused.run()
                self.optimizer.update()
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        graphs = []
        # Gradients are added up between the two halves.
        halves = ([self.fused.run, self.optimizer.update],) if self._ranks == 1 else ([self.fused.run], [self.optimizer.update])
        for half in halves:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                for work in half:
                    work()
            graphs.append(graph)
        self.fused.set_state(None)
        self.optimizer.second.buffer.zero_()
        if self.optimizer.first is not None:
            self.optimizer.first.buffer.zero_()
        return graphs

    def step(self, chunk: Tensor, first: bool, learning_rate: float, seed: int) -> Tensor:
        """See `Stepper`; with several processes ``chunk`` holds the streams of this one."""
        torch.manual_seed(seed)
        if first:
            self.fused.set_state(None)
        self.fused.tokens.copy_(chunk)
        self.optimizer.advance(learning_rate)
        if self._graphs is None:
            self.fused.run()
            self._add_up()
            self.optimizer.update()
        else:
            self._graphs[0].replay()
            if self._ranks > 1:
                self._add_up()
                self._graphs[1].replay()
        return self.fused.loss

    def _add_up(self) -> None:
        if self._ranks > 1:
            dist.all_reduce(self.fused.grads.buffer)

    def publish(self) -> None:
        """See `Stepper`."""
        self.fused.store(self._network)

    def set_masks(self, masks: dict[str, Tensor]) -> None:
        """See `Stepper`."""
        self.fused.load(self._network)
        for name, mask in masks.items():
            corner(self.optimizer.masks.views[name], mask).copy_(mask)

    def tensors(self) -> dict[str, Tensor]:
        """See `Stepper`."""
        tensors = {UPDATES: torch.tensor(self.optimizer.updates)}
        for key, moments in ((FIRST_MOMENT, self.optimizer.first), (SECOND_MOMENT, self.optimizer.second)):
            if moments is not None:
                for name, parameter in self._network.named_parameters():
                    tensors[f"{OPTIMIZER}{name}/{key}"] = corner(moments.views[name], parameter)
        return tensors | state_tensors([LayerState(self._joined(layer.c), self._joined(layer.y)) for layer in self.fused.state()])

    def _joined(self, own: Tensor) -> Tensor:
        """Join what each process has of its streams."""
        if self._ranks == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self._ranks)]
        dist.all_gather(parts, own)
        return torch.cat(parts)

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """See `Stepper`."""
        self.fused.load(self._network)
        self.optimizer.updates = int(tensors[UPDATES])
        for key, moments in ((FIRST_MOMENT, self.optimizer.first), (SECOND_MOMENT, self.optimizer.second)):
            if moments is not None:
                moments.copy_from({name: tensors[f"{OPTIMIZER}{name}/{key}"] for name, _ in self._network.named_parameters()})
        states = states_of(tensors, len(self.fused.layers))
        self.fused.set_state([LayerState(state.c.chunk(self._ranks)[rank()], state.y.chunk(self._ranks)[rank()]) for state in states])
