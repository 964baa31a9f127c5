// Gowin's PLL for lint and simulation: the output is the input clock, dividers mean nothing; locked after 16 clocks. Of the real cell's outputs
// those that our tops use. synth_gowin brings the real cell.
/* verilator lint_off UNUSEDSIGNAL */  // a stand-in has no use for most ports of the primitive
/* verilator lint_off UNUSEDPARAM */  // nor for its dividers
/* verilator lint_off DECLFILENAME */  // the primitive has a capital, files have not
module rPLL #(
  parameter DEVICE = "GW1NR-9C",
  parameter FCLKIN = "27.0",
  parameter int unsigned IDIV_SEL = 0,
  parameter int unsigned FBDIV_SEL = 0,
  parameter int unsigned ODIV_SEL = 8
) (
  input  logic       CLKIN,
  input  logic       CLKFB,
  output logic       CLKOUT,
  output logic       LOCK,
  input  logic       RESET,
  input  logic       RESET_P,
  input  logic [5:0] FBDSEL,
  input  logic [5:0] IDSEL,
  input  logic [5:0] ODSEL,
  input  logic [3:0] PSDA,
  input  logic [3:0] DUTYDA,
  input  logic [3:0] FDLY
);
  logic [4:0] clocks_q;

  initial clocks_q = '0;

  always_ff @(posedge CLKIN) begin
    if (RESET || RESET_P) clocks_q <= '0;
    else if (!clocks_q[4]) clocks_q <= clocks_q + 1'b1;
  end

  assign CLKOUT = CLKIN;
  assign LOCK   = clocks_q[4];
endmodule
