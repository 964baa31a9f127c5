"""What a board adds to a core: all of it where there is none, nothing that the user of a folder has changed."""

from pathlib import Path

import pytest

from hls_gen.board import Board, load_board
from hls_gen.board_files import board_sources
from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from hls_gen.rtl_backend import write
from sw_model.errors import UserError
from sw_model.random_model import RandomModelSpec, random_model

MODEL = random_model(RandomModelSpec(hidden=(6,), classes=4, tokens=5))
CONFIG = HardwareConfig(lanes=(2, 1))
BOARD = load_board("ulx3s_85f")
TOP = "rtl/egru_board.sv"


@pytest.fixture
def for_the_board(tmp_path: Path) -> Path:
    write_project(MODEL, CONFIG, tmp_path / "generated", board=BOARD, clock_mhz=40.0)
    return tmp_path / "generated"


def test_a_core_alone_gets_all_that_a_folder_for_the_board_has(tmp_path: Path, for_the_board: Path) -> None:
    write(MODEL, CONFIG, tmp_path / "core")
    clock, files = board_sources(tmp_path / "core", BOARD, 40.0)
    assert clock == 40.0
    core = {path.name for path in (tmp_path / "core" / "rtl").iterdir()}
    assert {TOP, "rtl/egru_uart_core.sv", "rtl/egru_reset_sync.sv", "ulx3s.lpf"} <= set(files)
    assert not core & {Path(name).name for name in files}, "the core's own files stay as they are"
    for name, text in files.items():
        assert text == (for_the_board / name).read_text()
    added = {Path(name).name for name in files if name.startswith("rtl/")}
    assert core | added == {path.name for path in (for_the_board / "rtl").iterdir()}


@pytest.mark.parametrize("clock", [None, 40.0])
def test_a_folder_for_the_board_keeps_what_its_user_has_changed(for_the_board: Path, clock: float | None) -> None:
    for name in (TOP, BOARD.constraints):
        (for_the_board / name).write_text("changed")
    assert board_sources(for_the_board, BOARD, clock) == (40.0, {TOP: "changed", BOARD.constraints: "changed"})


@pytest.mark.parametrize(("board", "clock", "expected"), [(BOARD, 50.0, 50.0), (load_board("colorlight_i9"), None, 50.0)])
def test_another_board_or_clock_gets_a_new_top(for_the_board: Path, board: Board, clock: float | None, expected: float) -> None:
    old = (for_the_board / TOP).read_text()
    (for_the_board / "rtl" / "egru_uart_core.sv").write_text("changed")
    made, files = board_sources(for_the_board, board, clock)
    assert made == expected
    assert set(files) == {TOP, board.constraints}
    assert files[TOP] != old
    assert files[board.constraints] == board.constraints_path.read_text()


def test_a_processor_board_has_no_top_to_add(tmp_path: Path) -> None:
    write(MODEL, CONFIG, tmp_path / "core")
    with pytest.raises(UserError, match="has no top of its own"):
        board_sources(tmp_path / "core", load_board("kv260"))


def test_a_clock_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="clock 4000 MHz"):
        write_project(MODEL, CONFIG, tmp_path / "out", board=BOARD, clock_mhz=4000.0)
    assert list(tmp_path.iterdir()) == []
