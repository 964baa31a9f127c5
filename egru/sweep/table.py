"""The table of a sweep: one row for each point, with everything that was measured of it.

A sweep's folder holds it twice: ``sweep.json`` has everything, ``points.csv`` the same figures flat, for pandas and spreadsheets. Both are
written aside and moved into place after every point.
"""

from typing import Literal

from pydantic import Field

from egru.config import StrictModel
from sw_model.macs import MacsSummary
from sw_model.pruning_config import Method

SWEEP_FILE, POINTS_FILE = "sweep.json", "points.csv"


class Point(StrictModel):
    """What is varied.

    Attributes:
        sparsity: Share of zero weights asked for; 0 leaves the network dense.
        method: Which weights compete for being kept; of no meaning at sparsity 0.
        weight_bits: Bits of W, R and D.
        hidden_sizes: Neurons of each layer.
        lanes: Lanes of each layer, then of the decoder; None chooses what fits the board.
        seed: Of initial weights, data order and dropout.
        board: A folder under boards/.
    """

    sparsity: float = Field(ge=0, lt=1)
    method: Method = "global"
    weight_bits: int
    hidden_sizes: tuple[int, ...]
    lanes: tuple[int, ...] | None = None
    seed: int = Field(ge=0)
    board: str


class LayerFigures(StrictModel):
    """One layer, on the held-out text.

    Attributes:
        name: ``layer0`` … or ``decoder``.
        neurons: Of the layer; classes of the decoder.
        weight_density: Share of non-zero weights.
        event_density: Events per neuron and step; None of the decoder.
        macs: Per time step.
    """

    name: str
    neurons: int
    weight_density: float
    event_density: float | None
    macs: MacsSummary


class ModelFigures(StrictModel):
    """The exported model, by the integer reference over the whole held-out text.

    Attributes:
        metric: ``bits per character`` or ``perplexity``.
        quality: The quantised model's; less is better.
        quality_float: The pruned network's in floating point.
        quality_dense: The network's before it was pruned.
        baseline: An interpolated n-gram model's, trained on the same training split.
        baseline_order: Its longest n-gram.
        weight_density: Share of non-zero weights in W (layers after the first), R and D.
        event_density: Events per neuron and step.
        macs: Per step, decoder included.
        layers: The layers, then the decoder.
        memory_bits: On-chip memory of the generated core; None as long as there is no core.
        hash: SHA-256 of the model.
    """

    metric: str
    quality: float
    quality_float: float
    quality_dense: float
    baseline: float | None = None
    baseline_order: int | None = None
    weight_density: float
    event_density: float
    macs: MacsSummary
    layers: tuple[LayerFigures, ...]
    memory_bits: int | None
    hash: str


class BlockFigures(StrictModel):
    """What the lanes of a layer, or of the decoder, did in simulation, as shares of lanes × cycles that add up to 1.

    Attributes:
        name: ``layer0`` …, ``layers`` or ``decoder``.
        lanes: Its lanes.
        useful: Slots with a MAC.
        waste: The other slots by their cause: ``fetch`` (an event is on its way) and ``idle`` (nothing to do); see docs/datapath.md.
        stalls: Shares of cycles, not of slots, and no part of the sum: ``bus`` (a lane's queue was full) and ``output``.
    """

    name: str
    lanes: int
    useful: float
    waste: dict[str, float]
    stalls: dict[str, float] = Field(default_factory=dict)


class SimulationFigures(StrictModel):
    """The generated RTL, simulated on held-out text and compared with the reference.

    Attributes:
        steps: Time steps.
        events: Events of all layers.
        values: Values compared with ==.
        mismatches: Values that differed.
        cycles_per_step: From RTL.
        predicted_cycles_per_step: By the cycle model, for the same steps.
        lanes: Of all blocks.
        occupancy: Share of lane-cycles that did a useful MAC.
        blocks: Where the rest went.
        macs_per_step: Counted by the hardware.
        counts_per_step: What a step does, counted in simulation, by the names of `egru.energy.Operation`; empty where nothing was counted.
    """

    steps: int
    events: int
    values: int
    mismatches: int
    cycles_per_step: float
    predicted_cycles_per_step: float
    lanes: int
    occupancy: float
    blocks: tuple[BlockFigures, ...]
    macs_per_step: float
    counts_per_step: dict[str, float] = Field(default_factory=dict)


class BuildFigures(StrictModel):
    """What place and route made; of boards that only Vivado builds, what yosys estimates.

    Attributes:
        source: ``place and route``, or whose estimate it is.
        lut: Tables.
        ff: Flip-flops.
        bram: Block RAMs, in the board's own unit.
        dsp: Multipliers.
        available: What the board has of each.
        clock_mhz: Median of the placer's seeds; None where only synthesis was run.
        clock_mhz_per_seed: Each seed's.
        target_mhz: The clock that the board's PLL makes; None likewise.
        timing_met: Whether the routing taken reaches it; None likewise.
        steps_per_second: Target clock ÷ cycles per step, where that clock is reached, else the clock reached; None without a clock.
    """

    source: str
    lut: int
    ff: int
    bram: int
    dsp: int
    available: dict[str, int]
    clock_mhz: float | None
    clock_mhz_per_seed: dict[int, float] = Field(default_factory=dict)
    target_mhz: float | None
    timing_met: bool | None
    steps_per_second: float | None


class Row(StrictModel):
    """One point.

    Attributes:
        name: Short and unique in the sweep, e.g. ``s0.90-global-w8-48x64-seed1-ulx3s_85f``.
        point: What it is.
        status: ``done``; ``failed``; ``waiting`` as long as the sweep has not come to it.
        failed_stage: The stage that failed.
        reason: Why, in one line.
        model: None as long as there is no model; likewise the next two.
        simulation: The RTL.
        build: The board.
        artifact: The exported model's folder, relative to the sweep's; rows with the same model share it.
        raster: A file of `numpy.savez` with the events of the first steps of held-out text; relative likewise. Arrays ``layer0`` …, bool
            (steps, neurons).
        stages: Key of each stage's cache entry: ``train``, ``prune``, ``qat``, ``model``, ``fit`` where the board chose the lanes,
            ``generate``, ``simulate``, ``build``.
        seconds: Wall-clock seconds of each stage, when it was computed; rows share what they have in common.
    """

    name: str
    point: Point
    status: Literal["done", "failed", "waiting"]
    failed_stage: str | None = None
    reason: str | None = None
    model: ModelFigures | None = None
    simulation: SimulationFigures | None = None
    build: BuildFigures | None = None
    artifact: str | None = None
    raster: str | None = None
    stages: dict[str, str] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)


class SweepResults(StrictModel):
    """``sweep.json``.

    Attributes:
        format: Always the same.
        version: Of this description.
        title: What the user calls the sweep.
        text: ``name`` of the text, ``unit`` of a symbol, and how many symbols are ``held_out``.
        versions: Of this package, Python and the tools.
        config: The sweep as it was given, all defaults filled in.
        started: UTC, ISO 8601; of the first start.
        request: SHA-256 of all that was asked for, code and tools included: what is done already is told by it.
        rows: The points in the order of the grid.
    """

    format: Literal["egru-sweep"] = "egru-sweep"
    version: Literal[1] = 1
    title: str
    text: dict[str, str | int]
    versions: dict[str, str]
    config: dict[str, object]
    started: str
    request: str = ""
    rows: tuple[Row, ...]
