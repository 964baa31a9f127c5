// Functional coverage of egru_column_walker.
module egru_column_walker_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_i,
  input logic ready_o,
  input logic take,
  input logic end_i,
  input logic walking,
  input logic one_entry
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  input_stalled:       cover property (valid_i && !ready_o);
  event_follows_event: cover property (take && !end_i && walking);
  end_follows_event:   cover property (take && end_i && walking);
  column_of_one_entry: cover property (take && !end_i && one_entry);
  end_follows_end:     cover property (take && end_i ##1 take && end_i);
  reset_in_a_column:   cover property (disable iff (1'b0) $past(walking) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_column_walker egru_column_walker_coverage u_coverage (
  .clk_i, .rst_ni, .valid_i, .ready_o, .take, .end_i, .walking(valid_q[0]), .one_entry(count_i == CountBits'(1))
);
