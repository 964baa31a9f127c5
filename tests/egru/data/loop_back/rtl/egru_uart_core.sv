// The core `egru_top` behind a serial line: what a board's top connects to its pins. The protocol stands in docs/host_link.md.
//
// lights_o: [0] changes with every word that the core takes, [1] with every answer; [2] bytes or frames from the host were lost, until the
// next reset; [3] interrupt of the core.
module egru_uart_core #(
  parameter int unsigned ClocksPerBit = 16,
  parameter int unsigned MaxTokens = 32,      // of a STEP, or words of a feature stream
  parameter bit          LogitStore = 1'b1    // keep the last step's logits for LOGITS
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,
  output logic       tx_o,
  output logic [3:0] lights_o
);
  logic [15:0] token_data;
  logic        token_valid, token_ready, token_last;
  logic [31:0] logit_data;
  logic        logit_valid, logit_ready, logit_last;
  logic [11:0] awaddr, araddr;
  logic [2:0]  awprot, arprot;
  logic [31:0] wdata, rdata;
  logic [3:0]  wstrb;
  logic [1:0]  bresp, rresp;
  logic        awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
  logic        lost, answer, irq;

  egru_uart_bridge #(
    .ClocksPerBit(ClocksPerBit),
    .MaxTokens   (MaxTokens),
    .ValueBits   (0),
    .Classes     (1),
    .LogitStore  (LogitStore)
  ) u_bridge (
    .clk_i,
    .rst_ni,
    .rx_i,
    .tx_o,
    .error_o       (lost),
    .answer_o      (answer),
    .m_axis_tdata  (token_data),
    .m_axis_tvalid (token_valid),
    .m_axis_tready (token_ready),
    .m_axis_tlast  (token_last),
    .s_axis_tdata  (logit_data),
    .s_axis_tvalid (logit_valid),
    .s_axis_tready (logit_ready),
    .s_axis_tlast  (logit_last),
    .m_axil_awaddr (awaddr),
    .m_axil_awprot (awprot),
    .m_axil_awvalid(awvalid),
    .m_axil_awready(awready),
    .m_axil_wdata  (wdata),
    .m_axil_wstrb  (wstrb),
    .m_axil_wvalid (wvalid),
    .m_axil_wready (wready),
    .m_axil_bresp  (bresp),
    .m_axil_bvalid (bvalid),
    .m_axil_bready (bready),
    .m_axil_araddr (araddr),
    .m_axil_arprot (arprot),
    .m_axil_arvalid(arvalid),
    .m_axil_arready(arready),
    .m_axil_rdata  (rdata),
    .m_axil_rresp  (rresp),
    .m_axil_rvalid (rvalid),
    .m_axil_rready (rready)
  );

  egru_top u_core (
    .clk_i,
    .rst_ni,
    .s_axis_tdata  (token_data),
    .s_axis_tvalid (token_valid),
    .s_axis_tready (token_ready),
    .s_axis_tlast  (token_last),
    .m_axis_tdata  (logit_data),
    .m_axis_tvalid (logit_valid),
    .m_axis_tready (logit_ready),
    .m_axis_tlast  (logit_last),
    .s_axil_awaddr (awaddr),
    .s_axil_awprot (awprot),
    .s_axil_awvalid(awvalid),
    .s_axil_awready(awready),
    .s_axil_wdata  (wdata),
    .s_axil_wstrb  (wstrb),
    .s_axil_wvalid (wvalid),
    .s_axil_wready (wready),
    .s_axil_bresp  (bresp),
    .s_axil_bvalid (bvalid),
    .s_axil_bready (bready),
    .s_axil_araddr (araddr),
    .s_axil_arprot (arprot),
    .s_axil_arvalid(arvalid),
    .s_axil_arready(arready),
    .s_axil_rdata  (rdata),
    .s_axil_rresp  (rresp),
    .s_axil_rvalid (rvalid),
    .s_axil_rready (rready),
    .irq_o         (irq)
  );

  logic token_q, answer_q, lost_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      token_q  <= 1'b0;
      answer_q <= 1'b0;
      lost_q   <= 1'b0;
    end else begin
      token_q  <= token_q ^ (token_valid && token_ready);
      answer_q <= answer_q ^ answer;
      lost_q   <= lost_q || lost;
    end
  end

  assign lights_o = {irq, lost_q, answer_q, token_q};
endmodule
