from pathlib import Path

import pytest
import typer

from benchmarks import fuzzing
from benchmarks.fuzzing import Portion, Results, main, wanted
from benchmarks.results_file import read_results
from egru.fuzzing import FuzzSettings
from hls_gen.backend import Backend
from sim.fuzz_case import Counts


def portion(settings: FuzzSettings, mismatches: int = 0) -> Portion:
    compared = {backend.value: 2 for backend in settings.backends}
    counts = Counts(configurations=2, steps=3, events=5, stalls=7, saturations=1, compared=compared, builds=1)
    return Portion(seed=settings.seed, backends=settings.backends, counts=counts, mismatches=mismatches, seconds=1.0)


def exit_code(out: Path) -> int:
    try:
        main(jobs=1, out=out, work=out.parent / "work", as_json=False)
    except typer.Exit as end:
        return end.exit_code
    return 0


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the portions that were run, which is made up; two of them differ in hardware."""
    seeds: list[int] = []

    def fuzz(settings: FuzzSettings, work: Path) -> Portion:
        seeds.append(settings.seed)
        return portion(settings, mismatches=int(settings.seed == 3))

    monkeypatch.setattr(fuzzing, "fuzz", fuzz)
    monkeypatch.setattr(fuzzing, "PORTIONS", (((Backend.RTL, Backend.HLS), 1, 4), ((Backend.HLS,), 1, 4)))
    return seeds


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path, ran: list[int]) -> None:
    out = tmp_path / "fuzz.json"
    assert exit_code(out) == 0
    kept = read_results(out, Results)
    assert kept is not None
    assert (ran, kept.total().configurations, kept.total().compared) == ([1, 2], 4, {"rtl": 2, "hls": 4})
    out.write_text(kept.model_copy(update={"portions": kept.portions[:1]}).model_dump_json())
    assert exit_code(out) == 0
    assert ran == [1, 2, 2]


def test_portions_of_other_sources_are_dropped(tmp_path: Path, ran: list[int]) -> None:
    out = tmp_path / "fuzz.json"
    out.write_text(Results(sources="0", portions=[portion(FuzzSettings(1.0, seed=1))]).model_dump_json())
    assert exit_code(out) == 0
    assert ran == [1, 2]


def test_a_mismatch_gives_the_exit_code(tmp_path: Path, ran: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzzing, "PORTIONS", (((Backend.RTL,), 3, 4),))
    assert exit_code(tmp_path / "fuzz.json") == 1
    assert ran == [1, 2, 3]


def test_portions_have_seeds_of_their_own() -> None:
    seeds = [settings.seed for settings in wanted()]
    assert len(set(seeds)) == len(seeds)
    assert sum(settings.configurations or 0 for settings in wanted() if Backend.RTL in settings.backends) >= 1000


def test_the_committed_run_found_nothing_and_saw_events() -> None:
    kept = read_results(fuzzing.RESULT_FILE, Results)
    assert kept is not None
    total = kept.total()
    assert (kept.mismatches, min(total.events, total.stalls, total.saturations) > 0) == (0, True)
