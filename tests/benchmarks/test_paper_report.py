"""The page of the language model runs: what it says of runs that are made up here, and of those that are committed."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks import paper_report
from benchmarks.paper_figures import FIGURES, draw, figure_file
from benchmarks.paper_report import compensation_start, page
from benchmarks.paper_results import Results, Run, Speed, by_sparsity
from benchmarks.paper_targets import Target, quality_targets, speed_targets

ROOT = Path(paper_report.__file__).resolve().parent.parent
RESULT_FILE, PAGE = ROOT / "benchmarks" / "results" / "paper.json", ROOT / "docs" / "paper_results.md"
DIGEST = "0123456789abcdef" * 4
SPEED = Speed.model_validate(
    {
        "gpu": "an accelerator",
        "batch": 64,
        "steps": 70,
        "ours_ms": 4.0,
        "qat_ms": 6.0,
        "cudnn_lstm_ms": 8.0,
        "cudnn_lstm_unpadded_ms": 16.0,
        "spread_ms": {"ours": 0.1},
        "batch128": {"ours_ms": 6.0, "errors": {"cudnn_lstm": "RuntimeError: no such kernel"}},
        "two_gpus": {"batch": 128, "one_ms": 6.0, "two_ms": 8.0, "speedup": 1.5},
        "profile": [{"part": "layers", "ms": 3.0}, {"part": "optimiser", "ms": 1.0}],
    }
)


def a_run(name: str, perplexity: float = 60.0, events: float = 0.2, **changes: Any) -> Run:
    """A quantised EGRU; floats and LSTMs say so in ``changes``."""
    fields: dict[str, Any] = {
        "name": name,
        "dataset": "ptb",
        "cell": "egru",
        "hidden_sizes": [100, 50],
        "sparsity": 0.9,
        "weight_bits": 8,
        "weight_decay": 0.1,
        "epochs": 500.0,
        "steps": 100_000,
        "seconds": 1800.0,
        "gpu": "an accelerator",
        "gpus": 1,
        "seed": 3,
        "recipe": "ptb",
        "parameters": 1_000_000,
        "validation_perplexity": perplexity + 3,
        "test_perplexity": perplexity + 0.5,
        "event_density": [events + 0.01, events + 0.01],
        "weight_density": 0.1,
        "digest": DIGEST,
        "curve": [
            {"epoch": epoch, "validation_perplexity": 200.0 - epoch, "event_density": [0.2, 0.2], "weight_density": 0.1}
            for epoch in (0.0, 50.0)
        ],
        "macs_per_token": {
            "dense": 20e6,
            "weight_sparse": 2e6,
            "event_sparse": 0.5e6,
            "decoder": {"dense": 8e6, "weight_sparse": 1e6, "event_sparse": 0.2e6},
        },
        "layers": [
            {
                "dense": 12e6,
                "weight_sparse": 1.2e6,
                "event_sparse": 0.3e6,
                "weight_density": 0.1,
                "event_density": 0.25,
                "law_ratio": ratio,
            }
            for ratio in (1.012, 1.234)
        ],
        "integer": {
            "model_hash": DIGEST,
            "test_perplexity": perplexity,
            "event_density": [events, events / 2],
            "digest": DIGEST,
            "equals_gpu": True,
            "tokens": 82_000,
            "seconds": 100.0,
        },
    }
    return Run.model_validate(fields | changes)


def a_float(name: str, perplexity: float, **changes: Any) -> Run:
    none: dict[str, Any] = {"weight_bits": None, "digest": None, "macs_per_token": None, "layers": [], "integer": None}
    return a_run(name, test_perplexity=perplexity, **none | changes)


def an_lstm(name: str = "lstm") -> Run:
    macs = {"dense": 30e6, "weight_sparse": 30e6, "event_sparse": 30e6}
    changes = {"cell": "lstm", "sparsity": 0.0, "event_density": [], "macs_per_token": macs | {"decoder": macs}}
    return a_float(name, 61.25, **changes)


def results_of(*runs: Run, speed: Speed | None = None) -> Results:
    results = Results(speed=speed)
    for run in runs:
        results = results.with_run(run)
    return results


@pytest.fixture(scope="module")
def everything() -> Results:
    return results_of(
        a_float("dense", 58.0, sparsity=0.0),
        a_run("p50", 58.9, 0.20, sparsity=0.5),
        a_run("p80", 60.5, 0.18, sparsity=0.8),
        a_run("p90", 61.5, 0.25, sparsity=0.9),
        a_run("p90-w4", 61.9, 0.25, sparsity=0.9, weight_bits=4),
        a_run("p90-decay", 61.4, 0.31, sparsity=0.9, weight_decay=0.02, validation_perplexity=70.0),
        a_run("small-seed1", 80.0, seed=1),
        a_run("small-seed2", 82.0, seed=2),
        a_run("small-seed3", 84.0, seed=3),
        an_lstm(),
        a_run("wiki", 71.0, 0.2, dataset="wikitext2"),
        speed=SPEED,
    )


def test_results_are_read_as_they_were_written(everything: Results) -> None:
    text = everything.model_dump_json(indent=1)
    assert Results.model_validate_json(text) == everything
    run = json.loads(text)["runs"][0]
    assert {"dataset", "cell", "weight_density", "weight_bits", "test_perplexity", "event_density", "seconds", "gpu", "seed"} <= run.keys()
    macs = next(run for run in json.loads(text)["runs"] if run["name"] == "p90")["macs_per_token"]
    assert list(macs) == ["dense", "weight_sparse", "event_sparse", "decoder"]
    assert {"ours_ms", "qat_ms", "cudnn_lstm_ms"} <= json.loads(text)["speed"].keys()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cell", "gru"),
        ("seconds", 0.0),
        ("sparsity", 1.0),
        ("digest", "short"),
        ("seed", "3"),
        ("name", "a|b"),
        ("speed", 1),
        ("seed", 1.5),
    ],
)
def test_a_record_that_is_not_one_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Run.model_validate(a_run("p90").model_dump() | {field: value})


def test_a_run_replaces_the_one_of_its_name() -> None:
    results = results_of(a_run("b", 60.0), a_run("a", 61.0), a_run("b", 62.0))
    assert [(run.name, run.perplexity) for run in results.runs] == [("a", 61.0), ("b", 62.0)]


def test_validation_chooses_among_runs_of_one_sparsity() -> None:
    good, lucky = a_run("good", 62.0, validation_perplexity=60.0), a_run("lucky", 61.0, validation_perplexity=61.0)
    for runs in ((good, lucky), (lucky, good)):
        assert by_sparsity(runs, "ptb", 8) == [good]


def test_repeated_runs_are_told_apart_from_single_ones(everything: Results) -> None:
    (spread,) = everything.spread
    assert (spread.name, spread.seeds, spread.mean, spread.std) == ("small", [1, 2, 3], 82.0, 2.0)
    assert not {"small-seed1", "small-seed2", "small-seed3"} & {run.name for run in everything.single_runs}
    assert results_of(a_run("small-seed1")).spread == []
    assert "| small | 1, 2, 3 | 80.00, 82.00, 84.00 | 82.00 | 2.00 |" in page(everything)


@pytest.mark.parametrize(
    ("value", "at_least", "verdict"),
    [
        (60.0, False, "met"),
        (60.001, False, "missed"),
        (None, False, "not run"),
        (60.0, True, "met"),
        (59.9, True, "missed"),
        (0.0, False, "met"),
    ],
)
def test_a_target_is_met_missed_or_not_run(value: float | None, at_least: bool, verdict: str) -> None:
    assert Target("x", 60.0, value, at_least=at_least).verdict == verdict


def test_targets_take_the_right_runs(everything: Results) -> None:
    found = [(target.source, target.verdict) for target in quality_targets(everything)]
    assert found == [("dense", "met"), ("p80", "missed"), ("p90", "met"), ("p90-w4 - p90", "met"), ("", "not run")]
    assert quality_targets(everything)[3].value == pytest.approx(61.9 - 61.5)
    assert [target.verdict for target in quality_targets(Results())] == ["not run"] * 5
    assert [(target.value, target.verdict) for target in speed_targets(SPEED)] == [(0.5, "met"), (0.75, "met"), (1.5, "missed")]
    quantised = quality_targets(results_of(a_run("dense-w8", 58.6, sparsity=0.0)))[0]
    assert (quantised.source, quantised.verdict, quantised.what) == ("dense-w8", "missed", "Penn Treebank, dense, 8 bits")


def test_the_page_says_what_was_measured_and_what_was_missed(everything: Results) -> None:
    text = page(everything)
    rows = {line.split(" | ")[0].removeprefix("| "): line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert (
        "| p90 | EGRU | 90 % | 8 | 0.1 | 61.50 | integer reference | yes | 64.50 | 0.250, 0.125 | 500 | 1,800 | 1 x an accelerator | 3 |"
        in text
    )
    assert "| dense | EGRU | 0 % | float | 0.1 | 58.00 | training | - |" in text
    assert "| lstm | LSTM | 0 % | float | 0.1 | 61.25 | training | - | 63.00 | - |" in text
    assert "| p90 | 10.0 % | 20.000 | 2.000 | 0.500 | 40.0 | 28.000 | 3.000 | 0.700 | 40.0 |" in text
    assert "| dense | 10.0 % | - | - | - | - | - | - | - | - |" in text
    assert rows["Penn Treebank, 80 % sparse, 8 bits"][1:] == ["≤ 60", "-", "60.50", "**missed**", "p80"]
    assert rows["Penn Treebank, dense, float"][1:] == ["≤ 58.5", "57.2", "58.00", "met", "dense"]
    assert "Missed: Penn Treebank, 80 % sparse, 8 bits.\n" in text
    assert "Missed: two GPUs, times as fast.\n" in text
    assert "0.100 · 0.250: 1.234" in text
    assert "The ratio lies between 1.012 and 1.234." in text
    assert "| layers | 3.000 |" in text
    assert "| EGRU | 4.00 | 0.50 | 6.00 | - |" in text
    assert "| LSTM of cuDNN, as given | 16.00 | 2.00 | - | - |" in text
    assert "Failed: cudnn_lstm, 128 streams.\n" in text
    assert "128 streams on each of two GPUs take 8.00 ms a step, on one GPU 6.00 ms: 1.50 times the symbols per second." in text
    assert "equals the reference in 9 of 9 runs" in text
    assert all(f"]({figure_file(name)})" in text for name in FIGURES)
    for table in text.split("\n\n"):
        if table.startswith("| "):
            assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_time_that_was_not_measured_meets_nothing() -> None:
    speed = Speed(gpu="x", batch=64, steps=70, ours_ms=1.0)
    assert [target.verdict for target in speed_targets(speed)] == ["not run"] * 3
    assert "| EGRU | 1.00 | - |" in page(Results(speed=speed))


def test_a_gpu_that_computed_something_else_is_named() -> None:
    wrong = a_run("p90").integer
    assert wrong is not None
    text = page(results_of(a_run("p80", sparsity=0.8), a_run("p90", integer=wrong.model_copy(update={"equals_gpu": False}).model_dump())))
    assert "in 1 of 2 runs, 164,000 tokens; it differs in p90." in text
    assert "| integer reference | **no** |" in text


def test_what_was_not_run_is_said_to_be_so() -> None:
    text = page(Results())
    assert "No run has been added yet." in text
    assert text.count("| not run |") == 5
    assert "Not measured." in text
    assert "| met |" not in text
    assert ".svg" not in text


@pytest.mark.parametrize(
    ("activity", "start"),
    [
        ([(0.5, 0.2)], None),
        ([(0.5, 0.2), (0.8, 0.2), (0.9, 0.21)], 0.9),
        ([(0.5, 0.2), (0.8, 0.22), (0.9, 0.21)], 0.8),
        ([(0.5, 0.2), (0.8, 0.22), (0.9, 0.19), (0.95, 0.3)], 0.95),
        ([(0.5, 0.2), (0.8, 0.22), (0.9, 0.2)], None),
    ],
)
def test_compensation_starts_where_activity_stays_above_the_densest_run(activity: list[tuple[float, float]], start: float | None) -> None:
    assert compensation_start(activity) == start


def test_the_page_says_where_compensation_starts(everything: Results) -> None:
    assert "Activity compensates from 90 % on." in page(everything)
    assert "Activity does not compensate." in page(results_of(a_run("a", events=0.2, sparsity=0.5), a_run("b", events=0.1, sparsity=0.8)))


def test_figures_show_the_runs_they_are_about(everything: Results) -> None:
    panels = {name: kind.panels(everything) for name, kind in FIGURES.items()}
    quality = {line.label: line.points for line in panels["quality"][0].lines}
    assert quality["EGRU, 8 bits, recipe ptb"] == [(0.7e6, 58.9), (0.7e6, 60.5), (0.7e6, 61.5)]
    assert quality["EGRU, 8 bits, recipe ptb, zero weights alone"][0] == (3e6, 58.9)
    assert quality["LSTM, float"] == [(60e6, 61.25)]
    assert panels["activity"][0].title == "Penn Treebank, 8 bits, recipe ptb"
    assert panels["activity"][0].lines[1].points == [(0.5, 0.1), (0.8, 0.09), (0.9, 0.125)]
    (decays,) = panels["weight_decay"][0].lines
    assert decays.notes == ["0.02", "0.1"]
    assert [perplexity for _, perplexity in decays.points] == [61.4, 61.5]
    assert decays.points[1][0] == pytest.approx((0.25 * 100 + 0.125 * 50) / 150)
    assert len(panels["curves"]) == 2
    assert [len(panel.lines) for panel in panels["curves"]] == [2, 1]
    assert all(not kind.panels(Results()) for kind in FIGURES.values())


def test_runs_of_different_recipes_are_in_no_line_together() -> None:
    found = results_of(
        a_run("wide", 60.0, sparsity=0.8),
        a_run("narrow", 60.2, sparsity=0.8, weight_bits=4),
        a_run("long-narrow", 57.0, sparsity=0.8, weight_bits=4, recipe="longer"),
    )
    (loss,) = [target for target in quality_targets(found) if "Penn" in target.what and "4 bits above" in target.what]
    assert loss.source == "narrow - wide"
    assert loss.value == pytest.approx(0.2)
    labels = [line.label for line in FIGURES["quality"].panels(found)[0].lines if "zero weights" not in line.label]
    assert labels == ["EGRU, 8 bits, recipe ptb", "EGRU, 4 bits, recipe longer", "EGRU, 4 bits, recipe ptb"]


def test_figures_are_the_same_every_time_on_a_ground_of_their_own(everything: Results) -> None:
    pytest.importorskip("matplotlib", reason="the figures are optional: pip install 'egru-fpga[bench]'")
    kind = FIGURES["quality"]
    svg = draw(kind.panels(everything), kind.height)
    assert svg == draw(kind.panels(everything), kind.height)
    assert "EGRU, 8 bits" in svg
    assert "dc:date" not in svg
    assert svg.index("fill: #ffffff") < svg.index("axes_1")


def test_the_committed_page_is_made_of_the_committed_results() -> None:
    assert RESULT_FILE.exists() == PAGE.exists()
    if RESULT_FILE.exists():
        results = Results.model_validate_json(RESULT_FILE.read_text())
        assert PAGE.read_text() == page(results)
        assert all((PAGE.parent / figure_file(name)).exists() for name, kind in FIGURES.items() if kind.panels(results))
