"""What is zeroed at random while training: how often, and which entries in one call.

The masks over time are drawn once per time step and shared by all streams. Measured on Penn Treebank against masks drawn per stream, that
is the better regulariser for this network, and it costs a stream's share of the random numbers.
"""

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from sw_model.strict_toml import StrictModel


class Dropout(StrictModel):
    """Probabilities of zeroing, used in training only.

    Attributes:
        word: Whole embedding rows, once per call.
        embedding: Features of the embedded symbols, per time step.
        between: Events from one layer to the next, per time step.
        decoder: Events from the last layer to the decoder, per time step.
        recurrent: Entries of R, once per call (DropConnect).
    """

    word: float = Field(default=0.0, ge=0, lt=1)
    embedding: float = Field(default=0.0, ge=0, lt=1)
    between: float = Field(default=0.0, ge=0, lt=1)
    decoder: float = Field(default=0.0, ge=0, lt=1)
    recurrent: float = Field(default=0.0, ge=0, lt=1)


@dataclass(frozen=True)
class Mask:
    """Which entries stay, and what they are multiplied by so that the expectation stays too.

    Attributes:
        keep: bool.
        scale: 1 / (1 - probability of zeroing).
    """

    keep: Tensor
    scale: float

    def draw(self) -> None:
        """Fill `keep` from torch's generator of its device."""
        self.keep.bernoulli_(1.0 / self.scale)

    def factors(self, dtype: torch.dtype) -> Tensor:
        """Return 0 or ``scale``, same shape."""
        return self.keep.to(dtype) * self.scale

    def apply(self, x: Tensor) -> Tensor:
        """Multiply ``x`` by the factors."""
        return x * self.factors(x.dtype)


@dataclass(frozen=True)
class MaskShapes:
    """Sizes that the masks depend on.

    Attributes:
        steps: Time steps of the call.
        tokens: Rows of the embedding.
        embedding: Features of a row; of a network of features, which has no rows, its channels.
        hidden: Neurons per layer.
    """

    steps: int
    tokens: int
    embedding: int
    hidden: tuple[int, ...]


@dataclass(frozen=True)
class DropoutMasks:
    """Masks of one call; None where nothing is dropped.

    Attributes:
        word: Shape (tokens, 1).
        embedding: Shape (steps, 1, features).
        between: Input of the layers after the first, shape (steps, 1, neurons of the layer before).
        decoder: Shape (steps, 1, neurons of the last layer).
        recurrent: R of each layer, shape (3, neurons, neurons).
    """

    word: Mask | None
    embedding: Mask | None
    between: tuple[Mask | None, ...]
    decoder: Mask | None
    recurrent: tuple[Mask | None, ...]

    @classmethod
    def allocate(cls, dropout: Dropout, shapes: MaskShapes, device: torch.device) -> "DropoutMasks":
        """Make masks that `draw` fills."""

        def mask(probability: float, *shape: int) -> Mask | None:
            if not probability:
                return None
            return Mask(torch.empty(shape, dtype=torch.bool, device=device), 1.0 / (1.0 - probability))

        steps, hidden = shapes.steps, shapes.hidden
        return cls(
            word=mask(dropout.word, shapes.tokens, 1),
            embedding=mask(dropout.embedding, steps, 1, shapes.embedding),
            between=tuple(mask(dropout.between, steps, 1, neurons) for neurons in hidden[:-1]),
            decoder=mask(dropout.decoder, steps, 1, hidden[-1]),
            recurrent=tuple(mask(dropout.recurrent, 3, neurons, neurons) for neurons in hidden),
        )

    def draw(self) -> "DropoutMasks":
        """Fill all masks in place from torch's generator of their device."""
        for mask in (self.word, self.embedding, *self.between, self.decoder, *self.recurrent):
            if mask is not None:
                mask.draw()
        return self


def drop(mask: Mask | None, x: Tensor) -> Tensor:
    """Apply a mask, if there is one."""
    return x if mask is None else mask.apply(x)
