"""What feature stream runs were, as JSON: the record of one training, and the result file made of all of them.

The names of `StreamRun` are those of the result file; other tools read it.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: ``egru-delta`` is an EGRU whose inputs are coded as events (send-on-delta).
EventCell = Literal["egru", "egru-delta"]
Cell = Literal[EventCell, "gru"]
#: ``weight_bits`` of a network that is not quantised.
FLOAT_BITS = 32
Share = Annotated[float, Field(ge=0, le=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: A folder of runs that differ in their seed alone: CELL-DENSITY-BITS.
ENTRY = re.compile(r"(?P<cell>egru-delta|egru|gru)-(?P<density>[0-9.]+)-(?P<bits>\d+)")
#: Frames per second where a data set does not say. Of the spoken digits a median one has 39 frames, which at 100 frames per second is
#: the length of a spoken digit; fewer frames per second would leave more time for each.
ASSUMED_FRAME_RATES = {"spoken-arabic-digits": 100.0}


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PhaseLog(_Strict):
    """One phase of a training.

    Attributes:
        phase: ``dense``, ``prune`` or ``qat``.
        steps: Optimiser steps.
        best_step: The step of the weights that were kept.
        seconds: Wall-clock time.
        history: What its validations measured.
    """

    phase: str
    steps: int
    best_step: int
    seconds: float
    history: list[dict[str, int | float]]


class Evaluated(BaseModel):
    """What is read of ``egru evaluate --json``; the rest is kept as well."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    data: str
    task: Literal["classification"]
    split: Literal["test"]
    sequences: int
    frames: int
    accuracy: Share
    confusion: list[list[int]]
    linear_baseline: float
    saturated_inputs: int
    input_event_density: Share
    event_density: Share
    event_density_per_layer: list[Share]
    weight_density: Share
    macs_per_step: dict[str, dict[str, float | None]] | None
    digest: Sha256 | None


class StreamRecord(_Strict):
    """One trained EGRU, measured on its test split; a file ``seedN.json``.

    Attributes:
        format: What the file is.
        dataset: Name of the data set.
        dataset_digest: See `FeatureDataset.digest`.
        frame_rate: Frames per second of the data set, where it says so.
        cell: The recurrent layers.
        weight_density: Share of the weights that pruning was to keep.
        weight_bits: Of the quantised weights; `FLOAT_BITS` of a float network.
        seed: Of all draws.
        hidden_sizes: Units of each layer.
        parameters: Trained values.
        weights: Those of them in matrices, zeros included.
        recipe: Its name.
        recipe_digest: SHA-256 of the recipe without seed, device and place of the data.
        model_hash: Of the exported model; None of a float network.
        equals_fake_quantised: Whether the network as it was trained and the exported model agree in every event and logit of the test
            split.
        phases: How it was trained, first to last.
        evaluation: ``egru evaluate --json`` of the exported model, or of the float checkpoint.
        hardware: What it was trained on, GPU or CPU.
        versions: Of torch and of this package, where it was measured.
    """

    format: Literal["egru-stream-run-1"] = "egru-stream-run-1"
    dataset: str
    dataset_digest: Sha256
    frame_rate: float | None
    cell: EventCell = "egru"
    weight_density: Share
    weight_bits: int
    seed: int
    hidden_sizes: list[int]
    parameters: int
    weights: int
    recipe: str
    recipe_digest: Sha256
    model_hash: Sha256 | None
    equals_fake_quantised: bool | None
    phases: list[PhaseLog]
    evaluation: Evaluated
    hardware: str
    versions: dict[str, str]


class HardwareFigures(_Strict):
    """A model of a run on one board.

    Attributes:
        board: Its name.
        model_hash: Of the model.
        lanes: Of all engines and the decoder together.
        cycles_per_frame: In RTL simulation of test sequences, everything counted.
        frames_compared: Frames of it, every event and logit equal to the reference.
        mismatches: Values that differed.
        decisions_compared: Of the frames: sequences where the read-out decides once, at the end.
        fmax_mhz: Clock after place and route, median of the placer seeds; as all that follows None where it was not built.
        placer_seeds: How many.
        target_mhz: Clock that the board gives the core.
        luts: After place and route, as the next four.
        flip_flops: Registers.
        block_rams: In the board's own unit.
        multipliers: DSP blocks.
        large_rams: Single-port RAMs of the iCE40.
        latency_us: A frame at the board's clock, or at ``fmax_mhz`` where that is less.
        real_time_factor: Time between two frames over ``latency_us``.
    """

    board: str
    model_hash: Sha256
    lanes: int
    cycles_per_frame: float
    frames_compared: int
    mismatches: int
    decisions_compared: int
    fmax_mhz: float | None = None
    placer_seeds: int | None = None
    target_mhz: float | None = None
    luts: int | None = None
    flip_flops: int | None = None
    block_rams: int | None = None
    multipliers: int | None = None
    large_rams: int | None = None
    latency_us: float | None = None
    real_time_factor: float | None = None


class HlsFigures(_Strict):
    """C simulation of a run's model as HLS C++.

    Attributes:
        model_hash: Of the model.
        decisions_compared: As in `HardwareFigures`.
        frames_compared: Frames, every event and logit compared with the reference.
        values_compared: These and everything else that was.
        mismatches: Values that differed.
        whole_split: Whether these are all test sequences.
    """

    model_hash: Sha256
    decisions_compared: int
    frames_compared: int
    values_compared: int
    mismatches: int
    whole_split: bool


class StreamRun(_Strict):
    """Trainings that differ in their seed alone.

    Attributes:
        dataset: Name of the data set.
        cell: The recurrent layers.
        weight_density: Share of the weights that pruning was to keep.
        weight_bits: Of the quantised weights; `FLOAT_BITS` of a float network.
        phase: ``float``, ``pruned`` or ``qat``: the last one.
        accuracy_mean: On the test split, by the integer reference where quantised.
        accuracy_std: Of the sample, with n - 1; None of one seed.
        accuracies: Of each seed.
        seeds: In this order.
        event_density: Events per neuron and frame, mean over the seeds; None of a GRU, as the next.
        input_event_density: Input events per channel and frame.
        measured_weight_density: Share of non-zero weights, of integers where quantised.
        macs_per_frame: Multiply-accumulates with decoder, both sparsities used; of a GRU all. None of a float EGRU.
        macs_dense: The same with neither; None of a float EGRU.
        saturated_inputs: Features of the test split that the encoding could not hold, summed over the seeds.
        parameters: Trained values.
        weights: Those of them in matrices, zeros included.
        hidden_sizes: Units of each layer.
        linear_baseline: Accuracy of a linear model of segment means.
        recipe: Its name; None of a GRU.
        recipe_digest: SHA-256 of the recipe or configuration without the seed.
        dataset_digest: See `FeatureDataset.digest`.
        model_hashes: Of each seed's exported model.
        digests: SHA-256 of all events and logits on the test split, of each seed.
        equals_fake_quantised: Whether all of them equal the networks as they were trained; None where not quantised.
        seconds: Of training, all phases, mean over the seeds.
        trained_on: GPU, or CPU.
        board: Name of the first of ``hardware``; as all that follows None where no hardware was made.
        lanes: This and all that follows: of the first of ``hardware``.
        hardware: Every board.
        hls: One of its models as HLS C++; None where there is none.
    """

    dataset: str
    cell: Cell
    weight_density: Share
    weight_bits: int
    phase: Literal["float", "pruned", "qat"]
    accuracy_mean: Share
    accuracy_std: float | None
    accuracies: list[Share]
    seeds: list[int]
    event_density: float | None
    input_event_density: float | None
    measured_weight_density: float
    macs_per_frame: float | None
    macs_dense: float | None
    saturated_inputs: int | None
    parameters: int
    weights: int
    hidden_sizes: list[int]
    linear_baseline: float | None
    recipe: str | None
    recipe_digest: Sha256
    dataset_digest: Sha256
    model_hashes: list[Sha256]
    digests: list[Sha256]
    equals_fake_quantised: bool | None
    seconds: float
    trained_on: str
    board: str | None = None
    lanes: int | None = None
    cycles_per_frame: float | None = None
    fmax_mhz: float | None = None
    luts: int | None = None
    block_rams: int | None = None
    latency_us: float | None = None
    real_time_factor: float | None = None
    hardware: list[HardwareFigures] = []
    hls: HlsFigures | None = None

    @property
    def key(self) -> tuple[str, str, float, int]:
        """What no two runs share; in the order of tables: densest first, floats before integers."""
        return self.dataset, self.cell, -self.weight_density, -self.weight_bits

    def on(self, board: str) -> HardwareFigures | None:
        """Return the figures of a board, if there are any."""
        return next((found for found in self.hardware if found.board == board), None)


class Target(_Strict):
    """A figure that was asked for, and what came out.

    Attributes:
        dataset: Name of the data set.
        what: In words.
        limit: What was asked for.
        at_least: Whether more is better.
        value: What came out; None where it was not run.
        met: Whether that is as asked for; None where it was not run.
    """

    dataset: str
    what: str
    limit: float
    at_least: bool
    value: float | None
    met: bool | None


class Results(_Strict):
    """The result file."""

    runs: list[StreamRun] = []
    targets: list[Target] = []

    def run(self, dataset: str, cell: Cell, density: float, bits: int) -> StreamRun | None:
        """Return the run of these properties, if there is one."""
        return next((run for run in self.runs if run.key == (dataset, cell, -density, -bits)), None)

    def with_runs(self, runs: Iterable[StreamRun]) -> "Results":
        """Return the results with ``runs`` in place of those of the same properties."""
        kept = {run.key: run for run in self.runs} | {run.key: run for run in runs}
        return Results(runs=[kept[key] for key in sorted(kept)])


def entry_name(cell: Cell, density: float, bits: int) -> str:
    """Return the name of the folder of these runs."""
    return f"{cell}-{density:g}-{bits}"
