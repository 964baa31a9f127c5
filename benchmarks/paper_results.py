"""What the language model runs were, as JSON: the record that training leaves in a run's folder, and the result file made of all of them.

The names of `Results` are those of the result file; other tools may read it.
"""

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Dataset = Literal["ptb", "wikitext2"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

DATASET_NAMES: dict[Dataset, str] = {"ptb": "Penn Treebank", "wikitext2": "WikiText-2"}
#: What training leaves in the folder of a run.
RECORD_FILE, MODEL_FOLDER = "run.json", "model"
#: Streams that a test split is dealt over; these leave no word out.
EVALUATION_STREAMS: dict[Dataset, int] = {"ptb": 31, "wikitext2": 64}
#: A run whose name ends like this is one of several that differ in their seed alone.
REPEATED = re.compile(r"(?P<name>.+)-seed\d+")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class CurvePoint(_Strict):
    """The network at one moment of training, on the validation split."""

    epoch: Annotated[float, Field(ge=0)]
    validation_perplexity: Positive
    event_density: list[Share]
    weight_density: Share


class RunRecord(_Strict):
    """What training wrote about itself, as ``run.json``.

    Attributes:
        name: Of the run; ``NAME-seedN`` for one of several that differ in the seed alone.
        dataset: What it was trained on.
        cell: The recurrent layers.
        hidden_sizes: Units of each layer; where a model was exported, that says it.
        sparsity: Share of zero weights that was asked for.
        weight_bits: Of the quantised weights; None for a float network.
        weight_decay: Of the optimiser.
        epochs: Passes over the training split.
        steps: Of the optimiser.
        seconds: Wall-clock time of training.
        gpu: Its name.
        gpus: How many.
        seed: Of all draws.
        recipe: Its name.
        parameters: Trained values.
        validation_perplexity: Of words, with the weights that training kept.
        test_perplexity: The same of the test split, as training measured it.
        event_density: Events per neuron and step of each layer, measured there too; empty for an LSTM.
        weight_density: Share of non-zero weights, measured there too.
        digest: SHA-256 of the GPU's integer evaluation of the test split; None where there was none.
        curve: How training went.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    dataset: Dataset
    cell: Literal["egru", "lstm"]
    hidden_sizes: list[Count] = []
    sparsity: Annotated[float, Field(ge=0, lt=1)]
    weight_bits: Annotated[int, Field(ge=2, le=8)] | None
    weight_decay: Annotated[float, Field(ge=0)]
    epochs: Positive
    steps: Count
    seconds: Positive
    gpu: str
    gpus: Count
    seed: int
    recipe: str
    parameters: Count
    validation_perplexity: Positive
    test_perplexity: Positive
    event_density: list[Share]
    weight_density: Share
    digest: Sha256 | None
    curve: list[CurvePoint]


class MacCounts(_Strict):
    """MACs per token (docs/semantics.md, section 9)."""

    dense: float
    weight_sparse: float
    event_sparse: float


class MacsPerToken(MacCounts):
    """The layers' sum, and apart from it the decoder."""

    decoder: MacCounts

    @property
    def with_decoder(self) -> MacCounts:
        """The sum of both."""
        return MacCounts(
            dense=self.dense + self.decoder.dense,
            weight_sparse=self.weight_sparse + self.decoder.weight_sparse,
            event_sparse=self.event_sparse + self.decoder.event_sparse,
        )


class LayerMacs(MacCounts):
    """One layer, and how far the two savings multiply.

    Attributes:
        weight_density: Share of non-zero integers in W (layers after the first) and R.
        event_density: Events per source and step among all that the layer reads: its own, and those of the layer before, weighted by
            the weights that wait for them.
        law_ratio: ``event_sparse / (dense · weight_density · event_density)``; None where that product is 0.
    """

    weight_density: Share
    event_density: Share
    law_ratio: float | None


class IntegerQuality(_Strict):
    """The exported model by the integer reference, over the whole test split.

    Attributes:
        model_hash: Of the model.
        test_perplexity: Of words.
        event_density: Events per neuron and step of each layer.
        digest: SHA-256 of the evaluation.
        equals_gpu: Whether that is the digest of the GPU's evaluation; None where the GPU made none.
        tokens: Predicted.
        seconds: That it took.
    """

    model_hash: Sha256
    test_perplexity: Positive
    event_density: list[Share]
    digest: Sha256
    equals_gpu: bool | None
    tokens: Count
    seconds: Positive


class Measurement(_Strict):
    """What was measured of a run's model.

    Attributes:
        macs_per_token: None where neither a model nor ``hidden_sizes`` says what it costs.
        layers: Of an exported model; else empty.
        integer: Of an exported model; else None.
    """

    macs_per_token: MacsPerToken | None = None
    layers: list[LayerMacs] = []
    integer: IntegerQuality | None = None


class Run(Measurement, RunRecord):
    """A run: what training wrote, and what was measured."""

    @property
    def perplexity(self) -> float:
        """Of the test split, by the integer reference where there is a model."""
        return self.integer.test_perplexity if self.integer else self.test_perplexity

    @property
    def activity(self) -> list[float]:
        """Events per neuron and step of each layer, by the integer reference where there is a model."""
        return self.integer.event_density if self.integer else self.event_density

    @property
    def total_activity(self) -> float | None:
        """Events per neuron and step over all layers, weighted by neurons; None for an LSTM, and where ``hidden_sizes`` is not known."""
        if not self.activity or len(self.activity) != len(self.hidden_sizes):
            return None
        return sum(a * n for a, n in zip(self.activity, self.hidden_sizes, strict=True)) / sum(self.hidden_sizes)


class TwoGpus(_Strict):
    """One optimiser step on one and on two GPUs, ``batch`` streams on each; ``speedup`` is in symbols per second."""

    batch: Count
    one_ms: Positive
    two_ms: Positive
    speedup: Positive


class ProfilePart(_Strict):
    """A kind of kernel in an optimiser step."""

    part: str
    ms: Annotated[float, Field(ge=0)]


class Times(_Strict):
    """Milliseconds of an optimiser step; None where it was not measured. Filled in as it is measured.

    Attributes:
        ours_ms: Float EGRU.
        qat_ms: Quantisation-aware EGRU.
        cudnn_lstm_ms: LSTM of the same shape by cuDNN, rows padded to what its kernels like best.
        cudnn_lstm_unpadded_ms: The same as given.
        spread_ms: Slowest minus fastest series of each.
        errors: Of each that failed.
    """

    model_config = ConfigDict(frozen=False)

    ours_ms: Positive | None = None
    qat_ms: Positive | None = None
    cudnn_lstm_ms: Positive | None = None
    cudnn_lstm_unpadded_ms: Positive | None = None
    spread_ms: dict[str, float] = {}
    errors: dict[str, str] = {}

    def ratio(self, ms: float | None) -> float | None:
        """Return a time as a multiple of the padded LSTM's, which is the fair peer."""
        return None if ms is None or self.cudnn_lstm_ms is None else ms / self.cudnn_lstm_ms


class Speed(Times):
    """Time of an optimiser step; the times here are those of ``batch`` streams.

    Attributes:
        gpu: Its name.
        batch: Streams.
        steps: Time steps.
        batch128: The times of 128 streams.
        two_gpus: None until measured.
        profile: Kernels of our step by kind; they run side by side, so they may add up to more than the step takes.
    """

    gpu: str
    batch: Count
    steps: Count
    batch128: Times = Times()
    two_gpus: TwoGpus | None = None
    profile: list[ProfilePart] = []


class Spread(_Strict):
    """Runs that differ in the seed alone; ``std`` is the sample's, with n - 1."""

    name: str
    seeds: list[int]
    test_perplexities: list[float]
    mean: float
    std: float


class Results(_Strict):
    """The result file."""

    runs: list[Run] = []
    speed: Speed | None = None
    spread: list[Spread] = []

    def with_run(self, run: Run) -> "Results":
        """Return the results with ``run`` in place of the one of its name; runs are kept in the order of their names."""
        runs = sorted([*(known for known in self.runs if known.name != run.name), run], key=lambda known: known.name)
        return self.model_copy(update={"runs": runs, "spread": spreads(runs)})

    @property
    def single_runs(self) -> list[Run]:
        """The runs that were not repeated with other seeds."""
        repeated = {spread.name for spread in self.spread}
        return [run for run in self.runs if repeated_name(run) not in repeated]


def repeated_name(run: RunRecord) -> str | None:
    """Return what the run shares with those that differ in the seed alone; None when its name is not ``NAME-seedN``."""
    found = REPEATED.fullmatch(run.name)
    return found["name"] if found else None


def spreads(runs: Iterable[Run]) -> list[Spread]:
    """Return mean and deviation of the runs that were made with two seeds or more."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        name = repeated_name(run)
        if name is not None:
            groups.setdefault(name, []).append(run)
    return [_spread(name, sorted(group, key=lambda run: run.seed)) for name, group in sorted(groups.items()) if len(group) > 1]


def _spread(name: str, runs: list[Run]) -> Spread:
    found = [run.perplexity for run in runs]
    return Spread(
        name=name, seeds=[run.seed for run in runs], test_perplexities=found, mean=statistics.mean(found), std=statistics.stdev(found)
    )


def by_sparsity(runs: Iterable[Run], dataset: Dataset, weight_bits: int | None) -> list[Run]:
    """Return one EGRU run of each sparsity, densest first: the one that validation prefers, so that the test split chooses none."""
    chosen: dict[float, Run] = {}
    for run in runs:
        if (run.dataset, run.cell, run.weight_bits) == (dataset, "egru", weight_bits):
            chosen[run.sparsity] = min(run, chosen.get(run.sparsity, run), key=lambda found: (found.validation_perplexity, found.name))
    return [run for _, run in sorted(chosen.items())]


@dataclass(frozen=True)
class Series:
    """One EGRU run of each sparsity, densest first, all of one text, recipe and width: what lines in figures and tables are made of."""

    dataset: Dataset
    recipe: str
    weight_bits: int | None
    runs: list[Run]

    @property
    def title(self) -> str:
        """What the runs have in common, in words."""
        return f"{DATASET_NAMES[self.dataset]}, {self.label}"

    @property
    def label(self) -> str:
        """The title without the text."""
        return f"{bits_words(self.weight_bits)}, recipe {self.recipe}"


def series(runs: Sequence[Run]) -> Iterator[Series]:
    """Yield every series, text by text; floats first, then the most bits."""
    for dataset in DATASET_NAMES:
        for bits in sorted({run.weight_bits for run in runs}, key=lambda bits: -(bits or 99)):
            for recipe in sorted({run.recipe for run in runs}):
                found = by_sparsity((run for run in runs if run.recipe == recipe), dataset, bits)
                if found:
                    yield Series(dataset, recipe, bits, found)


def bits_words(weight_bits: int | None) -> str:
    """Name a width."""
    return "float" if weight_bits is None else f"{weight_bits} bits"


def percent(share: float) -> str:
    """Write a share as percent, with no more digits than it has."""
    return f"{100 * share:g} %"
