// egru_frame_sender sends every byte of a reply exactly once, in order, and each stands until it is taken.
//
// The neighbours are egru_frame_buffer's cursor, egru_crc32's times (busy for 8 cycles after a byte) and a line that takes what it likes.
module egru_frame_sender_proof (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       start_i,
  input logic       ready_i,
  input logic [7:0] data_i,
  input logic [7:0] crc_byte_i
);
  (* anyconst *) logic [3:0] kind;
  (* anyconst *) logic [7:0] sequence_number;
  (* anyconst *) logic [7:0] length;

  initial assume (!rst_ni);  // and at any time later

  logic       done, clear, next, crc_clear, crc_valid, crc_drop, valid;
  logic [7:0] sent, cursor_q;
  logic [3:0] crc_left_q;
  egru_frame_sender u_dut (
    .clk_i, .rst_ni, .start_i, .kind_i(kind), .sequence_i(sequence_number), .length_i(length), .done_o(done), .clear_o(clear), .next_o(next),
    .count_i(cursor_q), .data_i, .crc_clear_o(crc_clear), .crc_valid_o(crc_valid), .crc_drop_o(crc_drop), .crc_busy_i(crc_left_q != '0),
    .crc_byte_i, .valid_o(valid), .ready_i, .byte_o(sent)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [2:0] \u_dut.state_q ;
  (* hierconn *) wire [1:0] \u_dut.crc_index_q ;
  wire [2:0] state     = \u_dut.state_q ;
  wire [1:0] crc_index = \u_dut.crc_index_q ;

  wire        take = valid && ready_i;
  wire [8:0]  total = 9'd8 + 9'(length);
  logic       sending_q, waits_q;
  logic [8:0] place_q;  // bytes of the reply that have been taken
  logic [7:0] byte_q, data_q, crc_byte_q;
  always_ff @(posedge clk_i) begin
    waits_q <= valid && !ready_i;
    {byte_q, data_q, crc_byte_q} <= {sent, data_i, crc_byte_i};
    if (!rst_ni) begin
      {cursor_q, crc_left_q, sending_q, waits_q, place_q} <= '0;
    end else begin
      if (clear)     cursor_q <= '0;
      else if (next) cursor_q <= cursor_q + 1'b1;
      crc_left_q <= crc_clear ? 4'd0 : crc_valid ? 4'd8 : crc_left_q - 4'(crc_left_q != '0);
      if (start_i) {sending_q, place_q} <= {1'b1, 9'd0};
      else if (take) {sending_q, place_q} <= {!done, place_q + 1'b1};
    end
  end

  logic [7:0] wanted;
  always_comb begin
    wanted = data_i;
    if (place_q == 9'd0) wanted = 8'h5E;
    if (place_q == 9'd1) wanted = {4'd1, kind};
    if (place_q == 9'd2) wanted = sequence_number;
    if (place_q == 9'd3) wanted = length;
    if (place_q >= 9'd4 + 9'(length)) wanted = crc_byte_i;
  end

  always_comb begin
    assume (!(start_i && sending_q));
    assume (!waits_q || {data_i, crc_byte_i} == {data_q, crc_byte_q});  // both memories rest until the byte is taken
    if (rst_ni) begin
      every_byte_once: assert (!valid || (sending_q && sent == wanted));
      payload_in_order: assert (!(valid && place_q >= 9'd4 && place_q < 9'd4 + 9'(length)) || 9'(cursor_q) == place_q - 9'd4);
      done_at_the_end: assert (done == (take && place_q == total - 9'd1));
      crc_of_all_but_sync: assert (crc_valid == (take && place_q != '0) && (!crc_valid || crc_drop == (place_q >= 9'd4 + 9'(length))));
      stable_payload:  assert (!waits_q || (valid && sent == byte_q));
      no_deadlock:     assert (!sending_q || valid || crc_left_q != '0 || place_q == 9'd4 + 9'(length));
      invariant_state: assert (sending_q == (state != 3'd0) && (!sending_q || place_q < total));
      invariant_head:  assert (!(sending_q && place_q < 9'd4) || (9'(state) == place_q + 9'd1 && cursor_q == '0));
      invariant_payload: assert (!(sending_q && place_q >= 9'd4 && place_q < 9'd4 + 9'(length)) || (state == 3'd5 && 9'(cursor_q) == place_q - 9'd4));
      invariant_turn:  assert (!(sending_q && place_q == 9'd4 + 9'(length)) || ((state == 3'd5 || state == 3'd6) && cursor_q == length));
      invariant_crc:   assert (!(sending_q && place_q > 9'd4 + 9'(length)) || (state == 3'd6 && 9'(crc_index) == place_q - 9'd4 - 9'(length)));
      invariant_index: assert (state == 3'd6 || crc_index == '0);
      invariant_index_first: assert (!(state == 3'd6 && place_q == 9'd4 + 9'(length)) || crc_index == '0);
      invariant_waits: assert (!waits_q || (valid && sending_q));
    end
  end
endmodule
