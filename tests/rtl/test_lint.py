import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pyslang
import pytest
from cocotb.types import LogicArray
from pyslang import driver

from hls_gen.board import load_board, render_top
from hls_gen.hardware_config import HardwareConfig
from hls_gen.rtl_backend import library_files, write
from hls_gen.uart_core import render_uart_core
from sim.build_cache import PACKAGE_ROOT
from sim.proving import WRAPPERS
from sim.runner import LIBRARY, Parameter, lint
from sw_model.random_model import RandomModelSpec, random_model

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
    ("egru_feature_words", {"Channels": 1, "IndexBits": 1, "EventBits": 2}),
    ("egru_feature_words", {"Channels": 8, "IndexBits": 3, "EventBits": 12}),
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
    ("egru_load_port", {"Weights": 3}),
    ("egru_axil_registers", {"Weights": 2}),
    ("egru_axil_registers", {"Weights": 3}),
    ("egru_rom", {"Depth": 1}),
    ("egru_rom", {"Depth": 1, "Weights": 1}),
    ("egru_rom", {"Depth": 1, "Weights": 2}),
    ("egru_rom", {"Depth": 300, "Width": 40, "Weights": 1}),
    ("egru_rom", {"Depth": 1025, "Width": 40, "Weights": 2, "LoadBits": 96}),
    ("egru_rom", {"Depth": 1, "Weights": 3}),
    ("egru_rom", {"Depth": 5438, "Width": 17, "Weights": 3}),
    ("egru_rom", {"Depth": 1025, "Width": 19}),
    ("egru_rom", {"Depth": 9000, "Width": 19}),
    ("egru_row_reader", {"Rows": 1}),
    ("egru_row_reader", {"Rows": 8, "Layers": 2, "RowEnds": TWO_ENDS}),
    ("egru_step_sequencer", {"InIndexBits": 1, "OwnIndexBits": 12, "ColumnBits": 13}),
    ("egru_step_sequencer", {"Layers": 2}),
    ("egru_step_sequencer", {"Layers": 3}),
    ("egru_uart_bridge", {"Classes": 1, "LogitStore": False}),
    ("egru_uart_bridge", {"Classes": 300, "MaxTokens": 42}),
    ("egru_uart_bridge", {"ValueBits": 8}),
    ("egru_update_unit", {"Lanes": 1, "Rows": 1, "RowEnds": LogicArray.from_unsigned(1, 16)}),
    ("egru_update_unit", {"Lanes": 8, "Layers": 2, "RowEnds": TWO_ENDS, "LeftShifts": LogicArray.from_unsigned(3, 16), "Spread": 3}),
    ("egru_update_unit", {"Tokens": 9, "EventBits": 2, "StateBits": 8, "GateBits": 7, "PreactBits": 8, "PreactFrac": 4}),
]

# slang warns of everything but this
SLANG_WAIVERS = {
    "arith-op-mismatch": "sizes are unsigned, literals and loop variables signed; both stand in every sum of the two",
    "case-enum-explicit": "a case may have a default for all other states",
    "implicit-port-type-mismatch": "egru_lane hands the accumulator's signed sum on as plain bits",
    "packed-array-conv": "a pipeline's stages are moved on with one concatenation",
    "sign-compare": "as arith-op-mismatch",
    "sign-conversion": "a sum is signed where it is added to and plain bits where it is stored",
    "unused-but-set-variable": "what is not used is named so; verilator watches over it",
    "useless-cast": "a width that is the same in one shape is another in the next",
}


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


def slang(sources: Iterable[Path], tops: Iterable[str]) -> list[str]:
    """Elaborate and analyse ``tops`` with slang and return what it says, a message a line; empty when clean."""
    front_end = driver.Driver()
    front_end.addStandardArgs()
    # a register with a value at power-up: slang counts its initial block as a second driver
    flags = ["-Weverything", "--allow-dup-initial-drivers", *(f"-Wno-{name}" for name in SLANG_WAIVERS), *(f"--top {top}" for top in tops)]
    assert front_end.parseCommandLine(" ".join(["slang", *flags, *(f'"{path}"' for path in sources)]))
    messages = pyslang.TextDiagnosticClient()
    front_end.diagEngine.clearClients()
    front_end.diagEngine.addClient(messages)
    assert front_end.processOptions()
    assert front_end.parseAllSources()
    compilation = front_end.createCompilation()
    for diagnostic in compilation.getAllDiagnostics():
        front_end.diagEngine.issue(diagnostic)
    front_end.runAnalysis(compilation)
    return re.findall(r"^\S+:\d+:\d+: .*$", messages.getString(), re.MULTILINE)


def verible(sources: Iterable[Path]) -> list[str]:
    """Lint with verible by the rules of this repository and return what it says; empty when clean."""
    program = shutil.which("verible-verilog-lint", path=sysconfig.get_path("scripts"))
    if program is None:
        pytest.skip("there is no verible for this platform")
    rules = f"--rules_config={PACKAGE_ROOT / '.rules.verible_lint'}"
    done = subprocess.run([program, rules, *map(str, sources)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]


@pytest.fixture(scope="module")
def board_sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """All sources of a board's top around a core, two layers on an engine of their own each."""
    folder = tmp_path_factory.mktemp("core") / "out"
    model = random_model(RandomModelSpec(hidden=(12, 10), classes=6, tokens=3))
    write(model, HardwareConfig(lanes=(4, 2, 3)), folder)
    (folder / "rtl" / "egru_board.sv").write_text(render_top(load_board("icebreaker")).text)
    (folder / "rtl" / "egru_uart_core.sv").write_text(render_uart_core(model))
    rtl = {path.name: path for path in (folder / "rtl").glob("*.sv")}
    library = {path.name: path for path in library_files(path.read_text() for path in rtl.values())}
    return sorted((library | rtl).values())


def test_slang_finds_the_library_clean() -> None:
    assert slang(LIBRARY.glob("*.sv"), MODULES) == []


def test_slang_finds_a_board_with_its_core_clean(board_sources: list[Path]) -> None:
    assert slang(board_sources, ["egru_board"]) == []


def test_slang_sees_a_fault(tmp_path: Path) -> None:
    source = tmp_path / "faulty.sv"
    source.write_text("module faulty (input logic a_i, output logic b_o);\n  assign b_o = a_i;\n  assign b_o = !a_i;\nendmodule\n")
    assert any("error: cannot have multiple continuous assignments" in message for message in slang([source], ["faulty"]))


def test_verible_finds_all_sources_clean(board_sources: list[Path]) -> None:
    assert verible([*board_sources, *sorted(WRAPPERS.glob("*.sv"))]) == []


def test_verible_sees_a_fault(tmp_path: Path) -> None:
    source = tmp_path / "faulty.sv"
    source.write_text("module faulty (input logic a_i, output logic b_o);\n\tassign b_o = a_i;\nendmodule\n")
    assert any("no-tabs" in message for message in verible([source]))
