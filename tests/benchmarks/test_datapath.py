"""The datapath benchmark on small models: what it computes, keeps and refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from benchmarks import datapath
from benchmarks.datapath import DENSE, Case, CaseResult, Results, law_name, measure, synthetic_cases, with_law_ratios
from benchmarks.datapath_model import ControlledSpec
from benchmarks.datapath_report import plot, table
from benchmarks.results_file import read_results, write_results
from sw_model.random_model import RandomModelSpec, random_model
from sw_model.reference import EventDrivenStream

STEPS = 20


def small(name: str, weights: float, events: float) -> Case:
    spec = ControlledSpec(units=32, weight_density=weights, event_density=events, steps=STEPS)
    return Case(name, spec, (4, 1), (0,), tuple(range(STEPS)))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def measured(work: Path) -> list[CaseResult]:
    return with_law_ratios([measure(small(DENSE, 1.0, 1.0), work), measure(small(law_name(0.5, 0.5), 0.5, 0.5), work)])


def test_figures_are_those_of_the_steps_after_the_warm_up(measured: list[CaseResult]) -> None:
    case, result = small(law_name(0.5, 0.5), 0.5, 0.5), measured[1]
    stream = EventDrivenStream(case.build())
    steps = [stream.step(token) for token in range(STEPS)]
    before = EventDrivenStream(case.build())
    for token in range(case.warm_up):
        before.step(token)
    macs = stream.counts.macs[0] - before.counts.macs[0]
    assert result.steps == STEPS - case.warm_up
    assert result.macs_per_step * result.steps == pytest.approx(macs)
    assert result.occupancy == pytest.approx(macs / (4 * result.cycles_per_step * result.steps))
    assert result.event_density == pytest.approx(np.mean([step.fired[0].mean() for step in steps[case.warm_up - 1 : -1]]))
    assert result.mismatches == 0
    assert result.values > 2 * 32 * STEPS


def test_the_cycle_model_predicts_the_measured_cycles(measured: list[CaseResult]) -> None:
    for result in measured:
        assert result.predicted_cycles_per_step == result.cycles_per_step


def test_lane_cycles_add_up_and_the_decoder_is_not_among_the_measured(measured: list[CaseResult]) -> None:
    for result in measured:
        layer, decoder = result.blocks
        assert (layer.measured, decoder.measured) == (True, False)
        slots = sum(layer.per_step[name] for name in ("macs", "fetch_slots", "idle_slots"))
        assert slots == pytest.approx(layer.lanes * result.cycles_per_step)
        assert result.lanes == layer.lanes


def test_law_ratio_compares_with_the_dense_case(measured: list[CaseResult]) -> None:
    dense, sparse = measured
    assert dense.law_ratio == pytest.approx(1.0)
    scale = sparse.weight_density * sparse.event_density / (dense.weight_density * dense.event_density)
    assert sparse.law_ratio == pytest.approx(sparse.cycles_per_step / (dense.cycles_per_step * scale))
    other = sparse.model_copy(update={"lanes": 8})
    assert with_law_ratios([dense, other])[1].law_ratio is None
    assert with_law_ratios([sparse])[0].law_ratio is None


@pytest.fixture
def no_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("simulated again")

    monkeypatch.setattr(datapath, "check_equivalence", fail)


@pytest.mark.usefixtures("no_simulator")
def test_a_finished_simulation_is_not_repeated(measured: list[CaseResult], work: Path) -> None:
    assert measure(small(DENSE, 1.0, 1.0), work) == measured[0].model_copy(update={"law_ratio": None})
    with pytest.raises(AssertionError, match="simulated again"):
        measure(small("other", 0.5, 0.4), work)


def command(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(datapath.run)
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_an_unknown_case_is_refused_by_name(tmp_path: Path) -> None:
    result = command("--only", "law-d3", "--out", tmp_path / "out.json", "--work", tmp_path)
    assert result.exit_code == 2
    assert "law-d3" in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.usefixtures("measured")
def test_results_are_merged_by_name_and_an_absent_model_is_skipped_with_a_reason(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datapath, "synthetic_cases", lambda: [small(DENSE, 1.0, 1.0), small(law_name(0.5, 0.5), 0.5, 0.5)])
    out = tmp_path / "out.json"
    assert command("--only", "law-*", "--out", out, "--work", work).exit_code == 0
    first = json.loads(out.read_text())
    assert [case["law_ratio"] for case in first["cases"]] == [None]
    out.write_text(json.dumps(first | {"place_and_route": [{"lanes": 16}]}))
    result = command("--only", DENSE, "--only", "trained", "--out", out, "--work", work, "--json")
    written = json.loads(out.read_text())
    assert json.loads(result.stdout) == written
    assert [case["name"] for case in written["cases"]] == [DENSE, law_name(0.5, 0.5)]
    assert written["cases"][1]["law_ratio"] is not None
    assert "--model" in written["skipped"]["trained"]
    assert written["place_and_route"] == [{"lanes": 16}]
    out.write_text(json.dumps(written | {"generator": "another"}))
    assert command("--only", DENSE, "--out", out, "--work", work).exit_code == 0
    assert [case["name"] for case in json.loads(out.read_text())["cases"]] == [DENSE]


def test_a_trained_model_is_measured_with_its_decoder(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datapath, "TRAINED_STEPS", 10)
    random_model(RandomModelSpec(hidden=(12, 8), tokens=6, classes=3, density=0.5)).save(tmp_path / "model")
    out = tmp_path / "out.json"
    result = command("--only", "trained", "--model", tmp_path / "model", "--lanes", "4", "--out", out, "--work", work)
    assert result.exit_code == 0
    found = read_results(out, Results)
    assert found is not None
    (case,) = found.cases
    assert (case.layers, case.units, case.lanes, case.steps) == ([12, 8], 20, 4 + 4 + 3, 10)
    assert all(block.measured for block in case.blocks)


def test_the_report_is_made_from_the_result_file_alone(measured: list[CaseResult], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the plot is optional: pip install 'egru-fpga[bench]'")
    results = Results(generator="x", cases=measured, skipped={"trained": "no model"})
    out = tmp_path / "out.json"
    write_results(results, out)
    assert command("--out", out, "--report", tmp_path).exit_code == 0
    page = (tmp_path / "datapath_results.md").read_text()
    assert page == table(results, "datapath_results.svg")
    assert f"{measured[1].law_ratio:.3f}" in page
    assert "Not measured: trained (no model)" in page
    assert (tmp_path / "datapath_results.svg").read_text() == plot(results)


def test_a_missing_result_file_is_refused(tmp_path: Path) -> None:
    result = command("--out", tmp_path / "none.json", "--report", tmp_path)
    assert result.exit_code == 2
    assert "none.json" in result.stderr


def test_case_names_differ_and_cover_the_grid() -> None:
    names = [case.name for case in synthetic_cases()]
    assert len(set(names)) == len(names)
    assert {law_name(1.0, 0.5), law_name(0.05, 0.05), DENSE, "occupancy-1024-64", "two-layers-16"} <= set(names)
