"""`egru estimate` on a tiny model: figures that the simulation confirms, and refusals."""

from pathlib import Path

import pytest

from hls_gen import board
from hls_gen.board import Budget, load_board
from tests.egru.conftest import Tiny, egru


def test_cycles_are_those_that_the_simulation_measures(tiny: Tiny, tmp_path: Path) -> None:
    shown = ("--config", tiny.config, "--steps", 40, "--sequences", 2, "--data", tiny.text, "--json")
    estimated = egru("estimate", tiny.model, *shown).json()
    simulated = egru("simulate", tiny.rtl, *shown, "--out", tmp_path / "out").json()
    assert estimated["cycles"] == simulated["cycles"]
    assert estimated["cycles_per_step"] == simulated["cycles_per_step"]
    assert estimated["stimulus"] == simulated["stimulus"] == "held-out characters of text.txt"
    assert [block["lanes"] for block in estimated["blocks"]] == [2, 2, 1]
    assert sum(share["cycles"] for share in estimated["critical_path"]) == estimated["cycles"]
    assert estimated["limit"] == estimated["critical_path"][0]
    assert (estimated["clock_mhz"], estimated["us_per_step"], estimated["board"]) == (None, None, None)
    assert estimated["dsp"] >= 2 + 2 + 1


def test_time_is_cycles_at_the_clock_of_the_board_or_the_one_asked_for(tiny: Tiny) -> None:
    command = ("estimate", tiny.model, "--lanes", "2,2,1", "--data", tiny.text, "--steps", 10, "--board", "ulx3s_85f", "--json")
    at_board, at_80 = egru(*command).json(), egru(*command, "--clock-mhz", 80).json()
    assert at_board["us_per_step"] == at_board["cycles_per_step"] / 50
    assert at_80["us_per_step"] == at_80["cycles_per_step"] / 80
    assert at_board["board"] == {"name": "ulx3s_85f", "lut": 83_640, "ff": 83_640, "bram": 208, "dsp": 156, "spram": 0}


def test_figures_and_limits_are_shown_as_tables(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    done = egru("estimate", tiny.model, "--lanes", 2, "--steps", 10, "--board", "ulx3s_85f")
    assert done.code == 0
    assert "10 steps of random tokens" in " ".join(done.out.split())
    assert "time per step at 50 MHz" in done.out
    assert " of 208" in done.out
    assert "limited by " in done.out
    assert "tokens are random unless that text is given with --data" in done.err


def test_a_core_that_the_board_cannot_hold_is_one_line(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    small = load_board("ulx3s_85f").model_copy(update={"budget": Budget(lut=83_640, ff=83_640, bram=3, dsp=156)})
    monkeypatch.setattr(board, "load_board", lambda name: small)
    done = egru("estimate", tiny.model, "--lanes", 2, "--steps", 5, "--data", tiny.text, "--board", "small")
    assert (done.code, done.out) == (2, "")
    assert "error: the core needs " in done.err
    assert " but board ulx3s_85f has 3; prune more" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--lanes", "2,x"), "--lanes 2,x is neither a number"),
        (("--lanes", 7), "lanes=7 of layer0 is outside 1 to 6"),
        (("--queue-depth", 0), "hardware.queue_depth' = 0"),
        (("--clock-mhz", 0), "--clock-mhz 0 is not positive"),
        (("--board", "ulx4s"), "board 'ulx4s' is not known"),
        (("--steps", 2, "--sequences", 3), "sequences=3 exceeds steps=2"),
    ],
)
def test_what_cannot_work_is_refused_by_name(tiny: Tiny, options: tuple[object, ...], words: str) -> None:
    done = egru("estimate", tiny.model, *options)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.count("\n") == 1


def test_generate_refuses_a_core_that_the_board_cannot_hold_and_writes_nothing(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = ("generate", tiny.model, "--lanes", 2, "--board", "ulx3s_85f", "--out", tmp_path / "out")
    small = load_board("ulx3s_85f").model_copy(update={"budget": Budget(lut=83_640, ff=83_640, bram=3, dsp=156)})
    with monkeypatch.context() as patch:
        patch.setattr(board, "load_board", lambda name: small)
        done = egru(*fits)
    assert (done.code, done.out) == (2, "")
    assert "error: the core needs " in done.err
    assert not (tmp_path / "out").exists()
    assert egru(*fits).code == 0
    assert (tmp_path / "out" / "hardware.json").is_file()
