// Functional coverage of egru_answer.
module egru_answer_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic active_i,
  input logic offered,
  input logic taken,
  input logic waits,
  input logic compared,
  input logic equal,
  input logic larger,
  input logic begun
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  input_stalled:           cover property (offered && !taken);
  answer_stalled:          cover property (waits);
  equal_logits:            cover property (compared && equal);
  first_is_largest_so_far: cover property (compared && !larger);
  later_is_larger:         cover property (compared && larger);
  thrown_away:             cover property (taken && !active_i);
  step_given_up:           cover property (begun && !active_i);
endmodule

bind egru_answer egru_answer_coverage u_coverage (
  .clk_i, .rst_ni, .active_i, .offered(s_axis_tvalid), .taken(s_axis_tvalid && s_axis_tready), .waits(valid_q && !ready_i),
  .compared(word_valid_q && class_q != '0), .equal(word_q == best_q), .larger, .begun(class_q != '0)
);
