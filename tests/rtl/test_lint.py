import re
from pathlib import Path

import pytest
from cocotb.types import LogicArray

from sim.build_cache import PACKAGE_ROOT
from sim.runner import LIBRARY, Parameter, lint

MODULES = sorted(path.stem for path in LIBRARY.glob("*.sv"))
TWO_ENDS = LogicArray.from_unsigned(8 << 16 | 5, 32)
# shapes that make other branches of a generate, or single bits of a vector, than the default parameters do
OTHER_SHAPES: list[tuple[str, dict[str, Parameter]]] = [
    ("egru_accumulator", {"Rows": 1}),
    ("egru_accumulator", {"FieldBits": 0}),
    ("egru_answer", {"Classes": 1}),
    ("egru_answer", {"LogitStore": False}),
    ("egru_arbiter", {"Inputs": 1}),
    ("egru_column_directory", {"Lanes": 1, "Columns": 1, "PlaceBits": 2}),
    ("egru_column_directory", {"Lanes": 7, "Columns": 1500}),
    ("egru_column_walker", {"Entries": 1, "RowBits": 1, "StartBits": 1, "CountBits": 1}),
    ("egru_column_walker", {"FieldBits": 0}),
    ("egru_column_walker", {"Group": True, "CountBits": 6}),
    ("egru_fifo", {"Depth": 5, "Width": 1}),
    ("egru_fifo", {"Depth": 7}),
    ("egru_lane", {"FieldBits": 0, "Rows": 1, "QueueDepth": 6}),
    ("egru_lane", {"Group": True, "CountBits": 6}),
    ("egru_layer_counters", {"Lanes": 1}),
    ("egru_readout", {"Lanes": 1, "Classes": 1}),
    ("egru_rescale", {"Shift": -3, "OutBits": 24}),
    ("egru_rescale", {"Shift": 0}),
    ("egru_load_port", {"Weights": 2}),
    ("egru_load_port", {"Weights": 2, "LoadBits": 160}),
    ("egru_axil_registers", {"Weights": 2}),
    ("egru_rom", {"Depth": 1}),
    ("egru_rom", {"Depth": 1, "Weights": 1}),
    ("egru_rom", {"Depth": 1, "Weights": 2}),
    ("egru_rom", {"Depth": 300, "Width": 40, "Weights": 1}),
    ("egru_rom", {"Depth": 1025, "Width": 40, "Weights": 2, "LoadBits": 96}),
    ("egru_rom", {"Depth": 1025, "Width": 19}),
    ("egru_rom", {"Depth": 9000, "Width": 19}),
    ("egru_row_reader", {"Rows": 1}),
    ("egru_row_reader", {"Rows": 8, "Layers": 2, "RowEnds": TWO_ENDS}),
    ("egru_step_sequencer", {"InIndexBits": 1, "OwnIndexBits": 12, "ColumnBits": 13}),
    ("egru_step_sequencer", {"Layers": 2}),
    ("egru_step_sequencer", {"Layers": 3}),
    ("egru_uart_bridge", {"Classes": 1, "LogitStore": False}),
    ("egru_uart_bridge", {"Classes": 300, "MaxTokens": 42}),
    ("egru_update_unit", {"Lanes": 1, "Rows": 1, "RowEnds": LogicArray.from_unsigned(1, 16)}),
    ("egru_update_unit", {"Lanes": 8, "Layers": 2, "RowEnds": TWO_ENDS, "LeftShifts": LogicArray.from_unsigned(3, 16), "Spread": 3}),
    ("egru_update_unit", {"Tokens": 9, "EventBits": 2, "StateBits": 8, "GateBits": 7, "PreactBits": 8, "PreactFrac": 4}),
]


def test_the_library_is_found() -> None:
    assert len(MODULES) > 10


@pytest.mark.parametrize("module", MODULES)
def test_library_is_clean(module: str) -> None:
    assert lint([LIBRARY / f"{module}.sv"], top=module) == []


@pytest.mark.parametrize(("module", "parameters"), OTHER_SHAPES)
def test_other_shapes_are_clean(module: str, parameters: dict[str, Parameter]) -> None:
    assert lint([LIBRARY / f"{module}.sv"], top=module, parameters=parameters) == []


def test_lint_sees_a_fault(tmp_path: Path) -> None:
    source = tmp_path / "faulty.sv"
    source.write_text("module faulty (input logic [3:0] a_i, output logic [2:0] b_o);\n  assign b_o = a_i;\nendmodule\n")
    assert any("WIDTHTRUNC" in message for message in lint([source]))


def _waivers_without_reason(text: str) -> list[str]:
    """Return the lines that switch a lint rule off and say nothing else in a comment."""
    lines = [line for line in text.splitlines() if re.search(r"\blint_off\b", line)]
    return [line for line in lines if not re.search(r"//\s*\w+", re.sub(r"(//|/\*)\s*verilator\s+lint_off\s+\w+\s*(\*/)?", "", line))]


def test_every_waiver_has_a_reason() -> None:
    files = [path for folder in ("rtl_templates", "boards") for path in (PACKAGE_ROOT / folder).rglob("*")]
    sources = [path for path in files if re.search(r"\.(s?vh?|vlt|j2)$", path.name)]
    assert len(sources) >= len(MODULES)
    assert {path.name: lines for path in sources if (lines := _waivers_without_reason(path.read_text()))} == {}


def test_a_waiver_without_a_reason_is_seen() -> None:
    assert _waivers_without_reason("  // verilator lint_off UNUSEDSIGNAL\n") != []
    assert _waivers_without_reason("  /* verilator lint_off UNUSEDSIGNAL */ // the low bits are rounded away\n") == []
