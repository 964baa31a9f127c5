"""Global unstructured magnitude pruning of the matrices whose weights cost a MAC each.

These are R of every layer, W of the layers after the first, and the decoder. The embedding and the first input weight fold into a table
(docs/semantics.md, section 5), so a zero in them saves nothing.
"""

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from sw_model.event_gru import EventNetwork
from sw_model.strict_toml import StrictModel


class PruningConfig(StrictModel):
    """When and how far to prune.

    Attributes:
        sparsity: Share of zero weights at the end.
        schedule: ``one-shot`` prunes everything at ``start_step``; ``cubic`` goes from the sparsity found to ``sparsity`` by ``end_step``,
            fast at first: s(t) = s_end + (s_start - s_end) (1 - t)^3.
        start_step: First step that prunes.
        end_step: Step that reaches ``sparsity``.
        interval: Steps between two prunings.
    """

    sparsity: float = Field(ge=0, lt=1)
    schedule: Literal["one-shot", "cubic"] = "cubic"
    start_step: int = Field(default=0, ge=0)
    end_step: int = Field(default=0, ge=0)
    interval: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _check_steps(self) -> "PruningConfig":
        if self.schedule == "cubic" and self.end_step <= self.start_step:
            raise ValueError(f"end_step={self.end_step} is not after start_step={self.start_step}")
        return self

    def finished(self, step: int) -> bool:
        """Say whether ``sparsity`` is reached once ``step`` has been pruned."""
        return step >= (self.end_step if self.schedule == "cubic" else self.start_step)

    def due(self, step: int) -> bool:
        """Say whether ``step`` prunes."""
        if self.schedule == "one-shot":
            return step == self.start_step
        return step == self.end_step or (self.start_step <= step < self.end_step and (step - self.start_step) % self.interval == 0)

    def sparsity_at(self, step: int, start_sparsity: float = 0.0) -> float:
        """Return the sparsity that ``step`` asks for."""
        if self.finished(step):
            return self.sparsity
        if self.schedule == "one-shot" or step < self.start_step:
            return start_sparsity
        left = 1.0 - (step - self.start_step) / (self.end_step - self.start_step)
        return self.sparsity + (start_sparsity - self.sparsity) * left**3


def prunable(network: EventNetwork) -> dict[str, Tensor]:
    """Return the parameters that become MACs in hardware, by name."""
    found: dict[str, Tensor] = {}
    for index, layer in enumerate(network.event_layers()):
        found[f"layers.{index}.recurrent_weight"] = layer.recurrent_weight
        if layer.weight is not None:
            found[f"layers.{index}.weight"] = layer.weight
    found["decoder_weight"] = network.decoder_weight
    return found


def magnitude_masks(network: EventNetwork, sparsity: float) -> dict[str, Tensor]:
    """Choose the weights to keep over all prunable matrices together.

    Args:
        network: Its weights decide.
        sparsity: Share of weights to drop; the smallest go, ties in the order of `prunable`.

    Returns:
        Per parameter name a bool tensor of its shape, True where the weight stays. A weight that is zero already goes first, so masks only
        shrink from one pruning to the next.
    """
    weights = prunable(network)
    magnitudes = torch.cat([w.detach().abs().flatten() for w in weights.values()])
    dropped = torch.argsort(magnitudes, stable=True)[: round(sparsity * len(magnitudes))]
    keep = torch.ones(len(magnitudes), dtype=torch.bool)
    keep[dropped] = False
    parts = torch.split(keep, [w.numel() for w in weights.values()])
    return {name: part.view(weight.shape).clone() for (name, weight), part in zip(weights.items(), parts, strict=True)}


def apply_masks(network: EventNetwork, masks: dict[str, Tensor]) -> None:
    """Set every masked weight to zero; called after each optimiser step, so that masks hold."""
    weights = prunable(network)
    with torch.no_grad():
        for name, mask in masks.items():
            weights[name].mul_(mask)


def density(network: EventNetwork) -> float:
    """Return the share of non-zero weights among the prunable ones."""
    weights = prunable(network).values()
    return sum(int(torch.count_nonzero(w)) for w in weights) / sum(w.numel() for w in weights)
