// Functional coverage of egru_crc32.
module egru_crc32_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,
  input logic valid_i,
  input logic drop_i,
  input logic busy_o,
  input logic good_o
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  logic busy_q;
  always_ff @(posedge clk_i) busy_q <= busy_o;

  cleared_while_busy: cover property (clear_i && busy_o);
  byte_after_byte:    cover property (valid_i && busy_q && !busy_o);
  crc_read_out:       cover property (valid_i && drop_i);
  good:               cover property (good_o && !busy_o);
  bad:                cover property (!good_o && !busy_o);
endmodule

bind egru_crc32 egru_crc32_coverage u_coverage (
  .clk_i, .rst_ni, .clear_i, .valid_i, .drop_i, .busy_o, .good_o
);
