"""Coverage: what falls short is said, the committed results are complete, and the page is made of them."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import coverage
from benchmarks.coverage import PAGE, RESULT_FILE, WAIVERS, Results, Waiver, evaluate, launchers, page
from sim.coverage_data import BRANCH, COVER, LINE, TEMPLATES, TOGGLE, Point, cover_points
from sim.runner import LIBRARY

ROOT = Path(__file__).resolve().parents[2]
HIT = {Point("m", LINE, f"{number}: a"): 1 for number in range(98)} | {Point("m", TOGGLE, "a:0->1"): 1}


def committed() -> Results:
    return Results.model_validate_json((ROOT / RESULT_FILE).read_text())


def test_all_hit_is_no_problem() -> None:
    results = evaluate(HIT | {Point("m", COVER, "full"): 2}, (), ["test_m"])
    assert results.problems() == []
    assert results.modules[0].cases == {"full": 2}


@pytest.mark.parametrize(
    ("missed", "said"),
    [
        (Point("m", COVER, "full"), "m: full never happened"),
        (Point("m", LINE, "99: b"), "m: line 99: b was not reached"),
        (Point("m", BRANCH, "99: b [5 else]"), "m: branch 99: b [5 else] was not reached"),
    ],
)
def test_what_is_missing_is_a_problem(missed: Point, said: str) -> None:
    assert evaluate(HIT | {missed: 0}, (), []).problems() == [said]


def test_a_reason_is_enough_above_the_target_only() -> None:
    waiver = Waiver("m", LINE, "99:", "never so")
    missed = {Point("m", LINE, f"99: {name}"): 0 for name in "bcd"}
    one, three = (evaluate(HIT | dict(list(missed.items())[:count]), (waiver,), []) for count in (1, 3))
    assert one.problems() == []
    assert three.problems() == ["line coverage is 97.0 %, less than 98.0"]
    assert evaluate(HIT | missed, (Waiver("m", LINE, "99:", "cannot be", never=True),), []).problems() == []
    assert evaluate(HIT | missed, (Waiver("other", LINE, "99:", "never so"),), []).missed[0].reason == ""


def test_what_no_launcher_hits_is_not_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missed = Point("m", LINE, "99: b")
    monkeypatch.setattr(coverage, "_measure_one", lambda launcher, folder: Counter({missed: 0, Point("m", LINE, "1: a"): 2}))
    hits = coverage.measure(launchers()[:2], tmp_path, 1)
    assert hits[Point("m", LINE, "1: a")] == 4
    assert missed in hits
    assert set(cover_points()) <= set(hits)


def test_bits_of_a_vector_are_joined() -> None:
    missed = {Point("m", TOGGLE, f"a[{bit}]:{way}"): 0 for bit in (3, 4, 5, 7) for way in ("0->1", "1->0")}
    missed |= {Point("m", TOGGLE, "b[1][2]:0->1"): 0, Point("m", TOGGLE, "c:1->0"): 0}
    found = evaluate(HIT | missed, (), []).missed
    assert [(item.place, item.points) for item in found] == [("a[5:3]", 6), ("a[7]", 2), ("b[1][2]", 1), ("c", 1)]


def test_the_committed_results_are_complete_and_good() -> None:
    results = committed()
    assert results.launchers == [path.stem for path in launchers()]
    assert results.problems() == []
    found = {(module.module, case) for module in results.modules for case in module.cases}
    assert found == {(point.module, point.place) for point in cover_points()}
    templates = {name for _, name in TEMPLATES}
    assert {module.module for module in results.modules} == templates | {path.stem for path in LIBRARY.glob("*.sv")}


def test_every_reason_is_needed() -> None:
    assert {waiver.reason for waiver in WAIVERS} == {missed.reason for missed in committed().missed}


def test_the_page_is_made_of_the_results() -> None:
    assert (ROOT / PAGE).read_text() == page(committed())
