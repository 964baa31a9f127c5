// Functional coverage of egru_uart_bridge: every refusal, every handshake stalled.
module egru_uart_bridge_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic decides,
  input logic repetition_q,
  input logic [2:0] refusal,
  input logic [2:0] error,
  input logic failed_late,
  input logic [3:0] kind,
  input logic done,
  input logic token_stalled,
  input logic logit_stalled,
  input logic aw_stalled,
  input logic w_stalled,
  input logic ar_stalled,
  input logic r_stalled,
  input logic b_waits,
  input logic no_session,
  input logic stepping,
  input logic answered,
  input logic event_out,
  input logic sending,
  input logic lost
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  hello:                         cover property (done && kind == 4'd0);
  step:                          cover property (done && kind == 4'd1);
  step_without_an_answer:        cover property (done && kind == 4'd1 && !answered);
  word_without_an_answer:        cover property (event_out);
  read:                          cover property (done && kind == 4'd2);
  write:                         cover property (done && kind == 4'd3);
  fill:                          cover property (done && kind == 4'd4);
  logits:                        cover property (done && kind == 4'd5);
  repetition_answered_again:     cover property (decides && repetition_q);
  unknown_kind:                  cover property (decides && refusal == 3'd1);
  wrong_length:                  cover property (decides && refusal == 3'd2);
  refused_access:                cover property (error == 3'd3);
  wrong_version:                 cover property (decides && refusal == 3'd4);
  logits_not_kept:               cover property (decides && refusal == 3'd5);
  no_such_class:                 cover property (!decides && error == 3'd5);
  outside_a_session:             cover property (decides && no_session && refusal == 3'd6);
  error_after_part_of_the_reply: cover property (failed_late);
  token_waits:                   cover property (token_stalled);
  logit_waits:                   cover property (logit_stalled);
  write_address_stalled:         cover property (aw_stalled);
  write_data_stalled:            cover property (w_stalled);
  read_address_stalled:          cover property (ar_stalled);
  read_data_stalled:             cover property (r_stalled);
  write_response_late:           cover property (b_waits);
  byte_lost:                     cover property (lost);
  reset_in_a_step:               cover property (disable iff (1'b0) $past(stepping) && $past(rst_ni) && !rst_ni);
  reset_in_a_reply:              cover property (disable iff (1'b0) $past(sending) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_uart_bridge egru_uart_bridge_coverage u_coverage (
  .clk_i, .rst_ni, .decides(state_q == StDecide), .repetition_q, .refusal(refusal_q), .error(error_d),
  .failed_late(wr_count != '0 && failed_q), .kind, .done(state_q == StDone && error_q == ErrorNone),
  .token_stalled(m_axis_tvalid && !m_axis_tready), .logit_stalled(s_axis_tvalid && !s_axis_tready),
  .aw_stalled(m_axil_awvalid && !m_axil_awready), .w_stalled(m_axil_wvalid && !m_axil_wready),
  .ar_stalled(m_axil_arvalid && !m_axil_arready), .r_stalled(m_axil_rvalid && !m_axil_rready),
  .b_waits(m_axil_bready && !m_axil_bvalid), .no_session(!session_q), .stepping(state_q == StStep), .answered(wr_count != '0), .event_out, .sending, .lost(rx_lost)
);
