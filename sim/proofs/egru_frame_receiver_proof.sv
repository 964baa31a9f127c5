// egru_frame_receiver finds frames, stores exactly their payload, and says once of each whether it is good.
//
// The neighbours are egru_uart_rx (bytes 10 cycles apart), egru_frame_buffer's cursor (a cycle late) and egru_crc32's times (busy for 8 cycles after a byte).
module egru_frame_receiver_proof (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       listen_i,
  input logic       valid_i,
  input logic       lost_i,
  input logic [7:0] byte_i,
  input logic       good_i
);
  initial assume (!rst_ni);  // and at any time later

  logic       crc_clear, crc_valid, clear, store, valid, dropped;
  logic [3:0] version, kind;
  logic [7:0] sequence_number, length, cursor_q;
  logic [3:0] crc_left_q;
  egru_frame_receiver u_dut (
    .clk_i, .rst_ni, .listen_i, .valid_i, .lost_i, .byte_i, .crc_clear_o(crc_clear), .crc_valid_o(crc_valid), .crc_busy_i(crc_left_q != '0),
    .crc_good_i(good_i), .clear_o(clear), .store_o(store), .count_i(cursor_q), .valid_o(valid), .dropped_o(dropped),
    .version_o(version), .kind_o(kind), .sequence_o(sequence_number), .length_o(length)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [2:0] \u_dut.state_q ;
  (* hierconn *) wire [1:0] \u_dut.crc_index_q ;
  wire [2:0] state     = \u_dut.state_q ;
  wire [1:0] crc_index = \u_dut.crc_index_q ;

  wire        arrives = valid_i || lost_i;
  logic       frame_q, standing_q;       // a frame is under way; a good one has come, and no sync byte since
  logic [8:0] place_q;                   // bytes of the frame so far
  logic [7:0] header_q, sequence_q, length_q;
  logic [3:0] gap_q;                     // cycles since the last byte, up to 10
  logic       clear_q, store_q;
  wire [8:0]  total = 9'd8 + 9'(length_q);
  wire        whole = place_q > 9'd3 && place_q == total;
  wire        over  = frame_q && (!listen_i || lost_i || (whole && crc_left_q == '0));
  wire        sync  = !frame_q && listen_i && valid_i && byte_i == 8'hE5;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {frame_q, standing_q, place_q, gap_q, clear_q, store_q, cursor_q, crc_left_q} <= '0;
    end else begin
      {clear_q, store_q} <= {clear, store};
      cursor_q   <= clear_q ? '0 : cursor_q + 8'(store_q);
      crc_left_q <= crc_clear ? 4'd0 : crc_valid ? 4'd8 : crc_left_q - 4'(crc_left_q != '0);
      gap_q      <= arrives ? 4'd1 : gap_q + 4'(gap_q != 4'd10 && gap_q != '0);
      if (sync) {frame_q, place_q, standing_q} <= {1'b1, 9'd1, 1'b0};
      else if (over) frame_q <= 1'b0;
      else if (frame_q && valid_i) place_q <= place_q + 1'b1;
      if (valid) standing_q <= 1'b1;
      if (frame_q && valid_i && place_q == 9'd1) header_q <= byte_i;
      if (frame_q && valid_i && place_q == 9'd2) sequence_q <= byte_i;
      if (frame_q && valid_i && place_q == 9'd3) length_q <= byte_i;
    end
  end

  wire payload = frame_q && place_q >= 9'd4 && place_q < 9'd4 + 9'(length_q);

  always_comb begin
    assume (!(valid_i && lost_i));
    assume (!arrives || gap_q == '0 || gap_q == 4'd10);
    if (rst_ni) begin
      begins_with_sync: assert (!listen_i || clear == sync);
      stores_the_payload: assert (!listen_i || store == (valid_i && payload));
      payload_in_order: assert (!(listen_i && store) || 9'(cursor_q) == place_q - 9'd4);
      one_verdict:      assert ((valid || dropped) == (over && listen_i) && !(valid && dropped));
      good_when_whole:  assert (!valid || (whole && good_i && !lost_i));
      fields_of_the_frame: assert (!(valid || standing_q) || {version, kind, sequence_number, length} == {header_q, sequence_q, length_q});
      crc_of_all_but_sync: assert (!listen_i || (crc_valid == (valid_i && frame_q) && (!crc_clear || !frame_q) && (!sync || crc_clear)));
      silent_when_deaf: assert (listen_i || !(valid || dropped));
      invariant_idle:   assert (frame_q == (state != 3'd0) && (!frame_q || (place_q != '0 && place_q <= 9'd3) || (place_q >= 9'd4 && place_q <= total)) && (!standing_q || !frame_q));
      invariant_head:   assert (!(frame_q && place_q <= 9'd3) || (9'(state) == place_q && cursor_q == (clear_q ? cursor_q : 8'd0) && !store_q));
      invariant_clear:  assert (!clear_q || (gap_q == 4'd1 && (!frame_q || place_q == 9'd1)));
      invariant_header: assert (!(standing_q || (frame_q && place_q >= 9'd2)) || {version, kind} == header_q);
      invariant_sequence: assert (!(standing_q || (frame_q && place_q >= 9'd3)) || sequence_number == sequence_q);
      invariant_length: assert (!(standing_q || (frame_q && place_q >= 9'd4)) || length == length_q);
      invariant_payload: assert (!payload || (state == 3'd4 && 9'(cursor_q) + 9'(store_q) == place_q - 9'd4));
      invariant_turn:   assert (!(frame_q && place_q == 9'd4 + 9'(length_q) && place_q >= 9'd4) || (state == 3'd4 ? 9'(cursor_q) + 9'(store_q) == 9'(length_q) && gap_q <= 4'd3 : state == 3'd5 && crc_index == '0));
      invariant_crc:    assert (!(frame_q && place_q > 9'd4 + 9'(length_q) && place_q >= 9'd4 && !whole) || (state == 3'd5 && 9'(crc_index) == place_q - 9'd4 - 9'(length_q)));
      invariant_whole:  assert (!(frame_q && whole) || state == 3'd6);
      invariant_index:  assert (!(frame_q && state <= 3'd4) || crc_index == '0);
      invariant_busy:   assert (gap_q <= 4'd10 && (!frame_q || (gap_q != '0 && (crc_left_q == '0 || 5'(crc_left_q) + 5'(gap_q) <= 5'd9))));
      invariant_store:  assert (!store_q || (gap_q == 4'd1 && (!frame_q || place_q >= 9'd5)));
    end
  end
endmodule
