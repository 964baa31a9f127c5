// The 7 series' PLL for lint and simulation: the output is the input clock, dividers mean nothing. Of the real cell's outputs those that our
// tops use. synth_xilinx and Vivado bring the real cell.
/* verilator lint_off UNUSEDSIGNAL */  // a stand-in has no use for most ports of the primitive
/* verilator lint_off UNUSEDPARAM */  // nor for its dividers
/* verilator lint_off DECLFILENAME */  // the primitive is in capitals, files are not
module PLLE2_BASE #(
  parameter real CLKIN1_PERIOD = 0.0,
  parameter int unsigned DIVCLK_DIVIDE = 1,
  parameter int unsigned CLKFBOUT_MULT = 5,
  parameter int unsigned CLKOUT0_DIVIDE = 1
) (
  input  logic CLKIN1,
  input  logic CLKFBIN,
  output logic CLKFBOUT,
  output logic CLKOUT0,
  output logic LOCKED,
  input  logic PWRDWN,
  input  logic RST
);
  assign CLKFBOUT = CLKIN1;
  assign CLKOUT0  = CLKIN1;
  assign LOCKED   = !RST;
endmodule
