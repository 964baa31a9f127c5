"""Planted faults: a bench is run on each, an equivalent one is shown to be so, and tables, results and page agree."""

from pathlib import Path

import pytest

from benchmarks import mutants
from benchmarks.mutants import PAGE, RESULT_FILE, TARGETS, Results, judge, page
from benchmarks.mutating import Mutated, Target, Trial, describe, equivalent, mutated, run
from benchmarks.planted_faults import FAULTS
from sim.build_cache import cache_folder
from sim.proving import with_fault
from sim.runner import LIBRARY

ROOT = Path(__file__).resolve().parents[2]
STUCK = "-mode const0 -module egru_fifo_faulty -cell $eq$egru_fifo.sv:47$99 -port B -portbit 1 -src egru_fifo.sv:47.39-47.58"
MIXED = "-mode cnot1 -module egru_fifo_faulty -cell u -port Y -portbit 5 -ctrlbit 20 -wire data -wirebit 5 -src a.sv:1.2-1.3"


def committed() -> Results:
    return Results.model_validate_json((ROOT / RESULT_FILE).read_text())


def test_a_bench_runs_on_each_fault_and_verdicts_are_kept(tmp_path: Path) -> None:
    target = Target("egru_reset_sync", "tests/rtl/test_reset_sync.py::test_reset_sync[2]", 3)
    first = run(target, tmp_path, lambda count: None, cache_folder())
    assert set(first.killed) == {1, 2, 3}
    assert any(first.killed.values())
    (verdicts,) = tmp_path.glob("*/*.txt")
    verdicts.write_text("1 survived\n2 killed\n3 kil")  # as a kill leaves it
    again = run(target, tmp_path, lambda count: None, cache_folder())
    assert again.killed == {1: False, 2: True, 3: first.killed[3]}


def test_only_what_changes_nothing_is_equivalent(tmp_path: Path) -> None:
    made = mutated("egru_arbiter", {"Inputs": 2, "Width": 3}, {}, 4, (), cache=tmp_path)
    assert len(made.mutations) == 5
    options = "-module egru_arbiter_faulty -cell u_chosen"
    chosen = (f"-mode const1 {options} -port count_o -portbit 1", f"-mode const1 {options} -port data_o -portbit 1")
    design = Mutated(made.folder, made.module, ("-mode none", *chosen))
    assert [equivalent(design, number) for number in (1, 2)] == [True, False]


def test_a_result_counts_what_is_equivalent_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    target = TARGETS[0]
    trial = Trial(Mutated(Path(), target.module, ("-mode none", STUCK, MIXED, MIXED)), {1: False, 2: False, 3: True})
    monkeypatch.setattr(mutants, "equivalent", lambda design, number: number == 1)
    result = judge(target.module, [(target, trial)])
    assert (result.mutants, result.killed, result.equivalent, result.score) == (3, 1, 1, 0.5)
    assert [survivor.why for survivor in result.survivors] == ["induction", ""]
    text = page(Results(modules=[result], planted=[]))
    assert "| 3 | 1 | 1 | **50.0 %** |" in text
    assert "| `cnot1 u.Y[5] by [20]` | a.sv:1.2-1.3 | **not found** |" in text
    monkeypatch.setitem(mutants.REASONS, (target.module, describe(MIXED)), "Y is 0.")
    assert judge(target.module, [(target, trial)]).score == 1.0


def test_every_module_of_the_library_has_faults() -> None:
    assert {target.module for target in TARGETS} == {path.stem for path in LIBRARY.glob("*.sv")}


@pytest.mark.parametrize("what", FAULTS)
def test_planted_faults_find_their_place_and_their_test(what: str) -> None:
    fault = FAULTS[what]
    with_fault((ROOT / fault.module).read_text(), fault)
    file, _, test = fault.breaks.partition("::")
    assert f"def {test.partition('[')[0]}" in (ROOT / file).read_text()


def test_every_planted_fault_was_found() -> None:
    found = {planted.fault: (planted.file, planted.test, planted.found) for planted in committed().planted}
    assert found == {what: (fault.module, fault.breaks, True) for what, fault in FAULTS.items()}


def test_every_reason_is_for_a_survivor() -> None:
    argued = {(result.module, survivor.fault) for result in committed().modules for survivor in result.survivors}
    assert set(mutants.REASONS) <= argued


def test_the_page_is_made_of_the_results() -> None:
    assert (ROOT / PAGE).read_text() == page(committed())
