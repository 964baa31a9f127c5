// UART bridge: bytes of a host become tokens (AXI4-Stream) and register accesses (AXI4-Lite); what comes back becomes bytes.
//
// All values are little endian. Commands, host to FPGA, executed in their order:
//
//   0x01 lo hi            token {hi[6:0], lo}; bit 15 of the word marks the last token of a sequence (TLAST)
//   0x02 lo hi            read the register at byte address {hi, lo}
//   0x03 lo hi d0 d1 d2 d3  write d to the register at byte address {hi, lo}
//
// Replies, FPGA to host; the first byte says what follows:
//
//   0x80 b0 b1 b2 b3      one word that the core sent
//   0x81 b0 b1 b2 b3      likewise, with TLAST
//   0x82 b0 b1 b2 b3      register read
//   0x83                  register written
//   0x8A b0 b1 b2 b3      register read refused (address above 0xFFF, or an error response); the data have no meaning
//   0x8B                  register write refused
//   0x8E                  bytes from the host were lost: a stop bit was low, or the queue was full
//   0x8F                  a byte was found where a command should stand, and is no command
//
// Each command 0x02 and 0x03 has exactly one reply; a token has none of its own, the core's words follow in their time. Replies never mix
// within one another; a register reply is sent before a waiting core word. The UART knows no flow control: `QueueBytes` bytes are kept
// while a token waits for the core, so a host must not run further ahead than that.
module egru_uart_bridge #(
  parameter int unsigned ClocksPerBit = 16,
  parameter int unsigned QueueBytes = 64
) (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        rx_i,
  output logic        tx_o,
  output logic        error_o,  // pulse: bytes from the host were lost

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
  localparam logic [7:0] CmdToken = 8'h01;
  localparam logic [7:0] CmdRead  = 8'h02;
  localparam logic [7:0] CmdWrite = 8'h03;

  localparam logic [7:0] TagWord        = 8'h80;
  localparam logic [7:0] TagLastWord    = 8'h81;
  localparam logic [7:0] TagRead        = 8'h82;
  localparam logic [7:0] TagWritten     = 8'h83;
  localparam logic [7:0] TagReadFailed  = 8'h8A;
  localparam logic [7:0] TagWriteFailed = 8'h8B;
  localparam logic [7:0] TagLost        = 8'h8E;
  localparam logic [7:0] TagUnknown     = 8'h8F;

  localparam logic [2:0] OnlyTag = 3'd1;
  localparam logic [2:0] TagAndWord = 3'd5;

  typedef enum logic [2:0] {StCommand, StOperands, StToken, StRead, StReadData, StWrite, StWriteResponse, StReply} state_e;

  // ---- bytes in -------------------------------------------------------------------------------------------------------------------------
  logic       rx_valid, rx_error, rx_ready, queue_valid, queue_ready, byte_valid, byte_ready;
  logic [7:0] rx_data, queue_data, byte_data;
  logic       lost;
  localparam int unsigned FrontBytes = 2;
  logic [$clog2(QueueBytes - FrontBytes + 1)-1:0] level_unused;

  egru_uart_rx #(
    .ClocksPerBit(ClocksPerBit)
  ) u_rx (
    .clk_i,
    .rst_ni,
    .rx_i,
    .valid_o(rx_valid),
    .data_o (rx_data),
    .error_o(rx_error)
  );

  egru_fifo #(
    .Width(8),
    .Depth(QueueBytes - FrontBytes)
  ) u_queue (
    .clk_i,
    .rst_ni,
    .valid_i(rx_valid),
    .ready_o(rx_ready),
    .data_i (rx_data),
    .valid_o(queue_valid),
    .ready_i(queue_ready),
    .data_o (queue_data),
    .count_o(level_unused)
  );

  // A deep queue answers late in a cycle; the commands are read from a short one behind it. Together they hold QueueBytes.
  logic [$clog2(FrontBytes + 1)-1:0] front_unused;
  egru_fifo #(
    .Width(8),
    .Depth(FrontBytes)
  ) u_front (
    .clk_i,
    .rst_ni,
    .valid_i(queue_valid),
    .ready_o(queue_ready),
    .data_i (queue_data),
    .valid_o(byte_valid),
    .ready_i(byte_ready),
    .data_o (byte_data),
    .count_o(front_unused)
  );

  assign lost    = rx_error || (rx_valid && !rx_ready);
  assign error_o = lost;

  // ---- commands -------------------------------------------------------------------------------------------------------------------------
  state_e      state_q, state_d;
  logic [7:0]  command_q, command_d;
  logic [47:0] operands_q, operands_d;  // bytes enter at the top: the last one received is the highest
  logic [2:0]  missing_q, missing_d;
  logic        aw_pending_q, aw_pending_d, w_pending_q, w_pending_d;
  logic [7:0]  tag_q, tag_d;
  logic [31:0] reply_q, reply_d;
  logic [3:0]  address_high;
  logic        reply_taken;

  assign address_high = (command_q == CmdWrite) ? operands_d[15:12] : operands_d[47:44];
  assign byte_ready   = (state_q == StCommand) || (state_q == StOperands);

  always_comb begin
    state_d      = state_q;
    command_d    = command_q;
    operands_d   = operands_q;
    missing_d    = missing_q;
    aw_pending_d = aw_pending_q && !m_axil_awready;
    w_pending_d  = w_pending_q && !m_axil_wready;
    tag_d        = tag_q;
    reply_d      = reply_q;
    case (state_q)
      StCommand: begin
        if (byte_valid) begin
          command_d = byte_data;
          missing_d = (byte_data == CmdWrite) ? 3'd6 : 3'd2;
          state_d   = StOperands;
          if (byte_data != CmdToken && byte_data != CmdRead && byte_data != CmdWrite) begin
            tag_d   = TagUnknown;
            state_d = StReply;
          end
        end
      end
      StOperands: begin
        if (byte_valid) begin
          operands_d = {byte_data, operands_q[47:8]};
          missing_d  = missing_q - 1'b1;
          if (missing_q == 3'd1) begin
            if (command_q == CmdToken) begin
              state_d = StToken;
            end else if (address_high != '0) begin
              tag_d   = (command_q == CmdRead) ? TagReadFailed : TagWriteFailed;
              state_d = StReply;
            end else if (command_q == CmdRead) begin
              state_d = StRead;
            end else begin
              aw_pending_d = 1'b1;
              w_pending_d  = 1'b1;
              state_d      = StWrite;
            end
          end
        end
      end
      StToken: if (m_axis_tready) state_d = StCommand;
      StRead:  if (m_axil_arready) state_d = StReadData;
      StReadData: begin
        if (m_axil_rvalid) begin
          tag_d   = (m_axil_rresp == 2'b00) ? TagRead : TagReadFailed;
          reply_d = m_axil_rdata;
          state_d = StReply;
        end
      end
      StWrite: if (!aw_pending_d && !w_pending_d) state_d = StWriteResponse;
      StWriteResponse: begin
        if (m_axil_bvalid) begin
          tag_d   = (m_axil_bresp == 2'b00) ? TagWritten : TagWriteFailed;
          state_d = StReply;
        end
      end
      StReply: if (reply_taken) state_d = StCommand;
      default: state_d = StCommand;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q      <= StCommand;
      command_q    <= '0;
      operands_q   <= '0;
      missing_q    <= '0;
      aw_pending_q <= 1'b0;
      w_pending_q  <= 1'b0;
      tag_q        <= '0;
      reply_q      <= '0;
    end else begin
      state_q      <= state_d;
      command_q    <= command_d;
      operands_q   <= operands_d;
      missing_q    <= missing_d;
      aw_pending_q <= aw_pending_d;
      w_pending_q  <= w_pending_d;
      tag_q        <= tag_d;
      reply_q      <= reply_d;
    end
  end

  assign m_axis_tvalid = state_q == StToken;
  assign m_axis_tdata  = {1'b0, operands_q[46:32]};
  assign m_axis_tlast  = operands_q[47];

  assign m_axil_awaddr  = operands_q[11:0];
  assign m_axil_awprot  = '0;
  assign m_axil_awvalid = aw_pending_q;
  assign m_axil_wdata   = operands_q[47:16];
  assign m_axil_wstrb   = '1;
  assign m_axil_wvalid  = w_pending_q;
  assign m_axil_bready  = state_q == StWriteResponse;
  assign m_axil_araddr  = operands_q[43:32];
  assign m_axil_arprot  = '0;
  assign m_axil_arvalid = state_q == StRead;
  assign m_axil_rready  = state_q == StReadData;

  // ---- replies --------------------------------------------------------------------------------------------------------------------------
  logic [39:0] frame_q;
  logic [2:0]  left_q;
  logic        lost_q, idle, tx_ready, send_reply, send_lost, send_word, reply_has_word;

  assign idle           = left_q == '0;
  assign send_reply     = idle && state_q == StReply;
  assign send_lost      = idle && !send_reply && lost_q;
  assign s_axis_tready  = idle && state_q != StReply && !lost_q;
  assign send_word      = s_axis_tready && s_axis_tvalid;
  assign reply_taken    = send_reply;
  assign reply_has_word = tag_q == TagRead || tag_q == TagReadFailed;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      frame_q <= '0;
      left_q  <= '0;
      lost_q  <= 1'b0;
    end else begin
      lost_q <= lost || (lost_q && !send_lost);
      if (send_reply) begin
        frame_q <= {reply_q, tag_q};
        left_q  <= reply_has_word ? TagAndWord : OnlyTag;
      end else if (send_lost) begin
        frame_q[7:0] <= TagLost;
        left_q       <= OnlyTag;
      end else if (send_word) begin
        frame_q <= {s_axis_tdata, s_axis_tlast ? TagLastWord : TagWord};
        left_q  <= TagAndWord;
      end else if (!idle && tx_ready) begin
        frame_q <= {8'h00, frame_q[39:8]};
        left_q  <= left_q - 1'b1;
      end
    end
  end

  egru_uart_tx #(
    .ClocksPerBit(ClocksPerBit)
  ) u_tx (
    .clk_i,
    .rst_ni,
    .valid_i(!idle),
    .ready_o(tx_ready),
    .data_i (frame_q[7:0]),
    .tx_o
  );

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (left_q <= TagAndWord) else $error("egru_uart_bridge: a frame of %0d bytes", left_q);
      assert (!m_axil_bvalid || state_q == StWrite || state_q == StWriteResponse)
        else $error("egru_uart_bridge: a write response that no write asked for");
      assert (!m_axil_rvalid || state_q == StReadData) else $error("egru_uart_bridge: read data that no read asked for");
    end
  end
`endif
endmodule
