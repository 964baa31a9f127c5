// Functional coverage of egru_frame_receiver.
module egru_frame_receiver_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic listen_i,
  input logic valid_i,
  input logic lost_i,
  input logic sync,
  input logic searching,
  input logic payload,
  input logic checks,
  input logic crc_good_i,
  input logic none,
  input logic most,
  input logic valid_o,
  input logic dropped_o
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  good_frame:                 cover property (valid_o);
  wrong_crc:                  cover property (dropped_o && checks && !crc_good_i);
  byte_lost_in_a_frame:       cover property (dropped_o && lost_i);
  byte_lost_outside:          cover property (searching && lost_i);
  noise_before_a_frame:       cover property (searching && valid_i && !sync);
  sync_in_the_payload:        cover property (payload && valid_i && sync);
  frame_without_payload:      cover property (valid_o && none);
  longest_frame:              cover property (valid_o && most);
  stops_listening_in_a_frame: cover property (!listen_i && !searching);
  reset_in_a_frame:           cover property (disable iff (1'b0) $past(!searching) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_frame_receiver egru_frame_receiver_coverage u_coverage (
  .clk_i, .rst_ni, .listen_i, .valid_i, .lost_i, .sync(byte_i == Sync), .searching(state_q == StSearch),
  .payload(state_q == StPayload), .checks(state_q == StCheck && !crc_busy_i), .crc_good_i, .none(length_o == '0),
  .most(length_o == '1), .valid_o, .dropped_o
);
