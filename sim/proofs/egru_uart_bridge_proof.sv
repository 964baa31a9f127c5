// egru_uart_bridge executes requests by the rules of AXI4-Stream and AXI4-Lite, sends each word of a STEP once, takes every logit, and answers each word that ends a step.
//
// Its line, frames, CRC and buffer are cut out (see sim/proof_table.py) and have proofs of their own; of them this is assumed: a request comes only while the device listens and stands
// from then on, the sender is done only when it sends, the buffer's cursors count. The core gives `Classes` logits for each word that ends a step, and the register file
// answers what it was asked; both keep their offers.
module egru_uart_bridge_proof #(
  parameter int unsigned MaxTokens = 2,
  parameter int unsigned ValueBits = 0,
  parameter int unsigned Classes = 2,
  parameter int unsigned LogitStore = 1
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        token_ready_i,
  input logic [31:0] logit_i,
  input logic        logit_valid_i,
  input logic        awready_i,
  input logic        wready_i,
  input logic [1:0]  bresp_i,
  input logic        bvalid_i,
  input logic        arready_i,
  input logic [31:0] rdata_i,
  input logic [1:0]  rresp_i,
  input logic        rvalid_i
);
  localparam logic [3:0] StListen = 0, StDecide = 1, StShort = 2, StStep = 3, StAddress = 4, StCount = 5, StWord = 6, StAccess = 7, StRead = 8, StWrite = 9, StFetch = 10,
                         StLogit = 11, StNext = 12, StDone = 13, StSend = 14, StSending = 15;

  initial assume (!rst_ni);  // and at any time later

  logic        tx_unused, error_unused, answer, token_valid, token_last, logit_ready;
  logic [15:0] token;
  logic [11:0] awaddr, araddr;
  logic [2:0]  awprot, arprot;
  logic [31:0] wdata;
  logic [3:0]  wstrb;
  logic        awvalid, wvalid, bready, arvalid, rready;
  egru_uart_bridge #(.ClocksPerBit(8), .MaxTokens(MaxTokens), .ValueBits(ValueBits), .Classes(Classes), .LogitStore(LogitStore != 0)) u_dut (
    .clk_i, .rst_ni, .rx_i(1'b1), .tx_o(tx_unused), .error_o(error_unused), .answer_o(answer),
    .m_axis_tdata(token), .m_axis_tvalid(token_valid), .m_axis_tready(token_ready_i), .m_axis_tlast(token_last),
    .s_axis_tdata(logit_i), .s_axis_tvalid(logit_valid_i), .s_axis_tready(logit_ready), .s_axis_tlast(1'b0),
    .m_axil_awaddr(awaddr), .m_axil_awprot(awprot), .m_axil_awvalid(awvalid), .m_axil_awready(awready_i),
    .m_axil_wdata(wdata), .m_axil_wstrb(wstrb), .m_axil_wvalid(wvalid), .m_axil_wready(wready_i),
    .m_axil_bresp(bresp_i), .m_axil_bvalid(bvalid_i), .m_axil_bready(bready),
    .m_axil_araddr(araddr), .m_axil_arprot(arprot), .m_axil_arvalid(arvalid), .m_axil_arready(arready_i),
    .m_axil_rdata(rdata_i), .m_axil_rresp(rresp_i), .m_axil_rvalid(rvalid_i), .m_axil_rready(rready)
  );

  // Insides; see sim/proving.py. First what the neighbours that are cut out give and take.
  (* hierconn *) wire \u_dut.request ;
  (* hierconn *) wire \u_dut.sent ;
  (* hierconn *) wire \u_dut.sender_next ;
  (* hierconn *) wire \u_dut.sender_clear ;
  (* hierconn *) wire [3:0] \u_dut.version ;
  (* hierconn *) wire [3:0] \u_dut.kind ;
  (* hierconn *) wire [7:0] \u_dut.sequence_number ;
  (* hierconn *) wire [7:0] \u_dut.length ;
  (* hierconn *) wire [7:0] \u_dut.wr_count ;
  (* hierconn *) wire [7:0] \u_dut.rd_count ;
  (* hierconn *) wire [7:0] \u_dut.rd_data ;
  (* hierconn *) wire \u_dut.take ;
  (* hierconn *) wire \u_dut.push ;
  (* hierconn *) wire \u_dut.failed_q ;
  (* hierconn *) wire [3:0] \u_dut.state_q ;
  (* hierconn *) wire [2:0] \u_dut.refusal_q ;
  (* hierconn *) wire [1:0] \u_dut.have_q ;
  (* hierconn *) wire [1:0] \u_dut.moved_q ;
  (* hierconn *) wire \u_dut.full_q ;
  (* hierconn *) wire \u_dut.exhausted_q ;
  (* hierconn *) wire [31:0] \u_dut.word_q ;
  (* hierconn *) wire [2:0] \u_dut.byte_q ;
  (* hierconn *) wire [5:0] \u_dut.left_q ;
  (* hierconn *) wire \u_dut.u_answer.word_valid_q ;
  (* hierconn *) wire \u_dut.u_answer.valid_q ;
  (* hierconn *) wire [(Classes > 1) ? $clog2(Classes) - 1 : 0:0] \u_dut.u_answer.class_q ;
  wire        request   = \u_dut.request ;
  wire        sent      = \u_dut.sent ;
  wire        sender_next = \u_dut.sender_next ;
  wire        sender_clear = \u_dut.sender_clear ;
  wire [3:0]  kind      = \u_dut.kind ;
  wire [7:0]  length    = \u_dut.length ;
  wire [23:0] fields    = {\u_dut.version , kind, \u_dut.sequence_number , length};
  wire [7:0]  rd_count  = \u_dut.rd_count ;
  wire [7:0]  wr_count  = \u_dut.wr_count ;
  wire [7:0]  rd_data   = \u_dut.rd_data ;
  wire        take      = \u_dut.take ;
  wire        push      = \u_dut.push ;
  wire        failed    = \u_dut.failed_q ;
  wire [3:0]  state     = \u_dut.state_q ;
  wire [2:0]  refusal   = \u_dut.refusal_q ;
  wire [1:0]  have      = \u_dut.have_q ;
  wire [1:0]  moved     = \u_dut.moved_q ;
  wire        full      = \u_dut.full_q ;
  wire        exhausted = \u_dut.exhausted_q ;
  wire [31:0] word      = \u_dut.word_q ;
  wire [2:0]  byte_now  = \u_dut.byte_q ;
  wire [7:0]  left      = 8'(\u_dut.left_q );
  wire        word_in   = \u_dut.u_answer.word_valid_q ;
  wire        answer_in = \u_dut.u_answer.valid_q ;
  wire [7:0]  class_in  = 8'(\u_dut.u_answer.class_q );
  wire        listening = state == StListen;

  wire         token_take = token_valid && token_ready_i;
  wire         step_take  = token_take && (token & 16'((1 << ValueBits) - 1)) == '0;
  wire         logit_take = logit_valid_i && logit_ready;
  logic        stands_q, token_waits_q, logit_waits_q, aw_waits_q, w_waits_q, ar_waits_q, b_waits_q, r_waits_q;
  logic        aw_owed_q, w_owed_q, r_owed_q;  // accepted and not answered
  logic [23:0] fields_q;
  logic [16:0] token_q;
  logic [11:0] awaddr_q, araddr_q;
  logic [31:0] wdata_q, logit_q;
  logic [33:0] r_q;
  logic [1:0]  b_q;
  logic [7:0]  cursor_q, placed_q, placed_1_q;  // the buffer's cursors; that for writing is a cycle late
  logic [7:0]  tokens_q, steps_q, answers_q;    // of this STEP: words taken, those of them that end a step, answers given
  logic [7:0]  owed_q, words_q;                 // steps that the core has not answered; words of the answer under way
  logic [15:0] bytes_q;                         // the last two bytes of the request
  always_ff @(posedge clk_i) begin
    {fields_q, token_q, awaddr_q, araddr_q, wdata_q, logit_q, r_q, b_q} <= {fields, token_last, token, awaddr, araddr, wdata, logit_i, rresp_i, rdata_i, bresp_i};
    if (take) bytes_q <= {rd_data, bytes_q[15:8]};
    if (!rst_ni) begin
      {stands_q, token_waits_q, logit_waits_q, aw_waits_q, w_waits_q, ar_waits_q, b_waits_q, r_waits_q, aw_owed_q, w_owed_q, r_owed_q} <= '0;
      {cursor_q, placed_q, placed_1_q, tokens_q, steps_q, answers_q, owed_q, words_q} <= '0;
    end else begin
      stands_q      <= request || !listening;
      token_waits_q <= token_valid && !token_ready_i;
      logit_waits_q <= logit_valid_i && !logit_ready;
      aw_waits_q    <= awvalid && !awready_i;
      w_waits_q     <= wvalid && !wready_i;
      ar_waits_q    <= arvalid && !arready_i;
      b_waits_q     <= bvalid_i && !bready;
      r_waits_q     <= rvalid_i && !rready;
      aw_owed_q     <= (aw_owed_q && !(bvalid_i && bready)) || (awvalid && awready_i);
      w_owed_q      <= (w_owed_q && !(bvalid_i && bready)) || (wvalid && wready_i);
      r_owed_q      <= (r_owed_q && !(rvalid_i && rready)) || (arvalid && arready_i);
      cursor_q      <= (request || sender_clear) ? '0 : cursor_q + 8'(take || sender_next);
      placed_q      <= (request || failed || listening) ? '0 : placed_q + 8'(push);
      placed_1_q    <= placed_q;
      if (state == StDecide) {tokens_q, steps_q, answers_q} <= '0;
      else {tokens_q, steps_q, answers_q} <= {tokens_q + 8'(token_take), steps_q + 8'(step_take), answers_q + 8'(answer)};
      // the core's last word of a step is that of class Classes - 1
      owed_q  <= owed_q + 8'(step_take) - 8'(logit_take && 32'(words_q) == Classes - 1);
      words_q <= answer ? '0 : words_q + 8'(logit_take);
    end
  end

  wire [7:0] asked    = length >> 1;
  wire [7:0] compared = words_q - 8'(word_in);
  wire       writes   = kind == 4'd3 || kind == 4'd4;
  wire       reads    = kind == 4'd2 || kind == 4'd5;
  wire       executes = state >= StStep && state <= StNext;
  wire       legal    = (kind == 4'd1) ? !length[0] && length != '0 && 32'(length) <= 2 * MaxTokens : reads ? length == 8'd3 : writes ? length[1:0] == 2'd2 && length >= 8'd6 && length != 8'd254 : kind == '0;
  wire [5:0] wanted   = word[29:24];  // words of a reply

  always_comb begin
    assume (!request || listening);
    assume (!stands_q || fields == fields_q);
    assume (!sent || state == StSending);
    assume (!sender_next || state == StSending);
    assume (sender_clear == (state == StSend));
    assume (rd_count == cursor_q);
    assume ((state != StAccess && state != StDone) || wr_count == placed_1_q);
    assume (!logit_valid_i || owed_q != '0);
    assume (!logit_waits_q || (logit_valid_i && logit_i == logit_q));
    assume (!bvalid_i || (aw_owed_q && w_owed_q));
    assume (!rvalid_i || r_owed_q);
    assume (!b_waits_q || (bvalid_i && bresp_i == b_q));
    assume (!r_waits_q || (rvalid_i && {rresp_i, rdata_i} == r_q));
    if (rst_ni) begin
      stable_word:       assert (!token_waits_q || (token_valid && {token_last, token} == token_q));
      words_of_the_request: assert (!token_valid || ({token_last, token} == {bytes_q[15], 1'b0, bytes_q[14:0]} && cursor_q == 8'(2 * 32'(tokens_q) + 2) && tokens_q < asked));
      step_is_whole:     assert (state != StDone || kind != 4'd1 || failed || (owed_q == '0 && words_q == '0));
      every_logit_taken: assert (owed_q == '0 || state == StStep);
      answers_its_words: assert (!(state == StStep && left == '0) || (tokens_q == asked && answers_q == steps_q && owed_q == '0 && words_q == '0));
      stable_address:    assert ((!aw_waits_q || (awvalid && awaddr == awaddr_q)) && (!ar_waits_q || (arvalid && araddr == araddr_q)));
      stable_data:       assert (!w_waits_q || (wvalid && wdata == wdata_q));
      whole_words:       assert (awprot == '0 && arprot == '0 && wstrb == '1);
      one_access:        assert (32'(awvalid || wvalid || aw_owed_q || w_owed_q) + 32'(arvalid || r_owed_q) <= 1 && !(awvalid && aw_owed_q) && !(wvalid && w_owed_q) && !(arvalid && r_owed_q));
      responses_taken:   assert (!(aw_owed_q && w_owed_q) || bready);
      reply_fits:        assert (listening || !(push && placed_q == '1));
      invariant_write:   assert (state == StWrite ? (awvalid ^ aw_owed_q) && (wvalid ^ w_owed_q) : !(awvalid || wvalid || aw_owed_q || w_owed_q));
      invariant_read:    assert (state == StRead ? arvalid ^ r_owed_q : !(arvalid || r_owed_q));
      invariant_rvalid:  assert (!(state == StRead && byte_now != '0) || (r_owed_q && r_waits_q && r_q[33:32] == '0));
      invariant_legal:   assert (!(state == StDecide && refusal == '0) || legal);
      invariant_kind:    assert (!executes || (legal && (kind == 4'd1 ? state == StStep : state != StStep && kind != '0)));
      invariant_reads:   assert (!(state == StCount || state == StFetch || state == StLogit || state == StRead) || reads);
      invariant_writes:  assert (!(state == StWord || state == StWrite) || writes);
      invariant_failed:  assert (!failed || state == StShort);
      invariant_stands:  assert (stands_q || listening);
      invariant_bytes:   assert (executes && (state == StAddress || state == StCount || state == StWord || state == StStep) || (!full && have == '0));
      invariant_moved:   assert (!(executes && moved == '0) || exhausted == (cursor_q == length));
      invariant_cursor:  assert (!executes || cursor_q <= length);
      invariant_decide:  assert (state != StDecide || (cursor_q == '0 && placed_q == '0));
      invariant_step_bytes: assert (state != StStep || ((full ? have == '0 && !cursor_q[0] : have == {1'b0, cursor_q[0]}) && cursor_q[7:1] == 7'(tokens_q) + 7'(full) && tokens_q <= asked));
      invariant_address: assert (state != StAddress || (full ? cursor_q == 8'd2 && have == '0 : cursor_q == 8'(have) && !have[1]));
      invariant_count:   assert (state != StCount || (have == '0 && cursor_q == (full ? 8'd3 : 8'd2)));
      invariant_word:    assert (state != StWord || (full ? have == '0 && cursor_q[1:0] == 2'd2 && cursor_q >= 8'd6 : cursor_q[1:0] == 2'd2 + have && cursor_q >= 8'd2));
      invariant_after:   assert (!(executes && state >= StAccess) || (writes ? cursor_q[1:0] == 2'd2 && cursor_q >= 8'd6 : cursor_q == 8'd3));
      invariant_token:   assert (state != StStep || ((!full || word[31:16] == bytes_q) && (have == '0 || word[31:24] == bytes_q[15:8])));
      invariant_nothing: assert (state == StStep || (owed_q == '0 && words_q == '0));
      invariant_owed:    assert (state != StStep || (owed_q <= steps_q && (words_q == '0 || 32'(words_q) == Classes || owed_q != '0)));
      invariant_answers: assert (state != StStep || (answers_q <= steps_q && steps_q <= tokens_q && steps_q == answers_q + 8'(32'(words_q) == Classes) + owed_q && left == asked - answers_q - (tokens_q - steps_q)));
      invariant_words:   assert (32'(words_q) <= Classes && (!word_in || words_q != '0) && answer_in == (32'(words_q) == Classes && !word_in) && class_in == ((32'(compared) == Classes) ? 8'd0 : compared));
      invariant_answer_byte: assert (state != StStep || (answer_in ? byte_now != 3'd4 && byte_now != 3'd5 : byte_now == 3'd6));
      invariant_byte:    assert (!(executes && state != StStep) || ((state == StRead || state == StLogit) ? byte_now <= 3'd3 : byte_now == '0));
      invariant_step_reply: assert (state != StStep || 32'(placed_q) == 6 * 32'(answers_q) + (byte_now == 3'd6 ? 0 : byte_now == 3'd7 ? 1 : 2 + 32'(byte_now)));
      invariant_no_reply: assert (!(executes && (writes || state == StAddress || state == StCount)) || placed_q == '0);
      invariant_reply:   assert (!(executes && reads && state >= StAccess) || (placed_q[1:0] == byte_now[1:0] && wanted != '0 && placed_q[7:2] <= wanted));
      invariant_more:    assert (!(reads && (state == StRead || state == StFetch || state == StLogit)) || placed_q[7:2] < wanted);
      invariant_placed:  assert (state != StAccess || placed_1_q == placed_q);
      invariant_short:   assert (!(state == StShort && !failed) || placed_q <= 8'(byte_now));
    end
  end
endmodule
