"""The comparison with hls4ml: what is committed, what is counted, and that both tools run. hls4ml compiles nothing here."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from benchmarks import hls4ml_comparison
from benchmarks.hls4ml_comparison import (
    BLOCKS,
    EGRU,
    HLS4ML,
    LANES,
    NOT_FOR_GRU,
    PAGE,
    RESULT_FILE,
    SPARSITY,
    STEPS,
    STRATEGIES,
    SYMBOLS,
    Results,
    code_lines,
    draw_egru,
    draw_gru,
    draw_tokens,
    gru_matrices,
    gru_runs,
    measure_distance,
    run,
    run_egru,
    run_hls4ml,
    without_rounding,
)
from benchmarks.hls4ml_report import page
from benchmarks.results_file import read_results
from sim.hls_headers import find_headers
from sw_model.errors import UserError
from sw_model.event_gru import EventNetwork

ROOT = Path(hls4ml_comparison.__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def committed() -> Results:
    found = read_results(ROOT / RESULT_FILE, Results)
    assert found is not None
    return found


def test_the_committed_results_are_of_all_runs_and_of_these_very_blocks(committed: Results) -> None:
    asked = [(sparsity, precision, strategy, simulated) for sparsity, precision, strategy, simulated in gru_runs()]
    assert [(r.sparsity, r.precision, r.strategy, r.simulation is not None) for r in committed.hls4ml] == asked
    assert [run.sparsity for run in committed.egru] == [0.0, SPARSITY]
    assert committed.lines == {tool: {name: code_lines(block) for name, block in blocks.items()} for tool, blocks in BLOCKS.items()}
    assert {"hls4ml", "torch", "brevitas", "compiler"} == set(committed.versions)


def test_this_project_is_exact_and_its_entries_are_the_weights(committed: Results) -> None:
    for found in committed.egru:
        assert found.mismatches == 0
        assert found.values == committed.steps * (32 + 32 + 16)
        assert found.entries == found.weights == found.macs_per_step["weight_sparse"]
        assert 0.05 < found.event_density < 0.95
    dense, pruned = committed.egru
    assert pruned.macs_per_step["event_sparse"] < 0.2 * dense.macs_per_step["event_sparse"]


def test_the_page_is_made_of_the_result_file_alone(committed: Results, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(run)
    done = CliRunner().invoke(app, ["--report", str(tmp_path), "--out", str(ROOT / RESULT_FILE)])
    assert done.exit_code == 0
    assert (tmp_path / PAGE).read_text() == page(committed) == (ROOT / "docs" / PAGE).read_text()
    done = CliRunner().invoke(app, ["--report", str(tmp_path), "--out", str(tmp_path / "none.json")])
    assert (done.exit_code, "none.json does not exist" in " ".join(done.stderr.split())) == (2, True)


def counted(first: int) -> int:
    """Not counted.

    Neither is this.
    """
    # Nor this.

    class Inner:
        """Nor this."""

        value = (
            first,  # this is
            2,
        )

    text = """counted
    # counted, for it is text
    """
    return Inner.value[1] + len(text)


def test_lines_of_code_are_counted_without_docstrings_comments_and_blanks() -> None:
    assert code_lines(counted) == 1 + 4 + 3 + 1


def test_distance_counts_on_two_grids() -> None:
    expected = np.array([[0.5, 0.25], [1.0, 2.0]])
    found = expected + np.array([[0.0, 2.0**-10], [2.0**-7, -1.5]])
    distance = measure_distance(found, expected, 10)
    assert (distance.logits, distance.differing, distance.differing_coarse) == (4, 3, 2)
    assert (distance.max_error, distance.largest) == (1.5, 2.0)
    assert (distance.decisions, distance.differing_decisions) == (2, 1)


def test_the_gru_lies_on_the_grid_and_is_pruned() -> None:
    for sparsity in (0.0, SPARSITY):
        matrices = [matrix.detach() for matrix in gru_matrices(draw_gru(sparsity))]
        assert [tuple(matrix.shape) for matrix in matrices] == [(96, SYMBOLS), (96, 32), (16, 32)]
        for matrix in matrices:
            assert torch.equal(matrix * 128, torch.round(matrix * 128))
            assert float(matrix.abs().max()) < 1.0
    zeros = sum(int((matrix == 0).sum()) for matrix in matrices)
    assert zeros == round(SPARSITY * 5120)


def test_without_rounding_only_the_parameters_are_rounded() -> None:
    network = draw_egru(0.0)
    plain = without_rounding(network)
    assert isinstance(plain, EventNetwork)
    scale = 2.0 ** network.arithmetic.weights["decoder"].frac  # type: ignore[index, operator]
    assert torch.equal(plain.decoder_weight * scale, torch.round(plain.decoder_weight * scale))
    tokens = torch.as_tensor(draw_tokens()[:4].T.copy())
    with torch.no_grad():
        logits = plain.double()(tokens).logits
    assert not torch.equal(logits * 2.0**20, torch.round(logits * 2.0**20))


def test_this_project_runs_and_is_exact(tmp_path: Path) -> None:
    try:
        find_headers()
    except UserError as error:
        pytest.skip(str(error))
    found = run_egru(SPARSITY, tmp_path / "work", draw_tokens()[:20])
    assert (found.mismatches, found.values) == (0, 20 * STEPS * (32 + 32 + 16))
    assert (found.entries, found.multipliers) == (found.weights, sum(LANES))


@pytest.mark.skipif(importlib.util.find_spec("hls4ml") is None, reason="hls4ml is not installed: pip install 'egru-fpga[test]'")
@pytest.mark.parametrize(
    ("strategy", "emitted", "products", "multipliers"),
    [
        ("Latency", "latency", (5120, 5120), (5089, 512)),
        ("Resource", "resource", (5120, 5120), (640, 640)),
        ("Resource_unrolled", "resource_unrolled", (5089, 512), (640, 363)),
        *((strategy, "latency", (5120, 5120), (5089, 512)) for strategy in NOT_FOR_GRU),
    ],
)
def test_what_hls4ml_writes_is_read(
    strategy: str, emitted: str, products: tuple[int, int], multipliers: tuple[int, int], tmp_path: Path
) -> None:
    assert strategy in STRATEGIES
    for index, sparsity in enumerate((0.0, SPARSITY)):
        found = run_hls4ml(sparsity, "same bits", strategy, tmp_path / "out", draw_tokens(), simulated=False)
        assert (found.emitted, found.products) == (emitted, products[index])
        assert found.multipliers == multipliers[index]
        assert found.simulation is None


def test_without_hls4ml_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(name: str) -> Any:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(UserError, match="package hls4ml is not installed; pip install"):
        hls4ml_comparison.measure(tmp_path)


def test_both_tools_are_counted_for_the_same_purposes() -> None:
    assert set(BLOCKS[EGRU]) < set(BLOCKS[HLS4ML])
