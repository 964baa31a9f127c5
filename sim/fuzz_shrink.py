"""Makes a failing case of the fuzzer smaller: greedy, within a time limit."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hls_gen.hardware_config import HardwareConfig
from sim.drivers import Pace
from sim.fuzz_case import Case, Counts, Finding, check_oracle
from sw_model.quantized_model import QuantizedModel

Shorten = Callable[[QuantizedModel], QuantizedModel]


def shrink(case: Case, finding: Finding, scratch: Path, seconds: float) -> tuple[Case, Finding]:
    """Look for a smaller case that shows the same finding.

    Args:
        case: The case.
        finding: What it showed.
        scratch: Folder for the runs.
        seconds: A new attempt begins only within this time.

    Returns:
        The smallest case found, and what it showed.
    """
    ends = time.monotonic() + seconds
    progress = True
    while progress:
        progress = False
        for smaller in _smaller(case, finding):
            if time.monotonic() >= ends:
                return case, finding
            found = _attempt(smaller, finding, scratch)
            if found is not None:
                # The candidates that are left were made of the larger case.
                case, finding, progress = smaller, found, True
                break
    return case, finding


def _attempt(case: Case, finding: Finding, scratch: Path) -> Finding | None:
    """Return what ``case`` shows if it is like ``finding``."""
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        found = check_oracle(case, finding.oracle, Path(folder), Counts())
    return found if finding.same_as(found) else None


def _smaller(case: Case, finding: Finding) -> Iterator[Case]:
    """Yield smaller cases: first those that take no new build, then those that take most away."""
    if finding.step is not None and finding.step + 1 < case.steps:
        yield replace(case, sequences=_cut(case.sequences, finding.step + 1))
    if (case.input_pace, case.output_pace) != (Pace.FULL, Pace.FULL):
        yield replace(case, input_pace=Pace.FULL, output_pace=Pace.FULL)
        yield replace(case, input_pace=Pace.FULL)
        yield replace(case, output_pace=Pace.FULL)
    if len(case.sequences) > 1:
        yield replace(case, sequences=case.sequences[len(case.sequences) // 2 :])
        for place in range(len(case.sequences)):
            yield replace(case, sequences=case.sequences[:place] + case.sequences[place + 1 :])
    for place, sequence in enumerate(case.sequences):
        for part in (sequence[len(sequence) // 2 :], sequence[: len(sequence) // 2], sequence[1:], sequence[:-1]):
            if 0 < len(part) < len(sequence):
                yield replace(case, sequences=(*case.sequences[:place], part, *case.sequences[place + 1 :]))
    if case.loaded is not None:
        yield replace(case, model=case.loaded, loaded=None)
    for hardware in _simpler(case.hardware):
        yield replace(case, hardware=hardware)
    for shorten in _shortenings(case.model):
        yield _shortened(case, shorten)


def _cut(sequences: tuple[tuple[Any, ...], ...], steps: int) -> tuple[tuple[Any, ...], ...]:
    """Return the first ``steps`` steps."""
    kept = []
    for sequence in sequences:
        kept.append(sequence[:steps])
        steps -= len(kept[-1])
        if not steps:
            break
    return tuple(kept)


def _simpler(hardware: HardwareConfig) -> Iterator[HardwareConfig]:
    """Yield the plainest hardware, then this one with one choice the plainest."""
    plain = HardwareConfig(lanes=1)
    if hardware != plain:
        yield plain
    for name in HardwareConfig.model_fields:
        update = {name: getattr(plain, name)}
        if name == "weights":
            update["weight_capacity"] = None
        if getattr(hardware, name) != update[name]:
            yield hardware.model_copy(update=update)


def _shortenings(model: QuantizedModel) -> Iterator[Shorten]:
    """Yield what takes something of ``model`` away: layers, then halves of a layer, neurons, classes."""
    if len(model.layers) > 1:
        yield _without_last_layer
        yield _without_first_layer
    for index, layer in enumerate(model.layers):
        for kept in _parts(layer.neurons):
            yield lambda m, index=index, kept=kept: _with_neurons(m, index, kept)  # type: ignore[misc]  # defaults bind the loop's values
    for kept in _parts(model.classes):
        yield lambda m, kept=kept: _with_classes(m, kept)  # type: ignore[misc]


def _parts(count: int) -> list[list[int]]:
    """Return both halves of ``count`` things, and where they are few, all of them but one."""
    half = count // 2
    parts = [list(range(half)), list(range(half, count))] if count > 1 else []
    if 2 < count <= 6:
        parts += [[index for index in range(count) if index != gone] for gone in range(count)]
    return parts


def _shortened(case: Case, shorten: Shorten) -> Case:
    model = shorten(case.model)
    loaded = None if case.loaded is None else shorten(case.loaded)
    return replace(case, model=model, loaded=loaded, hardware=_fitting(case.hardware, model))


def _fitting(hardware: HardwareConfig, model: QuantizedModel) -> HardwareConfig:
    """Return ``hardware`` with no more lanes than a smaller model has rows for."""
    rows = [layer.neurons for layer in model.layers]
    if isinstance(hardware.lanes, int):
        return hardware.model_copy(update={"lanes": min(hardware.lanes, *rows, model.classes)})
    shared = hardware.engines == "shared" and len(rows) > 1
    rows = [*([min(rows)] if shared else rows), model.classes]
    # A layer that is gone takes its lanes with it.
    lanes = (*hardware.lanes[: len(rows) - 1], hardware.lanes[-1])
    lanes = (*lanes[:-1], *[lanes[-2]] * (len(rows) - len(lanes)), lanes[-1])
    return hardware.model_copy(update={"lanes": tuple(min(pair) for pair in zip(lanes, rows, strict=True)), "weight_capacity": None})


def _without_last_layer(model: QuantizedModel) -> QuantizedModel:
    """Let the decoder read the layer before the last: its weights are cut or repeated to that layer's width."""
    layers = model.layers[:-1]
    weight = np.resize(model.decoder.weight.T, (layers[-1].neurons, model.classes)).T
    return replace(model, layers=layers, decoder=replace(model.decoder, weight=np.ascontiguousarray(weight)))


def _without_first_layer(model: QuantizedModel) -> QuantizedModel:
    """Let the second layer read the tokens or features: its weights of the features are cut or repeated to their number."""
    second, projection = model.layers[1], model.input_projection
    first = replace(second, input_weight=np.resize(second.input_weight, (3, second.neurons, model.channels)))
    if projection is not None:
        weight = np.resize(projection.weight.transpose(1, 0, 2), (second.neurons, 3, projection.weight.shape[2])).transpose(1, 0, 2)
        projection = replace(projection, weight=np.ascontiguousarray(weight))
    return replace(model, layers=(first, *model.layers[2:]), input_projection=projection)


def _with_neurons(model: QuantizedModel, index: int, kept: list[int]) -> QuantizedModel:
    """Keep some neurons of a layer."""
    layers, layer = list(model.layers), model.layers[index]
    layers[index] = replace(
        layer,
        input_weight=layer.input_weight[:, kept],
        recurrent_weight=layer.recurrent_weight[:, kept][:, :, kept],
        bias=layer.bias[:, kept],
        reset_bias=layer.reset_bias[kept],
        threshold=layer.threshold[kept],
    )
    projection, decoder = model.input_projection, model.decoder
    if index == 0 and projection is not None:
        projection = replace(projection, weight=projection.weight[:, kept])
    if index + 1 < len(layers):
        layers[index + 1] = replace(layers[index + 1], input_weight=layers[index + 1].input_weight[:, :, kept])
    else:
        decoder = replace(decoder, weight=decoder.weight[:, kept])
    return replace(model, layers=tuple(layers), input_projection=projection, decoder=decoder)


def _with_classes(model: QuantizedModel, kept: list[int]) -> QuantizedModel:
    """Keep some classes."""
    return replace(model, decoder=replace(model.decoder, weight=model.decoder.weight[kept], bias=model.decoder.bias[kept]), vocabulary=())
