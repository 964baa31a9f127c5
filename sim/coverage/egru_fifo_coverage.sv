// Functional coverage of egru_fifo.
module egru_fifo_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic push,
  input logic pop,
  input logic offered,
  input logic wanted,
  input logic valid_q,
  input logic full_q
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  full:                 cover property (full_q);
  empty:                cover property (!valid_q);
  push_while_full:      cover property (full_q && offered);
  pop_while_empty:      cover property (!valid_q && wanted);
  push_and_pop_at_once: cover property (push && pop);
  pop_from_full:        cover property (full_q && pop);
  push_into_empty:      cover property (!valid_q && push);
  output_stalled:       cover property (valid_q && !wanted);
  reset_while_full:     cover property (disable iff (1'b0) $past(full_q) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_fifo egru_fifo_coverage u_coverage (
  .clk_i, .rst_ni, .push, .pop, .offered(valid_i), .wanted(ready_i), .valid_q, .full_q
);
