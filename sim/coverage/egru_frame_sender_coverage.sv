// Functional coverage of egru_frame_sender.
module egru_frame_sender_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_o,
  input logic ready_i,
  input logic done_o,
  input logic sending,
  input logic waits_for_crc,
  input logic none
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  output_stalled:        cover property (valid_o && !ready_i);
  waits_for_the_crc:     cover property (waits_for_crc);
  frame_without_payload: cover property (done_o && none);
  frame_with_payload:    cover property (done_o && !none);
  reset_in_a_frame:      cover property (disable iff (1'b0) $past(sending) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_frame_sender egru_frame_sender_coverage u_coverage (
  .clk_i, .rst_ni, .valid_o, .ready_i, .done_o, .sending(state_q != StIdle),
  .waits_for_crc(state_q != StIdle && crc_busy_i && ready_i), .none(length_i == '0)
);
