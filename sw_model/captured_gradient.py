"""Loss and gradient of sequences as one CUDA graph for each shape of a batch.

The plain loop over time launches thousands of kernels that take a GPU less time than the launch takes the host. Recorded once and
replayed, the same kernels run one after the other without the host. On a CPU, and to the last bit of a result, nothing here matters.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class _Recording(Generic[Batch]):
    """A graph with the memory that it reads and writes: inputs, loss, and the gradient of every parameter."""

    graph: torch.cuda.CUDAGraph
    batch: Batch
    loss: Tensor
    gradients: tuple[Tensor | None, ...]


class CapturedGradient(Generic[Batch]):
    """Leaves the gradient of a loss in the parameters' ``grad``, as ``loss(batch).backward()`` does."""

    def __init__(self, network: nn.Module, loss: Callable[[Batch], tuple[Tensor, Tensor]]) -> None:
        """Take what is to be differentiated.

        Args:
            network: Whose parameters receive gradients; they are changed in place or not at all as long as this object is used.
            loss: Takes a batch, a dataclass of tensors of the network's device and of None; returns what is differentiated and what is
                reported. It never waits for the GPU.
        """
        self._network, self._loss = network, loss
        self._recordings: dict[tuple[torch.Size | None, ...], _Recording[Batch]] = {}

    def __call__(self, batch: Batch) -> Tensor:
        """Return the reported loss, a tensor of no dimensions that the next call overwrites on a GPU."""
        parameters = list(self._network.parameters())
        if parameters[0].device.type != "cuda":
            self._network.zero_grad(set_to_none=True)
            return self._differentiate(batch)
        tensors = _tensors(batch)
        shapes = tuple(None if tensor is None else tensor.shape for tensor in tensors)
        if shapes not in self._recordings:
            self._recordings[shapes] = self._record(batch)
        recording = self._recordings[shapes]
        for kept, given in zip(_tensors(recording.batch), tensors, strict=True):
            if kept is not None and given is not None:
                kept.copy_(given)
        recording.graph.replay()
        for parameter, gradient in zip(parameters, recording.gradients, strict=True):
            parameter.grad = gradient
        return recording.loss

    def _differentiate(self, batch: Batch) -> Tensor:
        total, reported = self._loss(batch)
        total.backward()  # type: ignore[no-untyped-call]
        return reported.detach()

    def _record(self, batch: Batch) -> _Recording[Batch]:
        kept = type(batch)(*(None if tensor is None else tensor.clone() for tensor in _tensors(batch)))
        self._network.zero_grad(set_to_none=True)
        # Libraries allocate what they need in their first call, which a recording must not see; one on a stream of its own, as it is.
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self._differentiate(kept)
        torch.cuda.current_stream().wait_stream(stream)
        self._network.zero_grad(set_to_none=True)
        # A graph of an earlier phase that the collector finds while this one is recorded would end the recording.
        gc.collect()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = self._differentiate(kept)
        return _Recording(graph, kept, loss, tuple(parameter.grad for parameter in self._network.parameters()))


def _tensors(batch: object) -> list[Tensor | None]:
    return [getattr(batch, field.name) for field in fields(batch)]  # type: ignore[arg-type]
