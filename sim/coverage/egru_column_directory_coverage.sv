// Functional coverage of egru_column_directory.
module egru_column_directory_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic bus_valid_i,
  input logic item_valid_o,
  input logic stall_o
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  bus_stalled:        cover property (stall_o);
  item_while_stalled: cover property (stall_o && item_valid_o);
  item_every_cycle:   cover property (item_valid_o && bus_valid_i);
endmodule

bind egru_column_directory egru_column_directory_coverage u_coverage (
  .clk_i, .rst_ni, .bus_valid_i, .item_valid_o, .stall_o
);
