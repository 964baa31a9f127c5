"""Does the fake-quantised network equal the integer reference? Event for event and logit for logit, with ==."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sw_model.event_gru import EventNetwork
from sw_model.export import export_network
from sw_model.quantized_model import QuantizedModel
from sw_model.reference import BatchedReference, LayerState, Step, initial_state


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison.

    Attributes:
        steps: Time steps compared, over all streams.
        events: Events that the reference sent in them, over all layers.
        values: Event values, event flags and logits compared.
        mismatches: How many of them differ.
        seed: What chose the inputs; None when the caller gave them.
        saved: File that holds the first failing case; None when nothing differs or no folder was given.
    """

    steps: int
    events: int
    values: int
    mismatches: int
    seed: int | None = None
    saved: Path | None = None


def compare_with_reference(
    network: EventNetwork,
    inputs: np.ndarray,
    *,
    model: QuantizedModel | None = None,
    failure_folder: Path | None = None,
    seed: int | None = None,
    chunk: int = 256,
) -> Comparison:
    """Run a fake-quantised network and the integer reference over the same inputs.

    Args:
        network: A calibrated quantised network; it is compared in float64 and eval mode and handed back as it was.
        inputs: Tokens, int, shape (streams, steps), or encoded input events, int, shape (streams, steps, channels).
        model: The exported model; exported here when not given, which only a network of tokens can be.
        failure_folder: Where the first failing step is saved as ``mismatch.npz``; its seed is printed.
        seed: What chose the inputs, for the report of a failure.
        chunk: Steps per call of the network; the result does not depend on it.

    Returns:
        Counts; the two are equal when ``mismatches`` is 0.
    """
    was_training, dtype = network.training, network.decoder_bias.dtype
    model = model or export_network(network)
    network.double().eval()
    try:
        return _compare(network, inputs, model, failure_folder, seed, chunk)
    finally:
        network.to(dtype).train(was_training)


def _compare(
    network: EventNetwork, inputs: np.ndarray, model: QuantizedModel, failure_folder: Path | None, seed: int | None, chunk: int
) -> Comparison:
    reference, states = BatchedReference(model), initial_state(model, (inputs.shape[0],))
    event_scale, logit_scale = 2.0**model.formats.event_bits, 2.0 ** (model.decoder.weight_frac + model.formats.event_bits)
    carried = None
    events = values = mismatches = 0
    saved: Path | None = None
    for start in range(0, inputs.shape[1], chunk):
        part = np.ascontiguousarray(np.moveaxis(inputs[:, start : start + chunk], 1, 0), np.int64)
        with torch.no_grad():
            given = torch.from_numpy(part)
            output = network(given * 2.0**-model.formats.event_bits if model.channels else given, carried)
        carried = output.state
        for t, column in enumerate(part):
            before = [LayerState(s.c, s.y, s.fired) for s in states]
            expected = reference.step(column, states)
            pairs = [(y[t].numpy() * event_scale, e) for y, e in zip(output.events, expected.events, strict=True)]
            pairs += [(f[t].numpy(), e) for f, e in zip(output.fired, expected.fired, strict=True)]
            pairs.append((output.logits[t].numpy() * logit_scale, expected.logits))
            wrong = sum(int((found != wanted).sum()) for found, wanted in pairs)
            events += sum(int(f.sum()) for f in expected.fired)
            values += sum(found.size for found, _ in pairs)
            if wrong and not mismatches and failure_folder is not None:
                saved = _save(failure_folder, start + t, column, before, expected, pairs)
                print(f"fake-quantised network and reference differ at step {start + t}; seed {seed}; case saved in {saved}")
            mismatches += wrong
    return Comparison(inputs.shape[0] * inputs.shape[1], events, values, mismatches, seed, saved)


def _save(
    folder: Path, step: int, inputs: np.ndarray, before: list[LayerState], expected: Step, pairs: list[tuple[np.ndarray, np.ndarray]]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "mismatch.npz"
    layers = len(before)
    arrays = {
        "step": np.array(step),
        "inputs" if inputs.ndim > 1 else "tokens": inputs,
        "found_logits": pairs[-1][0],
        "expected_logits": expected.logits,
    }
    for index in range(layers):
        arrays |= {f"layer{index}_c_before": before[index].c, f"layer{index}_y_before": before[index].y}
        arrays |= {f"layer{index}_found_events": pairs[index][0], f"layer{index}_expected_events": expected.events[index]}
        arrays |= {f"layer{index}_found_fired": pairs[layers + index][0], f"layer{index}_expected_fired": expected.fired[index]}
    np.savez(path, allow_pickle=False, **arrays)
    return path
