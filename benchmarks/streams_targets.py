"""What was asked of the feature stream runs, and whether it came out."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.streams_results import FLOAT_BITS, Results, Target

DIGITS, COMMANDS = "spoken-arabic-digits", "arabic-speech-commands"
#: The quantised network that goes into hardware.
DENSITY, BITS = 0.1, 8
#: Utterances on which RTL must at least be equal to the reference; HLS on all that there are.
UTTERANCES = 50


@dataclass(frozen=True)
class Aims:
    """What was asked of one data set.

    Attributes:
        accuracy: Least accuracy of the dense network, in percent.
        weights: Most weights of it; None for as many as it takes.
        loss: Most points that pruning to 10 % of the weights and 8 bits may cost.
        boards: What that network is to fit.
        real_time: Least real-time factor there; None where none was asked for.
    """

    accuracy: float
    weights: int | None
    loss: float
    boards: Sequence[str]
    real_time: float | None


AIMS = {
    DIGITS: Aims(98.0, 60_000, 0.7, ("icebreaker", "tang_nano_20k"), 100.0),
    COMMANDS: Aims(94.0, None, 1.5, ("ulx3s_85f",), None),
}


def targets(results: Results) -> list[Target]:
    """Return the targets of all data sets, as they came out."""
    return [target for dataset, aims in AIMS.items() for target in _targets(results, dataset, aims)]


def _targets(results: Results, dataset: str, aims: Aims) -> list[Target]:
    dense = results.run(dataset, "egru", 1.0, FLOAT_BITS)
    sparse = results.run(dataset, "egru", DENSITY, BITS)
    accuracy = None if dense is None else 100 * dense.accuracy_mean
    found = [_target(dataset, "accuracy of the dense network in percent", aims.accuracy, accuracy, at_least=True)]
    if aims.weights is not None:
        found.append(_target(dataset, "weights of the dense network", aims.weights, None if dense is None else dense.weights))
    lost = None if dense is None or sparse is None else 100 * (dense.accuracy_mean - sparse.accuracy_mean)
    found.append(_target(dataset, "points lost with 10 % of the weights in 8 bits", aims.loss, lost))
    for board in aims.boards:
        hardware = None if sparse is None else sparse.on(board)
        # What does not fit is not placed and routed, and has no clock.
        built = hardware is not None and hardware.fmax_mhz is not None
        found.append(_target(dataset, f"builds for {board} of that network, on chip", 1, 1 if built else None, at_least=True))
        if aims.real_time is not None:
            factor = None if hardware is None else hardware.real_time_factor
            found.append(_target(dataset, f"times as fast as real time on {board}", aims.real_time, factor, at_least=True))
    for board in aims.boards:
        hardware = None if sparse is None else sparse.on(board)
        equal = None if hardware is None else 0 if hardware.mismatches else hardware.decisions_compared
        found.append(_target(dataset, f"utterances in RTL for {board}, every value equal", UTTERANCES, equal, at_least=True))
    hls = None if sparse is None else sparse.hls
    all_equal = None if hls is None else int(hls.whole_split and not hls.mismatches)
    found.append(_target(dataset, "every test utterance in HLS C++, every value equal", 1, all_equal, at_least=True))
    return found


def _target(dataset: str, what: str, limit: float, value: float | None, *, at_least: bool = False) -> Target:
    met = None if value is None else (value >= limit if at_least else value <= limit)
    return Target(dataset=dataset, what=what, limit=limit, at_least=at_least, value=value, met=met)
