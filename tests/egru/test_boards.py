"""`egru boards`: every board is listed, with what it holds."""

import pytest

from hls_gen.board import known_boards
from tests.egru.conftest import egru


def test_every_board_is_listed_with_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in egru("boards").out.splitlines() if line.startswith("│")]
    assert [row[0] for row in rows] == known_boards()
    assert ["icebreaker", "iCE40UP5K-SG48", "ice40", "12", "uart", "5,280", "5,280", "30", "8", "4"] in rows
    assert ["tang_nano_20k", "GW2AR-LV18QN88C8/I7", "gowin", "27", "uart", "20,736", "15,552", "46", "48", ""] in rows


def test_the_boards_as_json() -> None:
    found = {board["name"]: board for board in egru("boards", "--json").json()["boards"]}
    assert sorted(found) == known_boards()
    assert found["ulx3s_12f"]["budget"] == {"lut": 12144, "ff": 12144, "bram": 32, "dsp": 28, "spram": 0}
    assert found["ulx3s_12f"]["link"] == {"kind": "uart", "baud": 1000000, "logits": True}
    assert "folder" not in found["ulx3s_12f"]
