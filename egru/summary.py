"""The shape of ``summary.json``, and how its figures are shown to people."""

from typing import Any

from pydantic import Field
from rich.table import Table

from egru.config import StrictModel
from egru.measure import METRICS, ModelMeasurement, parameter_count, quality
from egru.place_and_route import BuildResult
from sw_model.datasets import Unit
from sw_model.macs import MacsSummary, layer_weight_densities, weight_density
from sw_model.quantized_model import QuantizedModel


class Quality(StrictModel):
    """How well the held-out test split is predicted; less is better.

    Attributes:
        metric: Bits per character, or perplexity of words.
        float_: The dense network in floating point; of a pretrained model the recorded figure, because that network does not ship.
        pruned: The pruned network in floating point; likewise.
        quantised: The pruned, quantised model, by the integer reference.
        baseline: An interpolated n-gram model trained on the same training split.
        baseline_order: Its longest n-gram.
    """

    metric: str
    float_: float = Field(alias="float")
    pruned: float
    quantised: float
    baseline: float
    baseline_order: int


class ModelSummary(StrictModel):
    """The exported model.

    Attributes:
        layers: Neurons per layer.
        weight_bits: Bits of W and R.
        decoder_bits: Bits of D.
        weight_density: Share of non-zero weights in W (layers after the first), R and D.
        weight_density_per_layer: The same for W and R of each layer.
        event_density: Events per neuron and step on the test split.
        event_density_per_layer: The same for each layer.
        parameters: Trained values, zero weights included.
        hash: SHA-256 of everything that the arithmetic depends on.
        quality: How well it predicts.
        macs_without_decoder: MACs per step of W (layers after the first) and R.
        macs_with_decoder: The same with D.
    """

    layers: tuple[int, ...]
    weight_bits: int
    decoder_bits: int
    weight_density: float
    weight_density_per_layer: tuple[float, ...]
    event_density: float
    event_density_per_layer: tuple[float, ...]
    parameters: int
    hash: str
    quality: Quality
    macs_without_decoder: MacsSummary
    macs_with_decoder: MacsSummary


class ReferenceEquivalence(StrictModel):
    """The fake-quantised network against the integer reference."""

    steps: int
    events: int
    mismatches: int


class RtlEquivalence(StrictModel):
    """The simulated RTL against the integer reference; ``values`` is what was compared with ==."""

    steps: int
    events: int
    values: int
    mismatches: int
    log: str


class EquivalenceSummary(StrictModel):
    """Both comparisons; a pretrained model lacks the first, which needs the checkpoint that does not ship."""

    fake_quant_vs_reference: ReferenceEquivalence | None
    rtl_vs_reference: RtlEquivalence


class CyclesSummary(StrictModel):
    """What a time step costs.

    Attributes:
        mean_per_step: Clock cycles from the first token to the last logit, divided by the steps.
        dense_equivalent_per_step: Dense MACs of W (layers after the first), R and D, divided by the lanes: what a dense engine takes whose
            lanes are all busy in every cycle.
        occupancy: Share of lane-cycles that did a useful MAC.
        lanes: Of all layers and the decoder.
    """

    mean_per_step: float
    dense_equivalent_per_step: float
    occupancy: float
    lanes: int


class BuildSummary(StrictModel):
    """What place and route made; see `egru.place_and_route.BuildResult`."""

    board: str
    lut: int
    ff: int
    bram: int
    dsp: int
    fmax_mhz: float
    target_mhz: float
    timing_met: bool
    bitstream: str
    bitstream_bytes: int


class TextSummary(StrictModel):
    """The text.

    Attributes:
        name: Where it came from.
        unit: What one symbol is.
        vocabulary: Symbols that the model knows.
        train: Symbols in the training split.
        test: Symbols in the held-out split that is measured.
        unknown: Symbols that were left out of the splits because the model does not know them.
    """

    name: str
    unit: Unit
    vocabulary: int
    train: int
    test: int
    unknown: int = 0


class TrainingRecord(StrictModel):
    """``figures.json`` of a model that ships already trained: what was measured where it was trained.

    Attributes:
        where: The machine.
        python: Version of Python, whose own text may be what was learnt.
        seeds: Of the phases, in their order.
        seconds: Wall-clock seconds of each phase.
        text: The text.
        model: The exported model, with the quality of the networks that it came from.
        fake_quant_vs_reference: The fake-quantised network against the integer reference.
    """

    where: str
    python: str
    seeds: tuple[int, ...]
    seconds: dict[str, float]
    text: TextSummary
    model: ModelSummary
    fake_quant_vs_reference: ReferenceEquivalence


class Summary(StrictModel):
    """``summary.json``. Paths are relative to its folder; seconds are wall-clock.

    Attributes:
        version: Of this package.
        text: What the model was measured on.
        pretrained: What was recorded of a model that came trained; null when it was trained here.
        model: The model; measured here, but see `Quality`.
        equivalence: The proofs.
        cycles: What a time step costs.
        build: Null when none was asked for.
        seconds: By stage.
    """

    version: str
    text: TextSummary
    pretrained: TrainingRecord | None = None
    model: ModelSummary
    equivalence: EquivalenceSummary
    cycles: CyclesSummary
    build: BuildSummary | None
    seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return JSON values with the names of the file."""
        return self.model_dump(mode="json", by_alias=True)


def model_summary(model: QuantizedModel, measured: ModelMeasurement, figures: Quality) -> ModelSummary:
    """Collect what is known of an exported model."""
    return ModelSummary(
        layers=tuple(layer.neurons for layer in model.layers),
        weight_bits=model.layers[0].weight_bits,
        decoder_bits=model.decoder.weight_bits,
        weight_density=weight_density(model),
        weight_density_per_layer=tuple(layer_weight_densities(model)),
        event_density=measured.evaluation.total_event_density,
        event_density_per_layer=measured.evaluation.event_density,
        parameters=parameter_count(model),
        hash=model.content_hash(),
        quality=figures,
        macs_without_decoder=MacsSummary.of(measured.macs.without_decoder),
        macs_with_decoder=MacsSummary.of(measured.macs.with_decoder),
    )


def quality_summary(unit: Unit, *, dense: float, pruned: float, quantised: float, baseline: float, order: int) -> Quality:
    """Turn bits per symbol into the metric of ``unit``."""
    values = {"float": dense, "pruned": pruned, "quantised": quantised, "baseline": baseline}
    return Quality(metric=METRICS[unit], baseline_order=order, **{name: quality(bits, unit) for name, bits in values.items()})


def build_summary(result: BuildResult, folder: str) -> BuildSummary:
    """Take the figures of a build whose output folder is ``folder``, relative to the summary."""
    figures = {name: value for name, value in result.as_dict().items() if name in BuildSummary.model_fields}
    return BuildSummary(**(figures | {"bitstream": f"{folder}/{result.bitstream}"}))


def summary_table(summary: Summary) -> Table:
    """Lay the figures out for people."""
    table = Table("what", "measured", title=f"{summary.text.name}: {' + '.join(map(str, summary.model.layers))} neurons")
    rows = _quality_rows(summary.model, summary.pretrained) + _model_rows(summary.model) + _hardware_rows(summary)
    if summary.pretrained is not None:
        rows = _origin_rows(summary.text, summary.pretrained) + rows
    for what, measured in rows:
        table.add_row(what, measured)
    return table


def _origin_rows(text: TextSummary, record: TrainingRecord) -> list[tuple[str, str]]:
    """Say where a model came from, and whether the text is the one that it was trained on."""
    seeds = ", ".join(map(str, sorted(set(record.seeds))))
    trained = f"on {record.where} in {sum(record.seconds.values()):,.0f} s, seed {seeds}, with the text of Python {record.python}"
    shown = f"{text.test:,} {text.unit}"
    # The splits of another text have other lengths.
    if text != record.text:
        shown += f" of another text than at training; {text.unknown} symbols unknown to the model left out of all splits"
    return [("trained (recorded)", trained), ("held-out text", shown)]


def _quality_rows(model: ModelSummary, record: TrainingRecord | None) -> list[tuple[str, str]]:
    figures, mark = model.quality, "" if record is None else " (recorded)"
    quantised = f"{figures.metric}, pruned and quantised to {model.weight_bits} bits"
    rows = [
        (f"{figures.metric}, float{mark}", f"{figures.float_:.3f}"),
        (f"{figures.metric}, pruned{mark}", f"{figures.pruned:.3f}"),
        (quantised, f"{figures.quantised:.3f}"),
        (f"{figures.metric}, {figures.baseline_order}-gram baseline", f"{figures.baseline:.3f}"),
    ]
    if record is not None:
        rows.insert(2, (f"{quantised}{mark}", f"{record.model.quality.quantised:.3f}"))
    return rows


def _model_rows(model: ModelSummary) -> list[tuple[str, str]]:
    macs = model.macs_with_decoder
    per_layer = ", ".join(f"{density:.3f}" for density in model.event_density_per_layer)
    return [
        ("weight sparsity", f"{1.0 - model.weight_density:.1%}"),
        ("event density (per layer)", f"{model.event_density:.3f} ({per_layer})"),
        ("MACs per step: dense, weight-sparse, with events", f"{macs.dense:,.0f}   {macs.weight_sparse:,.0f}   {macs.event_sparse:,.0f}"),
    ]


def _reference_row(summary: Summary) -> tuple[str, str]:
    found, record = summary.equivalence.fake_quant_vs_reference, summary.pretrained
    if found is None and record is not None:
        # The network is only in the checkpoint; what was found with it is no measurement of this run.
        return (
            "fake-quantised = reference (recorded)",
            f"{_counts(record.fake_quant_vs_reference)}; not repeated: the checkpoint is not shipped",
        )
    return "fake-quantised = reference", "not compared" if found is None else _counts(found)


def _counts(found: ReferenceEquivalence) -> str:
    return f"{found.steps:,} steps, {found.events:,} events, {found.mismatches} mismatches"


def _hardware_rows(summary: Summary) -> list[tuple[str, str]]:
    rtl, cycles, build = summary.equivalence.rtl_vs_reference, summary.cycles, summary.build
    gain = cycles.dense_equivalent_per_step / cycles.mean_per_step
    rows = [
        _reference_row(summary),
        ("RTL = reference", f"{rtl.steps:,} steps, {rtl.events:,} events, {rtl.values:,} values, {rtl.mismatches} mismatches"),
        (f"cycles per step on {cycles.lanes} lanes", f"{cycles.mean_per_step:,.1f}"),
        ("the same, dense with every lane busy", f"{cycles.dense_equivalent_per_step:,.1f} ({gain:.1f} times as many)"),
        ("lane occupancy", f"{cycles.occupancy:.2f}"),
    ]
    if build is not None:
        timing = "met" if build.timing_met else "MISSED"
        rows += [
            (f"{build.board}: LUT, FF, block RAM, DSP", f"{build.lut:,}   {build.ff:,}   {build.bram}   {build.dsp}"),
            ("clock after routing", f"{build.fmax_mhz:.1f} MHz (target {build.target_mhz:g} MHz {timing})"),
            ("bitstream", f"{build.bitstream} ({build.bitstream_bytes:,} bytes)"),
        ]
    return [*rows, ("wall-clock time", f"{summary.seconds['total']:.0f} s")]
