"""`--fit` and `egru boards` on a tiny model."""

import tomllib
from pathlib import Path

import pytest

from hls_gen.board import known_boards
from hls_gen.hardware_config import HardwareConfig
from tests.egru.conftest import Tiny, egru

BOARD = "ulx3s_85f"


def test_estimate_fits_shows_why_and_gives_a_table_that_makes_the_same_hardware(tiny: Tiny, tmp_path: Path) -> None:
    shown = ("--board", BOARD, "--data", tiny.text, "--steps", 20, "--json")
    fitted = egru("estimate", tiny.model, "--fit", *shown).json()
    assert fitted["fit"]["board"] == BOARD
    assert fitted["fit"]["reason"].startswith("lanes ")
    assert fitted["fit"]["resources"]["bram"]["needed"] == fitted["bram"] <= fitted["board"]["bram"]
    assert fitted["fit"]["lanes"] == [block["lanes"] for block in fitted["blocks"]]
    (tmp_path / "kept.toml").write_text(fitted["fit"]["toml"])
    again = egru("estimate", tiny.model, "--config", tmp_path / "kept.toml", *shown).json()
    assert again == {name: value for name, value in fitted.items() if name != "fit"}


def test_generate_fits_and_keeps_what_is_given(tiny: Tiny, tmp_path: Path) -> None:
    command = ("generate", tiny.model, "--fit", "--board", BOARD, "--lanes", "2,2,1", "--out", tmp_path / "out")
    done = egru(*command)
    assert done.code == 0, done.err
    text = done.out[done.out.index("[hardware]") :]
    assert HardwareConfig.model_validate(tomllib.loads(text)["hardware"]).lanes == (2, 2, 1)
    assert "lanes 2,2,1: as asked for" in done.out


def test_fit_needs_a_board(tiny: Tiny) -> None:
    done = egru("estimate", tiny.model, "--fit", "--data", tiny.text)
    assert (done.code, done.err) == (2, "error: --fit needs a board to fit to; name one with --board\n")


def test_boards_says_of_every_board_whether_it_holds_the_model(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = egru("boards", tiny.model, "--data", tiny.text, "--json").json()["boards"]
    assert [row["board"] for row in rows] == known_boards()
    for row in rows:
        assert row["reason"]
        assert not row["fits"] or all(one["needed"] <= one["available"] for one in row["resources"].values())
    assert {row["board"] for row in rows if row["fits"]} >= {"ulx3s_85f", "colorlight_i9", "tang_nano_20k", "kv260"}
    monkeypatch.setenv("COLUMNS", "200")
    done = egru("boards", tiny.model, "--data", tiny.text)
    assert done.code == 0
    assert all(f"{row['board']}: {row['reason']}\n" in done.out for row in rows)


def test_boards_without_a_model_takes_no_text(tiny: Tiny) -> None:
    done = egru("boards", "--data", tiny.text)
    assert done.code == 2
    assert "has no meaning without a model" in done.err
