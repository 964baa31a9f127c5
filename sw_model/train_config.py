"""What a user may set for training, checked when it is read; a recipe is a TOML file with one table per phase."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from sw_model.augmentation import Augmentation
from sw_model.datasets import EMBEDDED, Unit
from sw_model.dropout import Dropout
from sw_model.errors import UserError
from sw_model.event_gru import NetworkShape
from sw_model.fixed_point import Formats
from sw_model.input_encoding import Encoding
from sw_model.pruning_config import PruningConfig
from sw_model.quantizers import QuantizationConfig
from sw_model.readout import MAX_WINDOW
from sw_model.strict_toml import StrictModel, load_toml

RECIPES = Path(__file__).parent / "recipes"


class DataConfig(StrictModel):
    """Which text, see `datasets.load_text`; or which feature streams, see `feature_sources.load_features`."""

    source: str = EMBEDDED
    unit: Unit = "characters"
    max_vocabulary: int | None = None


class FeatureConfig(StrictModel):
    """What a new network of features reads, and what is decided from its logits; both stay as they are in all later phases.

    Attributes:
        encoding: See `sw_model.input_encoding`.
        event_bits: Bits of an input event; those of a later quantisation must be the same.
        quantiles: Of each feature over the training split, that become the smallest and the largest integer.
        delta_threshold: Least change that ``delta`` sends.
        readout: See `sw_model.readout`; of a regression it is always ``regression``.
        window: Steps that ``steps`` sums over.
    """

    encoding: Encoding = "dense"
    event_bits: int = Field(default=Formats.event_bits, ge=2, le=12)
    quantiles: tuple[float, float] = (0.001, 0.999)
    delta_threshold: int = Field(default=1, ge=1, lt=1 << 12)
    readout: Literal["mean", "last", "steps"] = "mean"
    window: int = Field(default=1, ge=1, le=MAX_WINDOW)


class ActivityConfig(StrictModel):
    """Pulls the event density down: adds weight * max(0, density - target) to the loss.

    Attributes:
        target: Event density over all layers below which nothing is added.
        weight: In nats per unit of density.
    """

    target: float = Field(ge=0, le=1)
    weight: float = Field(ge=0)


class TrainConfig(StrictModel):
    """One phase of training.

    Attributes:
        network: Shape of a new network; not read when the phase starts from a checkpoint.
        features: How a new network of features reads and decides; not read from a checkpoint on, nor for a text.
        augmentation: What is done to the sequences of features that are trained on.
        label_smoothing: Share of each label that is spread over all classes; of features only.
        quantization: Widths for quantisation-aware training; None keeps the arithmetic of the checkpoint.
        pruning: None keeps the masks of the checkpoint.
        activity: Pressure on the event density.
        dropout: Probabilities of zeroing while training.
        steps: Optimiser steps.
        streams: Contiguous streams that the text is dealt over; of features the sequences of a batch.
        chunk: Time steps between two optimiser steps; the state is carried across, the gradient is not. Of features not read: sequences
            stay whole.
        learning_rate: After warm-up.
        final_learning_rate: Share of it that is left at the last step, reached along a cosine.
        warmup_steps: Steps of linear warm-up.
        cosine_from: Step at which the cosine begins.
        betas: Of AdamW.
        weight_decay: Of AdamW; matrices only.
        gradient_clip: Largest norm of the whole gradient.
        max_event_density: A validation above it is best only when none was below.
        validate_every: Steps between two validations; the last step always validates.
        validation_streams: Streams of a validation, or sequences side by side; the latter change no figure.
        patience: Validations without a better one before the phase stops; 0 never stops.
        checkpoint_every: Steps between two checkpoints for resuming; 0 writes none.
        device: ``cuda`` trains a text with the fused kernels of `sw_model.fused_stepper`; with several processes, ``streams`` is what all
            have together. Features are trained by the plain loop on either device, on a GPU as a CUDA graph.
        threads: Threads of one matrix product. The result depends on it in the last bit; more than one pays only on idle cores.
        seed: Fixes initial weights, data order, dropout and augmentation.
    """

    network: NetworkShape = NetworkShape()
    features: FeatureConfig = FeatureConfig()
    augmentation: Augmentation = Augmentation()
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    quantization: QuantizationConfig | None = None
    pruning: PruningConfig | None = None
    activity: ActivityConfig | None = None
    dropout: Dropout = Dropout()
    steps: int = Field(ge=1)
    streams: int = Field(default=64, ge=1)
    chunk: int = Field(default=64, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    final_learning_rate: float = Field(default=0.05, ge=0, le=1)
    warmup_steps: int = Field(default=20, ge=0)
    cosine_from: int = Field(default=0, ge=0)
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = Field(default=0.01, ge=0)
    gradient_clip: float = Field(default=1.0, gt=0)
    max_event_density: float = Field(default=1.0, gt=0, le=1)
    validate_every: int = Field(default=100, ge=1)
    validation_streams: int = Field(default=64, ge=1)
    patience: int = Field(default=0, ge=0)
    checkpoint_every: int = Field(default=200, ge=0)
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = Field(default=1, ge=1, le=256)
    seed: int = Field(default=1, ge=0, lt=1 << 31)

    @model_validator(mode="after")
    def _check_pruning_ends(self) -> "TrainConfig":
        if self.pruning is not None and not self.pruning.finished(self.steps - 1):
            raise ValueError(f"pruning must end before steps={self.steps}")
        return self


class Recipe(StrictModel):
    """A whole training: dense, then pruned, then quantised.

    Attributes:
        data: The text, or the feature streams.
        dense: Float training of a new network.
        prune: Gradual pruning and fine-tuning.
        qat: Quantisation-aware training with the masks held.
    """

    data: DataConfig = DataConfig()
    dense: TrainConfig
    prune: TrainConfig
    qat: TrainConfig


def load_recipe(path: Path | str = "demo") -> Recipe:
    """Read a recipe: a TOML file, or the name of one that ships with the package.

    Raises:
        UserError: When it is missing, no TOML, or does not describe a recipe.
    """
    shipped = RECIPES / f"{path}.toml"
    file = shipped if shipped.is_file() else Path(path)
    if not file.is_file():
        names = ", ".join(sorted(found.stem for found in RECIPES.glob("*.toml")))
        raise UserError(f"recipe {path}", "does not exist", f"give a TOML file or one of {names}")
    return load_toml(file, Recipe)
