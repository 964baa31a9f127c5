// Functional coverage of egru_row_reader.
module egru_row_reader_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic take_o,
  input logic turn_i,
  input logic waits_for_lane,
  input logic waits_for_turn,
  input logic skip,
  input logic rd_both_o
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  turn_before_the_lane_is_done: cover property (turn_i && waits_for_lane);
  waits_for_its_turn:           cover property (waits_for_turn);
  row_passed_over:              cover property (skip);
  row_follows_row:              cover property (take_o ##4 take_o);
  reset_in_a_pass:              cover property (disable iff (1'b0) $past(waits_for_turn) && $past(rst_ni) && !rst_ni);
  reset_while_emptying:         cover property (disable iff (1'b0) $past(rd_both_o) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_row_reader egru_row_reader_coverage u_coverage (
  .clk_i, .rst_ni, .take_o, .turn_i, .waits_for_lane(busy_q && !summed_q), .waits_for_turn(summed_q && first && !turn_i), .skip,
  .rd_both_o
);
