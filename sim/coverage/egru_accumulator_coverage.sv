// Functional coverage of egru_accumulator: what meets what on the way through the pipeline.
module egru_accumulator_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic op_end_i,
  input logic valid_1_q,
  input logic valid_2_q,
  input logic end_1_q,
  input logic repeat_1_q,
  input logic repeat_2_1_q,
  input logic same_as_two_ago,
  input logic rd_valid_i,
  input logic rd_both_i,
  input logic empty_word,
  input logic negative
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  logic added_q;  // since the last end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) added_q <= 1'b0;
    else         added_q <= !op_end_i && (added_q || valid_1_q);
  end

  same_sum_in_next_cycle:        cover property (valid_1_q && repeat_1_q);
  same_sum_two_cycles_later:     cover property (valid_1_q && repeat_2_1_q);
  same_address_across_the_end:   cover property (same_as_two_ago && end_1_q);
  first_product_of_a_sum:        cover property (empty_word);
  negative_sum:                  cover property (valid_2_q && negative);
  read_while_the_next_step_adds: cover property (rd_valid_i && !rd_both_i && valid_1_q);
  end_right_after_an_operation:  cover property (op_end_i && valid_1_q);
  step_without_an_operation:     cover property (op_end_i && !added_q);
  reset_while_adding:            cover property (disable iff (1'b0) $past(valid_1_q) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_accumulator egru_accumulator_coverage u_coverage (
  .clk_i, .rst_ni, .op_end_i, .valid_1_q, .valid_2_q, .end_1_q, .repeat_1_q, .repeat_2_1_q,
  .same_as_two_ago(op_valid_i && valid_2_q && addr_2_q == addr_0), .rd_valid_i, .rd_both_i,
  .empty_word(valid_2_q && asked_2_q != '0 && base_from == '0), .negative(sum_2[AccBits-1])
);
