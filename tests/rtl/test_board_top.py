from pathlib import Path

import pytest

from hls_gen.board import known_boards, load_board, render_top
from sim.runner import lint

HERE = Path(__file__).parent
LOOP_BACK = HERE.parent / "egru" / "data" / "loop_back" / "rtl" / "egru_top.sv"


@pytest.mark.parametrize("name", known_boards())
def test_the_board_top_lints_clean_around_a_core(name: str, tmp_path: Path) -> None:
    top = tmp_path / "egru_board.sv"
    top.write_text(render_top(load_board(name)).text)
    assert lint([top, LOOP_BACK, HERE / "ehxplll.sv"], top="egru_board") == []
