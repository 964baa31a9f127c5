import re
from pathlib import Path

import pytest

from sim.runner import LIBRARY, PACKAGE_ROOT, Parameter, lint

MODULES = sorted(path.stem for path in LIBRARY.glob("*.sv"))
# shapes that make other branches of a generate, or single bits of a vector, than the default parameters do
OTHER_SHAPES: list[tuple[str, dict[str, Parameter]]] = [
    ("egru_accumulator", {"Rows": 1}),
    ("egru_accumulator", {"Fields": 1}),
    ("egru_arbiter", {"Inputs": 1}),
    ("egru_column_reader", {"Inputs": 5, "Columns": 9, "Entries": 1, "CountBits": 1}),
    ("egru_fifo", {"Depth": 5, "Width": 1}),
    ("egru_fifo", {"Depth": 7}),
    ("egru_lane", {"Fields": 1, "Rows": 1, "QueueDepth": 2}),
    ("egru_layer_counters", {"Lanes": 1}),
    ("egru_readout", {"Lanes": 1, "Classes": 1}),
    ("egru_rescale", {"Shift": -3, "OutBits": 24}),
    ("egru_rescale", {"Shift": 0}),
    ("egru_rom", {"Depth": 1}),
    ("egru_row_reader", {"Rows": 1}),
    ("egru_step_sequencer", {"InIndexBits": 1, "OwnIndexBits": 12}),
    ("egru_update_unit", {"Lanes": 1, "Rows": 1}),
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
