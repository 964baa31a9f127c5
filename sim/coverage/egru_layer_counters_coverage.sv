// Functional coverage of egru_layer_counters.
module egru_layer_counters_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,
  input logic busy_i,
  input logic all_lanes,
  input logic no_lane,
  input logic read_now,
  input logic no_counter,
  input logic carries
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  all_lanes_multiply:   cover property (busy_i && all_lanes);
  no_lane_works:        cover property (busy_i && no_lane);
  clear_while_counting: cover property (busy_i && clear_i);
  counter_read:         cover property (read_now && !no_counter);
  no_such_counter_read: cover property (read_now && no_counter);
  counter_begins_anew:  cover property (carries);
endmodule

bind egru_layer_counters egru_layer_counters_coverage u_coverage (
  .clk_i, .rst_ni, .clear_i, .busy_i, .all_lanes(&mac_i), .no_lane(working_i == '0), .read_now(slot_q == read_index_i),
  .no_counter(32'(read_index_i) >= Counters), .carries(total < word_q)
);
