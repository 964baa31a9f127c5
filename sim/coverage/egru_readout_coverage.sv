// Functional coverage of egru_readout.
module egru_readout_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_o,
  input logic ready_i,
  input logic no_place,
  input logic some_lanes_done,
  input logic all_done_at_once,
  input logic last_o,
  input logic active_q
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  output_stalled:     cover property (valid_o && !ready_i);
  waits_for_a_place:  cover property (no_place);
  lanes_end_apart:    cover property (some_lanes_done);
  lanes_end_together: cover property (all_done_at_once);
  logit_every_cycle:  cover property (valid_o && ready_i ##1 valid_o && ready_i);
  end_of_a_sequence:  cover property (valid_o && ready_i && last_o);
  reset_in_a_step:    cover property (disable iff (1'b0) $past(active_q) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_readout egru_readout_coverage u_coverage (
  .clk_i, .rst_ni, .valid_o, .ready_i, .no_place(active_q && waiting_q == '0 && reserved_q == QueueCount'(QueueDepth)),
  .some_lanes_done(active_q && waiting_q != '0 && waiting_q != '1), .all_done_at_once(active_q && lane_done_i == '1), .last_o,
  .active_q
);
