// UART host link: executes the requests of a host, one at a time, and answers each (docs/host_link.md is normative).
//
// The words of STEP, tokens or those of a feature stream, go out on m_axis as fast as the core takes them, while the logits that come back on s_axis,
// `Classes` words a step of the core, are reduced to answers. A word ends a step when its low `ValueBits` bits are 0: every token does. A STEP is
// over when all its words have gone out and each that ends a step has its answer: between requests the core has no ended step under way. READ, WRITE
// and FILL are accesses on m_axil, one after another. `LogitStore` keeps the last step's logits for LOGITS.
//
// Payloads of request and reply live in the two halves of `u_buffer`. A request writes its half while `StListen`; then it is read there, and the
// reply is written to the other half, where it stays until the next request is executed, so that it can be sent again.
module egru_uart_bridge #(
  parameter int unsigned ClocksPerBit = 16,
  parameter int unsigned MaxTokens = 32,  // of a STEP, or words of a feature stream
  parameter int unsigned ValueBits = 0,   // of the value in such a word; 0: tokens
  parameter int unsigned Classes = 32,
  parameter bit          LogitStore = 1'b1
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        rx_i,
  output logic        tx_o,
  output logic        error_o,   // pulse: a stop bit was low, or a frame was dropped
  output logic        answer_o,  // pulse: a step has been answered

  output logic [15:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  logic        m_axis_tready,
  output logic        m_axis_tlast,

  input  logic [31:0] s_axis_tdata,
  input  logic        s_axis_tvalid,
  output logic        s_axis_tready,
  input  logic        s_axis_tlast,

  output logic [11:0] m_axil_awaddr,
  output logic [2:0]  m_axil_awprot,
  output logic        m_axil_awvalid,
  input  logic        m_axil_awready,
  output logic [31:0] m_axil_wdata,
  output logic [3:0]  m_axil_wstrb,
  output logic        m_axil_wvalid,
  input  logic        m_axil_wready,
  input  logic [1:0]  m_axil_bresp,
  input  logic        m_axil_bvalid,
  output logic        m_axil_bready,
  output logic [11:0] m_axil_araddr,
  output logic [2:0]  m_axil_arprot,
  output logic        m_axil_arvalid,
  input  logic        m_axil_arready,
  input  logic [31:0] m_axil_rdata,
  input  logic [1:0]  m_axil_rresp,
  input  logic        m_axil_rvalid,
  output logic        m_axil_rready
);
  localparam int unsigned ClassBits = (Classes > 1) ? $clog2(Classes) : 1;
  localparam logic [15:0] ValueMask = 16'((1 << ValueBits) - 1);

  localparam logic [3:0] Version = 4'd1;

  localparam logic [3:0] KindHello  = 4'd0;
  localparam logic [3:0] KindStep   = 4'd1;
  localparam logic [3:0] KindRead   = 4'd2;
  localparam logic [3:0] KindWrite  = 4'd3;
  localparam logic [3:0] KindFill   = 4'd4;
  localparam logic [3:0] KindLogits = 4'd5;
  localparam logic [3:0] KindError  = 4'hF;

  localparam logic [2:0] ErrorNone     = 3'd0;
  localparam logic [2:0] ErrorKind     = 3'd1;
  localparam logic [2:0] ErrorLength   = 3'd2;
  localparam logic [2:0] ErrorAccess   = 3'd3;
  localparam logic [2:0] ErrorVersion  = 3'd4;
  localparam logic [2:0] ErrorNotThere = 3'd5;
  localparam logic [2:0] ErrorSession  = 3'd6;

  // Every piece of a reply ends with byte 3 of a counter: a word or the reply to HELLO begins at 0, an error at 2, an answer (class, logit) at 6.
  localparam logic [2:0] LastByte    = 3'd3;
  localparam logic [2:0] ErrorByte   = 3'd2;
  localparam logic [2:0] AnswerByte  = 3'd6;

  typedef enum logic [3:0] {
    StListen,   // a request is being received
    StDecide,
    StShort,    // reply to HELLO, or an error
    StStep,
    StAddress,  // address of an access, or first class of LOGITS
    StCount,    // how many words the reply has
    StWord,     // word to be written
    StAccess,
    StRead,
    StWrite,
    StFetch,    // a kept logit comes out of its memory
    StLogit,
    StNext,
    StDone,     // executed: remember what a repetition needs
    StSend,
    StSending
  } state_e;

  state_e state_q, state_d;

  // ---- line -----------------------------------------------------------------------------------------------------------------------------
  logic       rx_valid, rx_lost, tx_valid, tx_ready;
  logic [7:0] rx_data, tx_data;

  egru_uart_rx #(.ClocksPerBit(ClocksPerBit)) u_rx (
    .clk_i, .rst_ni, .rx_i, .valid_o(rx_valid), .data_o(rx_data), .error_o(rx_lost)
  );

  egru_uart_tx #(.ClocksPerBit(ClocksPerBit)) u_tx (
    .clk_i, .rst_ni, .valid_i(tx_valid), .ready_o(tx_ready), .data_i(tx_data), .tx_o
  );

  // ---- frames and their buffer ----------------------------------------------------------------------------------------------------------
  logic       listening, request, dropped, receiver_clear, receiver_store, sending, sent, sender_clear, sender_next;
  logic [3:0] version, kind;
  logic [7:0] sequence_number, length;
  logic       failed_q, push, take;  // failed_q: what has been written of a reply gives way to an error
  logic [7:0] wr_count, rd_count, rd_data, push_data;
  logic [3:0] reply_kind_q;
  logic [7:0] reply_length_q;

  assign listening = state_q == StListen;
  assign sending   = state_q == StSending;
  assign error_o   = rx_lost || dropped;

  // A device either listens or sends: one CRC does for both.
  logic       crc_busy, crc_good, receiver_crc_clear, receiver_crc_valid, sender_crc_clear, sender_crc_valid, sender_crc_drop;
  logic [7:0] crc_byte;

  egru_crc32 u_crc (
    .clk_i, .rst_ni,
    .clear_i(listening ? receiver_crc_clear : sender_crc_clear), .valid_i(listening ? receiver_crc_valid : sender_crc_valid),
    .drop_i(sender_crc_drop), .data_i(listening ? rx_data : tx_data), .busy_o(crc_busy), .byte_o(crc_byte), .good_o(crc_good)
  );

  egru_frame_receiver u_receiver (
    .clk_i, .rst_ni, .listen_i(listening), .valid_i(rx_valid), .lost_i(rx_lost), .byte_i(rx_data),
    .crc_clear_o(receiver_crc_clear), .crc_valid_o(receiver_crc_valid), .crc_busy_i(crc_busy), .crc_good_i(crc_good),
    .clear_o(receiver_clear), .store_o(receiver_store), .count_i(wr_count), .valid_o(request), .dropped_o(dropped),
    .version_o(version), .kind_o(kind), .sequence_o(sequence_number), .length_o(length)
  );

  egru_frame_buffer u_buffer (
    .clk_i,
    .rst_ni,
    .wr_reply_i(!listening),
    .wr_clear_i(listening ? receiver_clear || request : failed_q),
    .wr_valid_i(listening ? receiver_store : push),
    .wr_data_i (listening ? rx_data : push_data),
    .wr_count_o(wr_count),
    .rd_reply_i(sending),
    .rd_clear_i(request || sender_clear),
    .rd_next_i (take || sender_next),
    .rd_data_o (rd_data),
    .rd_count_o(rd_count)
  );

  egru_frame_sender u_sender (
    .clk_i, .rst_ni, .start_i(state_q == StSend), .kind_i(reply_kind_q), .sequence_i(sequence_number), .length_i(reply_length_q),
    .done_o(sent), .clear_o(sender_clear), .next_o(sender_next), .count_i(rd_count), .data_i(rd_data),
    .crc_clear_o(sender_crc_clear), .crc_valid_o(sender_crc_valid), .crc_drop_o(sender_crc_drop), .crc_busy_i(crc_busy), .crc_byte_i(crc_byte),
    .valid_o(tx_valid), .ready_i(tx_ready), .byte_o(tx_data)
  );

  // ---- what may be executed -------------------------------------------------------------------------------------------------------------
  logic       session_q, remembered_q;  // a session is open; a request has been executed in it
  logic [7:0] last_sequence_q;
  logic [2:0] refusal, refusal_q;
  logic       repetition_q, step_length, words_length;

  assign step_length  = !length[0] && length != '0 && 32'(length) <= 2 * MaxTokens;
  assign words_length = length[1:0] == 2'd2 && length != 8'd2 && length != 8'd254;  // an address and 1 to 62 words

  always_comb begin
    refusal = ErrorNone;
    case (kind)
      KindHello:           if (length != '0) refusal = ErrorLength;
      KindStep:            if (!step_length) refusal = ErrorLength;
      KindRead:            if (length != 8'd3) refusal = ErrorLength;
      KindWrite, KindFill: if (!words_length) refusal = ErrorLength;
      KindLogits: begin
        if (!LogitStore) refusal = ErrorNotThere;
        else if (length != 8'd3) refusal = ErrorLength;
      end
      default: refusal = ErrorKind;
    endcase
    if (!session_q && kind != KindHello) refusal = ErrorSession;
    if (version != Version) refusal = ErrorVersion;
  end

  // What the receiver says stands long before the CRC has come.
  always_ff @(posedge clk_i) begin
    refusal_q    <= refusal;
    repetition_q <= remembered_q && sequence_number == last_sequence_q && version == Version && kind != KindHello;
  end

  // ---- bytes of the request become an address, a count, words and tokens ----------------------------------------------------------------
  logic [31:0] word_q;   // bytes enter at the top
  logic [1:0]  have_q, want_last;
  logic [1:0]  moved_q;  // the cursor moved one, two cycles ago: its byte is not there yet
  logic        full_q, exhausted_q, gathering, used;

  assign gathering = state_q == StAddress || state_q == StCount || ((state_q == StWord || state_q == StStep) && !exhausted_q);
  assign want_last = (state_q == StWord) ? 2'd3 : (state_q == StCount) ? 2'd0 : 2'd1;
  assign take      = gathering && !full_q && moved_q == '0;

  always_ff @(posedge clk_i) begin
    if (take) word_q <= {rd_data, word_q[31:8]};
    exhausted_q <= rd_count == length;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      have_q  <= '0;
      full_q  <= 1'b0;
      moved_q <= '0;
    end else begin
      moved_q <= {moved_q[0], take || request};
      if (take) have_q <= (have_q == want_last) ? '0 : have_q + 1'b1;
      full_q <= (take && have_q == want_last) || (full_q && !used);
    end
  end

  // ---- execution ------------------------------------------------------------------------------------------------------------------------
  logic [15:0] address_q, address_d;
  logic [2:0]  byte_q, byte_d, error_q, error_d;
  logic [5:0]  left_q;     // words of a STEP that have not gone out, or have no answer yet and are to get one
  logic        event_out;  // a word goes out that gets none
  logic        aw_pending_q, aw_pending_d, w_pending_q, w_pending_d, ar_pending_q, ar_pending_d;
  logic        last_byte, writes, over, answer_valid;
  logic [1:0]  stored_index;
  logic [31:0] answer_logit, stored;
  logic [7:0]  stored_byte_q;  // a block RAM is too slow to be read, selected from and written to another in one cycle
  logic [ClassBits-1:0] answer_class;

  assign last_byte = byte_q == LastByte;
  assign stored_index = byte_q[1:0] + 2'(state_q == StLogit);
  assign writes    = kind == KindWrite || kind == KindFill;
  assign over      = wr_count[7:2] == word_q[29:24];

  egru_answer #(.Classes(Classes), .LogitStore(LogitStore)) u_answer (
    .clk_i, .rst_ni, .active_i(state_q == StStep), .s_axis_tdata, .s_axis_tvalid, .s_axis_tready, .s_axis_tlast,
    .valid_o(answer_valid), .ready_i(last_byte), .class_o(answer_class), .logit_o(answer_logit),
    .stored_class_i(ClassBits'(address_q)), .stored_o(stored)
  );

  always_comb begin
    state_d      = state_q;
    error_d      = ErrorNone;
    address_d    = address_q;
    aw_pending_d = aw_pending_q && !m_axil_awready;
    w_pending_d  = w_pending_q && !m_axil_wready;
    ar_pending_d = ar_pending_q && !m_axil_arready;
    used         = 1'b0;
    push         = 1'b0;
    case (state_q)
      StListen: if (request) state_d = StDecide;
      StDecide: begin
        case (kind)
          KindHello: state_d = StShort;
          KindStep:  state_d = StStep;
          default:   state_d = StAddress;
        endcase
        if (repetition_q) state_d = StSend;
        else error_d = refusal_q;
      end
      StShort: begin
        push = !failed_q && !byte_q[2];
        if (!failed_q && byte_q[2]) state_d = StDone;  // a cycle later, when the cursor has moved on
      end
      StStep: begin
        push = answer_valid;
        used = m_axis_tready;
        if (left_q == '0) state_d = StDone;
      end
      StAddress: begin
        used = 1'b1;
        if (full_q) begin
          address_d = word_q[31:16];
          state_d   = writes ? StWord : StCount;
        end
      end
      StCount: begin
        used = 1'b1;
        if (full_q) begin
          if (word_q[31:30] != '0 || word_q[29:24] == '0) error_d = ErrorLength;
          state_d = StAccess;
        end
      end
      StWord: begin
        used = 1'b1;
        if (full_q) state_d = StAccess;
        else if (exhausted_q) state_d = StDone;
      end
      StAccess: begin
        if (!writes && over) begin
          state_d = StDone;
        end else if (kind == KindLogits) begin
          if (32'(address_q) >= Classes) error_d = ErrorNotThere;
          state_d = StFetch;
        end else begin
          if (address_q[15:12] != '0) error_d = ErrorAccess;
          else begin
            aw_pending_d = writes;
            w_pending_d  = writes;
            ar_pending_d = !writes;
          end
          state_d = writes ? StWrite : StRead;
        end
      end
      StRead: begin
        if (m_axil_rvalid) begin
          if (m_axil_rresp != 2'b00) error_d = ErrorAccess;
          push = 1'b1;
          if (last_byte) state_d = StNext;
        end
      end
      StWrite: begin
        if (m_axil_bvalid) begin
          if (m_axil_bresp != 2'b00) error_d = ErrorAccess;
          state_d = StNext;
        end
      end
      StFetch: state_d = StLogit;
      StLogit: begin
        push = 1'b1;
        if (last_byte) state_d = StNext;
      end
      StNext: begin
        if (kind == KindLogits) address_d = address_q + 16'd1;
        else if (kind != KindFill) address_d = address_q + 16'd4;
        state_d = writes ? StWord : StAccess;
      end
      StDone:    state_d = StSend;
      StSend:    state_d = StSending;
      StSending: if (sent) state_d = StListen;
      default:   state_d = StListen;
    endcase
    if (error_d != ErrorNone) state_d = StShort;
  end

  always_comb begin
    byte_d = byte_q;
    if (push) byte_d = byte_q + 1'b1;
    if (push && last_byte && state_q != StShort) byte_d = (state_q == StStep) ? AnswerByte : '0;
    if (state_q == StDecide) byte_d = (kind == KindStep) ? AnswerByte : '0;
    if (failed_q) byte_d = ErrorByte;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q      <= StListen;
      error_q      <= ErrorNone;
      failed_q     <= 1'b0;
      aw_pending_q <= 1'b0;
      w_pending_q  <= 1'b0;
      ar_pending_q <= 1'b0;
      session_q    <= 1'b0;
      remembered_q <= 1'b0;
    end else begin
      state_q      <= state_d;
      failed_q     <= error_d != ErrorNone;
      if (error_d != ErrorNone) error_q <= error_d;
      else if (listening) error_q <= ErrorNone;
      aw_pending_q <= aw_pending_d;
      w_pending_q  <= w_pending_d;
      ar_pending_q <= ar_pending_d;
      if (state_q == StDone) begin
        session_q    <= session_q || error_q == ErrorNone;
        remembered_q <= kind != KindHello || error_q != ErrorNone;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    address_q <= address_d;
    byte_q    <= byte_d;
    stored_byte_q <= stored[8*stored_index +: 8];
    if (state_q == StDecide) left_q <= length[6:1];
    else left_q <= left_q - 6'(answer_o) - 6'(event_out);
    if (state_q == StDone) begin
      last_sequence_q <= sequence_number;
      reply_kind_q    <= (error_q == ErrorNone) ? kind : KindError;
      reply_length_q  <= wr_count;
    end
  end

  assign answer_o  = state_q == StStep && answer_valid && last_byte;
  assign event_out = m_axis_tvalid && m_axis_tready && (m_axis_tdata & ValueMask) != '0;

  // In HELLO's reply error and kind are 0, and so are its last two bytes.
  always_comb begin
    case (state_q)
      StStep: begin
        case (byte_q)
          AnswerByte:        push_data = 8'(answer_class);
          AnswerByte + 3'd1: push_data = 8'(16'(answer_class) >> 8);
          default:           push_data = answer_logit[8*byte_q[1:0] +: 8];
        endcase
      end
      StRead:  push_data = m_axil_rdata[8*byte_q[1:0] +: 8];
      StLogit: push_data = stored_byte_q;
      default: begin
        case (byte_q[1:0])
          2'd0:    push_data = 8'(MaxTokens);
          2'd1:    push_data = {7'd0, LogitStore};
          2'd2:    push_data = {5'd0, error_q};
          default: push_data = {4'd0, kind};
        endcase
      end
    endcase
  end

  assign m_axis_tvalid = state_q == StStep && full_q;
  assign m_axis_tdata  = {1'b0, word_q[30:16]};
  assign m_axis_tlast  = word_q[31];

  assign m_axil_awaddr  = address_q[11:0];
  assign m_axil_awprot  = '0;
  assign m_axil_awvalid = aw_pending_q;
  assign m_axil_wdata   = word_q;
  assign m_axil_wstrb   = '1;
  assign m_axil_wvalid  = w_pending_q;
  assign m_axil_bready  = state_q == StWrite;
  assign m_axil_araddr  = address_q[11:0];
  assign m_axil_arprot  = '0;
  assign m_axil_arvalid = ar_pending_q;
  assign m_axil_rready  = state_q == StRead && (last_byte || m_axil_rresp != 2'b00);  // the word stands while its bytes are put away

`ifndef SYNTHESIS
  initial begin
    if (MaxTokens < 1 || MaxTokens > 42) $fatal(1, "egru_uart_bridge: MaxTokens=%0d must be 1 to 42, for the reply to fit a frame", MaxTokens);
    if (ValueBits > 14) $fatal(1, "egru_uart_bridge: ValueBits=%0d must be 0 to 14, for a word of 15 bits to have an index", ValueBits);
    if (Classes < 1 || Classes > 65536) $fatal(1, "egru_uart_bridge: Classes=%0d must be 1 to 65536", Classes);
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (state_q != StDecide || (have_q == '0 && !full_q)) else $error("egru_uart_bridge: bytes left over from the last request");
      assert (!m_axil_bvalid || (state_q == StWrite && !aw_pending_q && !w_pending_q))
        else $error("egru_uart_bridge: a write response that no write asked for");
      assert (!m_axil_rvalid || (state_q == StRead && !ar_pending_q)) else $error("egru_uart_bridge: read data that no read asked for");
      assert (!(push && listening)) else $error("egru_uart_bridge: a reply while a request is received");
    end
  end
`endif
endmodule
