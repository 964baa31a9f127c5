// Functional coverage of the generated top: sequences, resets in mid-step, stalls at its streams.
module egru_top_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic tvalid,
  input logic tready,
  input logic tlast,
  input logic given,
  input logic logit_stalled,
  input logic busy,
  input logic soft_reset,
  input logic wrong_token,
  input logic several
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  logic first_q;  // the next token begins a sequence
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)               first_q <= 1'b1;
    else if (soft_reset)       first_q <= 1'b1;
    else if (tvalid && tready) first_q <= tlast;
  end

  token_waits:                      cover property (tvalid && !tready);
  logit_waits:                      cover property (logit_stalled);
  sequences_back_to_back:           cover property (tvalid && tready && tlast ##1 tvalid);
  idle_between_sequences:           cover property (tvalid && tready && tlast ##1 !tvalid);
  idle_within_a_sequence:           cover property (tvalid && tready && !tlast ##1 !tvalid);
  one_token_sequence:               cover property (tvalid && tready && tlast && first_q);
  tokens_under_way_together:        cover property (several);
  token_and_logit_at_once:          cover property (tvalid && tready && given);
  token_out_of_range:               cover property (wrong_token);
  token_waits_through_a_soft_reset: cover property (soft_reset ##1 tvalid && !tready);
  soft_reset_in_mid_step:           cover property (soft_reset && busy);
  soft_reset_when_idle:             cover property (soft_reset && !busy);
  reset_in_mid_step:                cover property (disable iff (1'b0) $past(busy) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_top egru_top_coverage u_coverage (
  .clk_i, .rst_ni, .tvalid(s_axis_tvalid), .tready(s_axis_tready), .tlast(s_axis_tlast), .given(m_axis_tvalid && m_axis_tready),
  .logit_stalled(m_axis_tvalid && !m_axis_tready), .busy, .soft_reset,
  .wrong_token(token_error), .several(under_way_q > 16'd1)
);
