// The iCE40's PLL for lint and simulation: the output is the input clock, dividers mean nothing; locked after 16 clocks. Of the real cell's ports
// those that our tops use. synth_ice40 brings the real cell.
/* verilator lint_off UNUSEDPARAM */  // a stand-in has no use for the dividers
/* verilator lint_off DECLFILENAME */  // the primitive is in capitals, files are not
module SB_PLL40_PAD #(
  parameter FEEDBACK_PATH = "SIMPLE",
  parameter bit [3:0] DIVR = '0,
  parameter bit [6:0] DIVF = '0,
  parameter bit [2:0] DIVQ = '0,
  parameter bit [2:0] FILTER_RANGE = '0
) (
  input  logic PACKAGEPIN,
  output logic PLLOUTGLOBAL,
  output logic LOCK,
  input  logic RESETB,
  input  logic BYPASS
);
  logic [4:0] clocks_q;

  initial clocks_q = '0;

  always_ff @(posedge PACKAGEPIN) begin
    if (!RESETB) clocks_q <= '0;
    else if (!clocks_q[4]) clocks_q <= clocks_q + 1'b1;
  end

  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign LOCK         = clocks_q[4] || BYPASS;
endmodule
