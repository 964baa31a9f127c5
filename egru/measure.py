"""What `egru evaluate` and `egru demo` measure of an exported model on a split of its text."""

from dataclasses import dataclass

import numpy as np

from sw_model.datasets import Unit
from sw_model.evaluate import Advance, Evaluation, evaluate_model
from sw_model.macs import MacReport, count_macs
from sw_model.quantized_model import QuantizedModel

METRICS: dict[Unit, str] = {"characters": "bits per character", "words": "perplexity"}


def quality(evaluation_bits: float, unit: Unit) -> float:
    """Turn bits per symbol into the figure that is usual for ``unit``: bits per character, perplexity of words."""
    return evaluation_bits if unit == "characters" else float(2.0**evaluation_bits)


@dataclass(frozen=True)
class ModelMeasurement:
    """Quality and cost of a model on a split.

    Attributes:
        evaluation: Bits per symbol, events and, where it was asked for, the digest.
        macs: MACs per time step.
    """

    evaluation: Evaluation
    macs: MacReport


def measure_model(
    model: QuantizedModel,
    tokens: np.ndarray,
    streams: int = 16,
    *,
    jobs: int = 1,
    digest: bool = False,
    advance: Advance | None = None,
) -> ModelMeasurement:
    """Run the integer reference once over ``tokens``; arguments as for `sw_model.evaluate.evaluate_model`."""
    evaluation = evaluate_model(model, tokens, streams, jobs=jobs, digest=digest, advance=advance)
    return ModelMeasurement(evaluation, count_macs(model, evaluation.events))


def parameter_count(model: QuantizedModel) -> int:
    """Return the number of trained values, zero weights included."""
    tensors = [model.decoder.weight, model.decoder.bias]
    if model.input_projection is not None:
        tensors += [model.input_projection.embedding, model.input_projection.weight]
    for layer in model.layers:
        tensors += [layer.input_weight, layer.recurrent_weight, layer.bias, layer.reset_bias, layer.threshold]
    return sum(tensor.size for tensor in tensors)
