"""The example sweep: what is committed belongs together, and a sweep that is not whole is not taken."""

from pathlib import Path

import pytest

from benchmarks.sparsity_sweep import FIGURES, PAGE, REPORT, RESULTS, keep, measured, page
from egru.sweep.table import SWEEP_FILE
from egru.sweep_report.page import render_page
from egru.sweep_report.reading import read_sweep
from egru.sweep_report.report import collect
from egru.sweep_report.svg import write_svgs
from sw_model.errors import UserError
from sw_model.output_folder import write_whole

ROOT = Path(__file__).parents[2]


def test_committed_pages_are_made_of_the_committed_results() -> None:
    sweep = read_sweep(ROOT / RESULTS)
    assert (ROOT / "docs" / PAGE).read_text() == page(sweep.results.rows)
    assert (ROOT / "docs" / REPORT).read_text() == render_page(collect([sweep]))


def test_committed_figures_are_made_of_the_committed_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the figures are optional: pip install 'egru-fpga[bench]'")
    for name in write_svgs(collect([read_sweep(ROOT / RESULTS)]), tmp_path, force=False):
        assert (tmp_path / name).read_bytes() == (ROOT / "docs" / FIGURES / name).read_bytes(), f"{name} is of other results"


def test_every_point_is_exact_and_saw_events() -> None:
    rows = read_sweep(ROOT / RESULTS).results.rows
    assert {(row.point.sparsity, row.point.board) for row in rows} == {
        (sparsity, board) for sparsity in (0, 0.5, 0.7, 0.8, 0.9, 0.95) for board in ("ulx3s_85f", "tang_nano_20k", "arty_a7_100t")
    }
    for row in rows:
        _, simulation, build = measured(row)
        assert simulation.mismatches == 0
        assert simulation.events > 1000
        assert len(build.clock_mhz_per_seed) == (0 if row.point.board == "arty_a7_100t" else 3)


def test_an_unfinished_sweep_is_not_taken(tmp_path: Path) -> None:
    text = (ROOT / RESULTS / SWEEP_FILE).read_text()
    write_whole(tmp_path / SWEEP_FILE, text.replace('"status": "done"', '"status": "waiting"', 1))
    with pytest.raises(UserError, match="is waiting"):
        keep(tmp_path, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
