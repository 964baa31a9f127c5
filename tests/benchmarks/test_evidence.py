from pathlib import Path

import pytest

from benchmarks import evidence, fuzzing
from benchmarks.evidence import (
    MET,
    MISSED,
    PAGE,
    RESULT_FILE,
    Coverage,
    Evidence,
    Fuzz,
    Loaders,
    Planted,
    Property,
    collect,
    page,
)
from benchmarks.mutants import Score
from benchmarks.results_file import require_results
from sim.proving import Status
from sw_model.errors import UserError

WHOLE = Evidence(
    fuzz=Fuzz(configurations=1000, mismatches=0, compared={"rtl": 1000, "hls": 200}, events=1, stalls=1, saturations=1),
    proofs=[Property(module="egru_fifo", property="occupancy", status=Status.PROVED)],
    mutation=[Score(module="egru_fifo", mutants=40, killed=38, equivalent=0)],
    planted=Planted(faults=2, found=2),
    coverage=Coverage(line=98.0, toggle=95.0, cases=3, seen=3, without_reason=0),
    loaders=Loaders(loaders=1, executions=10, findings=0),
    seconds=1.0,
)


def test_what_is_asked_is_met() -> None:
    assert MISSED not in page(WHOLE)
    assert MET in page(WHOLE)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("fuzz", {"configurations": 999}),
        ("fuzz", {"mismatches": 1}),
        ("fuzz", {"compared": {"rtl": 1000, "hls": 199}}),
        ("planted", {"found": 1}),
        ("coverage", {"line": 97.9}),
        ("coverage", {"toggle": 94.9}),
        ("coverage", {"seen": 2}),
        ("coverage", {"without_reason": 1}),
        ("loaders", {"findings": 1}),
    ],
)
def test_what_falls_short_is_said(part: str, changes: dict[str, object]) -> None:
    short = WHOLE.model_copy(update={part: getattr(WHOLE, part).model_copy(update=changes)})
    assert page(short).count(MISSED) == 1


def test_a_proof_that_fails_and_a_fault_that_is_missed_are_said() -> None:
    failed = Property(module="egru_fifo", property="order", status=Status.FAILED)
    assert page(WHOLE.model_copy(update={"proofs": [*WHOLE.proofs, failed]})).count(MISSED) == 1
    weak = Score(module="egru_lane", mutants=40, killed=36, equivalent=2)
    text = page(WHOLE.model_copy(update={"mutation": [*WHOLE.mutation, weak]}))
    assert (text.count(MISSED), "94.7 %, `egru_lane`" in text) == (1, True)


def test_results_of_other_sources_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "compared_sources", lambda: "0")
    with pytest.raises(UserError, match="is of other RTL, or of another reference; run make fuzz"):
        collect()


def test_the_page_is_made_of_the_results() -> None:
    assert Path(PAGE).read_text() == page(require_results(RESULT_FILE, Evidence))


def test_every_library_module_is_mutated_or_named() -> None:
    found = require_results(RESULT_FILE, Evidence)
    text = page(found)
    assert all(f"`{module}`" in text for module in evidence.unmeasured(found))
