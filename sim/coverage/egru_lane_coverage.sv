// Functional coverage of egru_lane.
module egru_lane_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic item_valid_i,
  input logic skipped,
  input logic nearly_full_o,
  input logic full,
  input logic walker_stalls,
  input logic mac_o,
  input logic working_o
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  column_without_weights:  cover property (skipped);
  nearly_full:             cover property (nearly_full_o);
  push_when_nearly_full:   cover property (nearly_full_o && item_valid_i);
  queue_full:              cover property (full);
  walker_stalls_the_queue: cover property (walker_stalls);
  works_without_a_mac:     cover property (working_o && !mac_o);
  reset_while_working:     cover property (disable iff (1'b0) $past(mac_o) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_lane egru_lane_coverage u_coverage (
  .clk_i, .rst_ni, .item_valid_i, .skipped(item_valid_i && !push), .nearly_full_o, .full(!queue_ready),
  .walker_stalls(queue_valid && !walker_ready), .mac_o, .working_o
);
