import json
from pathlib import Path

import pytest

from hls_gen.board import TOP_MODULE, UartLink, clocks_per_bit, known_boards, load_board, render_top
from hls_gen.board_files import uart_board_sources
from hls_gen.hardware_config import HardwareConfig
from hls_gen.render import render
from hls_gen.rtl_backend import MODEL_FOLDER, write
from hls_gen.uart_core import UART_CORE_MODULE, UART_CORE_TEMPLATE, render_uart_core
from sim.benches.board import SETUP_FILE, STEPS
from sim.runner import VENDOR_MODELS, lint, run_bench
from sw_model.random_model import RandomModelSpec, random_model

HERE = Path(__file__).parent
LOOP_BACK = sorted((HERE.parent / "egru" / "data" / "loop_back" / "rtl").glob("*.sv"))
UART_BOARDS = [name for name in known_boards() if isinstance(load_board(name).link, UartLink)]


def test_there_are_uart_boards() -> None:
    assert "ulx3s_85f" in UART_BOARDS


def test_the_core_that_sends_tokens_back_is_behind_the_serial_line_of_every_core() -> None:
    (copy,) = (path for path in LOOP_BACK if path.stem == UART_CORE_MODULE)
    assert copy.read_text() == render(UART_CORE_TEMPLATE, classes=1, value_bits=0)


@pytest.mark.parametrize("name", UART_BOARDS)
def test_the_board_top_lints_clean_around_a_core(name: str, tmp_path: Path) -> None:
    top = tmp_path / "egru_board.sv"
    top.write_text(render_top(load_board(name)).text)
    assert lint([top, *LOOP_BACK, *sorted(VENDOR_MODELS.glob("*.sv"))], top="egru_board") == []


@pytest.mark.parametrize(("name", "core_mhz"), [("icebreaker", 24.0), ("tang_nano_20k", 54.0), ("tang_nano_9k", 40.5), ("ulx3s_12f", 25.0)])
def test_a_top_lints_clean_with_a_pll_where_the_default_has_none_and_without_one(name: str, core_mhz: float, tmp_path: Path) -> None:
    board, top = load_board(name), tmp_path / "egru_board.sv"
    other = render_top(board, core_mhz)
    assert other.pll.template != render_top(board).pll.template
    top.write_text(other.text)
    assert lint([top, *LOOP_BACK, *sorted(VENDOR_MODELS.glob("*.sv"))], top="egru_board") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_steps_through_the_pins_of_the_ulx3s_equal_the_reference(seed: int, tmp_path: Path) -> None:
    model = random_model(RandomModelSpec(hidden=(24, 16), density=0.3, classes=13, tokens=11, seed=4))
    generated = tmp_path / "generated"
    write(model, HardwareConfig(lanes=(4, 4, 2)), generated)
    board = load_board("ulx3s_85f")
    assert board.pins is not None
    assert isinstance(board.link, UartLink)
    core_mhz, sources = uart_board_sources(board, render_uart_core(model))
    for name, text in sources.items():
        (generated / "rtl" / name).write_text(text)
    setup = {
        "model": str(generated / MODEL_FOLDER),
        "clock": board.pins.clock,
        "rx": board.pins.rx,
        "tx": board.pins.tx,
        "reset": "btn_reset",
        "clocks_per_bit": clocks_per_bit(core_mhz, board.link.baud),
    }
    result = run_bench(
        TOP_MODULE,
        "sim.benches.board",
        sources=[*sorted((generated / "rtl").glob("*.sv")), VENDOR_MODELS / "ehxplll.sv"],
        files={f"mem/{path.name}": path.read_text() for path in sorted((generated / "mem").glob("*.mem"))}
        | {SETUP_FILE: json.dumps(setup)},
        seed=seed,
        probes=[],
    )
    assert result.report["answers"] == STEPS
    assert result.report["sequences"] > 0
    assert core_mhz == 50.0
