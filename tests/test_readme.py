"""What the README shows is run: its commands in their order, with a small training recipe; its links lead somewhere."""

import json
import os
import re
import shlex
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.sparsity_sweep import RESULTS
from benchmarks.streams_targets import COMMANDS, DIGITS
from hls_gen.board import load_board
from tests.egru.conftest import egru

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
SMALL_RECIPE = """
[dense]
steps = 6
streams = 8
chunk = 8
network = { embedding_size = 4, hidden_sizes = [8, 8], threshold_mean = 0.1 }
[prune]
steps = 4
streams = 8
chunk = 8
pruning = { sparsity = 0.85, end_step = 2, interval = 1 }
[qat]
steps = 2
streams = 8
chunk = 8
quantization = { weight_bits = 8, decoder_bits = 8 }
"""


def commands() -> list[list[str]]:
    """Return the `egru` lines of the README, comments dropped."""
    return [shlex.split(line, comments=True)[1:] for line in re.findall(r"^egru .*$", README, re.MULTILINE)]


def test_the_commands_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL_RECIPE)
    lines = commands()
    assert [line[0] for line in lines[:8]] == ["sweep", "report", "data", "generate", "simulate", "generate", "run", "listen"]
    lines = lines[8:]
    flow = ["doctor", "train", "prune", "train", "export", "evaluate", "boards", "estimate"]
    flow += ["generate", "simulate", "generate", "simulate", "run", "build", "run"]
    assert [line[0] for line in lines] == flow
    for line in lines[:-2]:
        small = ["--config", "small.toml"] if line[0] in ("train", "prune") else []
        outcome = egru(*line, *small)
        assert outcome.code == 0, f"egru {' '.join(line)}: {outcome.err}"
    # Place and route takes minutes and has tests of its own, and there is no cable: here the last two lines need only be understood.
    for line in lines[-2:]:
        outcome = egru(line[0], "no_such_folder", *line[2:])
        assert outcome.code == 2
        assert "no_such_folder" in outcome.err


def test_the_commands_of_the_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sweep, report = commands()[:2]
    # It takes an hour: here it need only be planned. What it gave is committed.
    outcome = egru(*sweep[:-1], str(tmp_path / "sweep"), "--dry-run", "--json")
    assert (outcome.code, len(json.loads(outcome.out))) == (0, 49)
    outcome = egru(report[0], str(RESULTS), "--out", str(tmp_path / "report.html"))
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


@pytest.fixture
def stream_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The README's lines on feature streams, in a folder that has the examples, and a second of noise as CLIP.wav."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with wave.open(str(tmp_path / "CLIP.wav"), "wb") as clip:
        clip.setparams((1, 2, 16_000, 0, "NONE", "NONE"))
        clip.writeframes(np.random.default_rng(0).integers(-3000, 3000, 16_000).astype("<i2").tobytes())
    return commands()[2:8]


def test_the_commands_of_feature_streams_without_the_data(stream_commands: list[list[str]]) -> None:
    imported, generate, simulate, small, run, listen = stream_commands
    # There is no data set: this line need only be understood.
    outcome = egru(*imported)
    assert outcome.code == 2
    assert "FILE" in outcome.err
    assert (egru(*generate).code, egru(*small).code, egru(*listen).code) == (0, 0, 0)
    # Without it input events are random.
    found = egru(*without(simulate, "--data", "--sequences"), "--steps", 20, "--json").json()
    assert (found["steps"], found["mismatches"], found["lanes"]) == (20, 0, 5)
    found = egru(*without(run, "--data", "--sequences"), "--frames", 3, "--json").json()
    assert (found["frames"], found["mismatches"]) == (3, 0)
    assert found["compared"] >= 3


def test_the_commands_of_feature_streams(stream_commands: list[list[str]]) -> None:
    name = "spoken_arabic_digits/sad_mfcc13_q11.npz"
    path = Path(os.environ.get("EGRU_DATA", "")) / name
    if "EGRU_DATA" not in os.environ or not path.is_file():
        pytest.skip(f"EGRU_DATA does not name a folder with {name} in it")
    imported, *lines = stream_commands
    for line in ([str(path) if part == "FILE" else part for part in imported], *lines):
        outcome = egru(*line)
        assert outcome.code == 0, f"egru {' '.join(line)}: {outcome.err}"


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_named_files_exist() -> None:
    for path in re.findall(r"`((?:tests|docs|sim|boards)/[\w/.]+\.\w+)`", README):
        assert (ROOT / path).is_file(), path


def test_the_table_is_what_the_demo_measured() -> None:
    demo = json.loads((ROOT / "benchmarks" / "results" / "demo.json").read_text())
    for row in measured_rows(demo):
        assert row in README


def test_the_datapath_table_is_what_the_benchmark_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "datapath.json").read_text())
    for row in datapath_rows(results):
        assert row in README


def test_the_table_of_boards_is_what_the_benchmark_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "boards.json").read_text())
    assert len(results["boards"]) >= 4
    for row in board_rows(results):
        assert row in README


def test_the_table_of_feature_streams_is_what_was_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "streams.json").read_text())
    assert "\n".join(streams_rows(results)) in README


def test_the_small_board_of_feature_streams_is_what_was_measured() -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "streams.json").read_text())
    assert small_board(results) in README


def test_the_example_is_what_was_recorded() -> None:
    model = json.loads((ROOT / "examples" / "pydoc_topics" / "figures.json").read_text())["model"]
    assert model["quality"]["quantised"] < model["quality"]["baseline"]
    assert f"{model['quality']['quantised']:.3f} bits per character with {100 * model['weight_density']:.0f} % of its weights" in README


def board_rows(results: dict[str, Any]) -> list[str]:
    """Return the rows of the README's table of boards for the result file of benchmarks.boards."""
    rows = []
    for build in results["boards"]:
        used = [f"{build[name]:,} of {build['budget'][name]:,}" for name in ("lut", "bram", "dsp")]
        clock = f"{build['fmax_mhz']:.1f} MHz ({len(build['fmax_mhz_per_seed'])}; {build['target_mhz']:g} MHz)"
        neurons, step = ", ".join(map(str, build["neurons"])), build["cycles_per_step"] / min(build["fmax_mhz"], build["target_mhz"])
        rows.append(f"| {build['title']} | {neurons} | {build['lanes']} | {' | '.join(used)} | {clock} | {step:,.1f} µs |")
    return rows


def stream_run(results: dict[str, Any], dataset: str, cell: str, density: float, bits: int) -> dict[str, Any]:
    """Return the one run of a network."""
    wanted = {"dataset": dataset, "cell": cell, "weight_density": density, "weight_bits": bits}
    (run,) = [run for run in results["runs"] if wanted.items() <= run.items()]
    return dict(run)


def on_board(run: dict[str, Any], board: str) -> dict[str, Any]:
    """Return a run's figures on a board, with the board's title without its part."""
    (built,) = [built for built in run["hardware"] if built["board"] == board]
    return {**built, "title": load_board(board).title.split(" (")[0]}


def streams_rows(results: dict[str, Any]) -> list[str]:
    """Return the rows of the README's table of feature streams for the result file of benchmarks.streams."""
    columns = [streams_column(results, DIGITS, "tang_nano_20k"), streams_column(results, COMMANDS, "ulx3s_85f")]
    return [f"| {what} | {' | '.join(column[what] for column in columns)} |" for what in columns[0]]


def streams_column(results: dict[str, Any], dataset: str, board: str) -> dict[str, str]:
    """Return the figures of one data set."""
    runs = [run for run in results["runs"] if run["dataset"] == dataset]
    dense, sparse = stream_run(results, dataset, "egru", 1.0, 32), stream_run(results, dataset, "egru", 0.1, 8)
    gru = stream_run(results, dataset, "gru", 1.0, 32)
    assert dense["weights"] == gru["weights"] == sparse["macs_dense"]
    assert {tuple(run["seeds"]) for run in (dense, sparse, gru)} == {(1, 2, 3)}
    built = on_board(sparse, board)
    deltas = [run for run in runs if (run["cell"], run["weight_density"], run["weight_bits"]) == ("egru-delta", 0.1, 8)]
    return {
        "neurons per layer; weights": f"{', '.join(map(str, dense['hidden_sizes']))}; {dense['weights']:,}",
        "test accuracy, dense, float": percent(dense),
        "10 % of the weights, in 8 bits": percent(sparse),
        "the same with send-on-delta inputs (input events per channel and frame)": "".join(
            f"{percent(delta)} ({delta['input_event_density']:.3f})" for delta in deltas
        )
        or "-",
        "a GRU of as many weights, float": percent(gru),
        "a linear model of segment means": percent({"accuracy_mean": dense["linear_baseline"]}),
        "MACs per frame, dense / 10 % of the weights, with events": f"{sparse['macs_dense']:,.0f} / {sparse['macs_per_frame']:,.0f}",
        "board; lanes": f"{built['title']}; {built['lanes']}",
        "RTL = reference": f"{built['frames_compared']:,} frames, {built['mismatches']} mismatches",
        "clock cycles per frame": f"{built['cycles_per_frame']:,.0f}",
        "LUT, block RAM": f"{built['luts']:,}, {built['block_rams']}",
        f"clock after place and route, median of {built['placer_seeds']} placer seeds (board)": (
            f"{built['fmax_mhz']:.1f} MHz ({built['target_mhz']:g} MHz)"
        ),
        "a frame at the board's clock; times real time": f"{built['latency_us']:.1f} µs; {built['real_time_factor']:,.0f}",
    }


def percent(run: dict[str, Any]) -> str:
    return f"{100 * run['accuracy_mean']:.2f} %"


def small_board(results: dict[str, Any]) -> str:
    """Return what the README says of the smallest board."""
    built, budget = on_board(stream_run(results, DIGITS, "egru", 0.1, 8), "icebreaker"), load_board("icebreaker").budget
    assert built["mismatches"] == 0
    return (
        f"The same network of the digits fits an {built['title']} with its weights in SPRAM: "
        f"{built['luts']:,} of {budget.lut:,} logic cells, "
        f"{built['block_rams']} of {budget.bram} block RAMs, {built['fmax_mhz']:.1f} MHz,\n"
        f"{built['latency_us']:.1f} µs a frame at {built['target_mhz']:g} MHz, {built['real_time_factor']:,.0f} times real time."
    )


def without(line: list[str], *options: str) -> list[str]:
    """Return a command without these options and their values."""
    dropped = {place + later for option in options for place in [line.index(option)] for later in (0, 1)}
    return [part for place, part in enumerate(line) if place not in dropped]


def datapath_rows(results: dict[str, Any]) -> list[str]:
    """Return the rows of the README's second table for the result file of benchmarks.datapath."""
    case = {found["name"]: found for found in results["cases"]}
    occupancy = {name: f"{found['occupancy']:.3f}" for name, found in case.items()}
    law = [found["law_ratio"] for name, found in case.items() if name.startswith("law-")]
    wrong = max(abs(found["predicted_cycles_per_step"] / found["cycles_per_step"] - 1) for found in case.values())
    rows = [
        f"| share of lane-cycles with a useful MAC: 1024 units, 16 lanes | {occupancy['occupancy-1024-16']} |",
        f"| 1024 units, 64 lanes | {occupancy['occupancy-1024-64']} |",
        f"| 256 units, 16 lanes | {occupancy['occupancy-256-16']} |",
        "| two dense layers of 16 units behind 8 dense inputs, half of the units firing: 4 + 4 lanes / 8 shared lanes "
        f"| {occupancy['two-layers-16']} / {occupancy['two-layers-16-shared']} |",
        f"| cycles over (dense cycles times both densities), {len(law)} points down to .05 times .05 | {min(law):.3f} to {max(law):.3f} |",
        f"| cycle model against RTL, {len(case)} cases | within {100 * wrong:.2f} % |",
    ]
    for build in results["place_and_route"]:
        seeds = f"median of {build['seeds']} placer seeds" if build["seeds"] > 1 else "one placer seed"
        clock, tables = f"{build['fmax_mhz']:.1f} MHz", f"{build['lut4_per_lane']:.0f}"
        rows.append(f"| ECP5-85F, {build['lanes']} lanes: clock ({seeds}), LUT4 of a lane | {clock}, {tables} |")
    return rows


def measured_rows(demo: dict[str, Any]) -> list[str]:
    """Return the rows of the README's table for a demo's summary.json."""
    model, cycles, build = demo["model"], demo["cycles"], demo["build"]
    quality, proofs, macs = model["quality"], demo["equivalence"], model["macs_with_decoder"]
    fake, rtl = proofs["fake_quant_vs_reference"], proofs["rtl_vs_reference"]
    dense = cycles["dense_equivalent_per_step"]
    return [
        f"| neurons per layer | {', '.join(map(str, model['layers']))} |",
        f"| bits per character, float | {quality['float']:.3f} |",
        f"| bits per character, pruned and quantised | {quality['quantised']:.3f} |",
        f"| bits per character, 6-gram baseline on the same split | {quality['baseline']:.3f} |",
        f"| weight sparsity | {100 * (1 - model['weight_density']):.1f} % |",
        f"| event density | {model['event_density']:.3f} |",
        "| MACs per step, dense / weight-sparse / with events | "
        f"{macs['dense']:,.0f} / {macs['weight_sparse']:,.0f} / {macs['event_sparse']:,.0f} |",
        f"| fake-quantised network = reference | {fake['steps']:,} steps, {fake['events']:,} events, {fake['mismatches']} mismatches |",
        f"| RTL = reference | {rtl['steps']:,} steps, {rtl['events']:,} events, {rtl['values']:,} values, {rtl['mismatches']} mismatches |",
        f"| clock cycles per step, {cycles['lanes']} lanes | {cycles['mean_per_step']:,.0f} |",
        f"| the same, a dense engine with every lane always busy | {dense:,.0f} ({dense / cycles['mean_per_step']:.1f} times as many) |",
        f"| share of lane-cycles that did a useful MAC | {100 * cycles['occupancy']:.0f} % |",
        f"| ULX3S-85F: LUT4, FF, block RAM, DSP | {build['lut']:,}, {build['ff']:,}, {build['bram']}, {build['dsp']} |",
        f"| clock after place and route, one placer seed | {build['fmax_mhz']:.1f} MHz (target {build['target_mhz']:.0f} MHz) |",
        f"| wall-clock time | {demo['seconds']['total']:.0f} s |",
    ]
