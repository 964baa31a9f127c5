// The ECP5's PLL for lint and simulation: both outputs are the input clock, dividers and phases mean nothing. synth_ecp5 brings the real cell.
/* verilator lint_off UNUSEDSIGNAL */  // a stand-in has no use for most ports of the primitive
/* verilator lint_off UNUSEDPARAM */  // nor for its dividers
/* verilator lint_off DECLFILENAME */  // the primitive is in capitals, files are not
module EHXPLLL #(
  parameter int unsigned CLKI_DIV = 1,
  parameter int unsigned CLKFB_DIV = 1,
  parameter CLKOP_ENABLE = "ENABLED",
  parameter int unsigned CLKOP_DIV = 8,
  parameter int unsigned CLKOP_CPHASE = 0,
  parameter CLKOS_ENABLE = "DISABLED",
  parameter int unsigned CLKOS_DIV = 8,
  parameter int unsigned CLKOS_CPHASE = 0,
  parameter FEEDBK_PATH = "CLKOP"
) (
  input  logic CLKI,
  input  logic CLKFB,
  output logic CLKOP,
  output logic CLKOS,
  output logic LOCK,
  input  logic RST,
  input  logic STDBY,
  input  logic PHASESEL0,
  input  logic PHASESEL1,
  input  logic PHASEDIR,
  input  logic PHASESTEP,
  input  logic PHASELOADREG,
  input  logic PLLWAKESYNC,
  input  logic ENCLKOP,
  input  logic ENCLKOS
);
  assign CLKOP = CLKI;
  assign CLKOS = CLKI;
  assign LOCK  = !RST;
endmodule
