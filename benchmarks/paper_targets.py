"""What was asked of the language model runs, and whether it came out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.paper_results import DATASET_NAMES, Results, Run, Speed, bits_words, by_sparsity, percent, series


@dataclass(frozen=True)
class Target:
    """A figure that was asked for, and what came out.

    Attributes:
        what: In words.
        limit: What was asked for.
        value: What came out; None when it was not run.
        source: Of the value: the run's name.
        at_least: Whether more is better.
        published: The figure in the literature.
    """

    what: str
    limit: float
    value: float | None
    source: str = ""
    at_least: bool = False
    published: float | None = None

    @property
    def verdict(self) -> Literal["met", "missed", "not run"]:
        """Whether the value is as asked for."""
        if self.value is None:
            return "not run"
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "met" if met else "missed"


def quality_targets(results: Results) -> list[Target]:
    """Return the targets in perplexity."""
    runs = results.single_runs
    found = [
        _perplexity(runs, 0.0, (None, 8), 58.5, published=57.2),
        _perplexity(runs, 0.8, (8,), 60),
        _perplexity(runs, 0.9, (8,), 62),
    ]
    for dataset, name in DATASET_NAMES.items():
        found_series = {(one.recipe, one.weight_bits): one.runs for one in series(runs) if one.dataset == dataset}
        pairs = [
            (wide, narrow)
            for recipe in sorted({recipe for recipe, _ in found_series})
            for narrow in found_series.get((recipe, 4), [])
            for wide in found_series.get((recipe, 8), [])
            if wide.sparsity == narrow.sparsity
        ]
        for wide, narrow in pairs:
            what = f"{name}, {percent(narrow.sparsity)} sparse, 4 bits above 8 bits"
            found.append(Target(what, 0.5, narrow.perplexity - wide.perplexity, f"{narrow.name} - {wide.name}"))
        if not pairs:
            found.append(Target(f"{name}, 4 bits above 8 bits", 0.5, None))
    return found


def speed_targets(speed: Speed) -> list[Target]:
    """Return the targets in time."""
    two = speed.two_gpus
    return [
        Target("EGRU ÷ LSTM", 0.55, speed.ratio(speed.ours_ms)),
        Target("quantisation-aware EGRU ÷ LSTM", 0.8, speed.ratio(speed.qat_ms)),
        Target("two GPUs, times as fast", 1.7, two.speedup if two else None, at_least=True),
    ]


def _perplexity(runs: Iterable[Run], sparsity: float, widths: Sequence[int | None], limit: float, published: float | None = None) -> Target:
    """Return the target of one sparsity on Penn Treebank; the first of ``widths`` that was run counts."""
    what = f"{DATASET_NAMES['ptb']}, {percent(sparsity)} sparse" if sparsity else f"{DATASET_NAMES['ptb']}, dense"
    for bits in widths:
        for run in by_sparsity(runs, "ptb", bits):
            if run.sparsity == sparsity:
                return Target(f"{what}, {bits_words(bits)}", limit, run.perplexity, run.name, published=published)
    return Target(f"{what}, {bits_words(widths[0])}", limit, None, published=published)
