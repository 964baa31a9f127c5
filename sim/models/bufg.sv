// AMD's global clock buffer for lint and simulation. synth_xilinx and Vivado bring the real cell.
/* verilator lint_off DECLFILENAME */  // the primitive is in capitals, files are not
module BUFG (
  input  logic I,
  output logic O
);
  assign O = I;
endmodule
