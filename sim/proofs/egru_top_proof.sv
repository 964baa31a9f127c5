// The generated top keeps the rules of AXI4-Stream and AXI4-Lite on its ports, whatever its memories hold.
//
// A generated core of one layer, as a whole; memories and rounding are cut out (see sim/proof_table.py). The far side keeps its AXI4-Lite offers until they are taken; its
// streams do what they like. A soft reset (CONTROL[0]) may take a logit back, two cycles after its write.
module egru_top_proof (
  input logic        clk_i,
  input logic        rst_ni,
  input logic [15:0] token_i,
  input logic        token_valid_i,
  input logic        token_last_i,
  input logic        logit_ready_i,
  input logic [11:0] awaddr_i,
  input logic        awvalid_i,
  input logic [31:0] wdata_i,
  input logic [3:0]  wstrb_i,
  input logic        wvalid_i,
  input logic        bready_i,
  input logic [11:0] araddr_i,
  input logic        arvalid_i,
  input logic        rready_i
);
  initial assume (!rst_ni);  // and at any time later

  logic        token_ready, logit_valid, logit_last, awready, wready, bvalid, arready, rvalid, irq_unused;
  logic [31:0] logit, rdata;
  logic [1:0]  bresp, rresp;
  egru_top u_dut (
    .clk_i, .rst_ni, .s_axis_tdata(token_i), .s_axis_tvalid(token_valid_i), .s_axis_tready(token_ready), .s_axis_tlast(token_last_i),
    .m_axis_tdata(logit), .m_axis_tvalid(logit_valid), .m_axis_tready(logit_ready_i), .m_axis_tlast(logit_last),
    .s_axil_awaddr(awaddr_i), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid_i), .s_axil_awready(awready),
    .s_axil_wdata(wdata_i), .s_axil_wstrb(wstrb_i), .s_axil_wvalid(wvalid_i), .s_axil_wready(wready),
    .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready_i),
    .s_axil_araddr(araddr_i), .s_axil_arprot(3'd0), .s_axil_arvalid(arvalid_i), .s_axil_arready(arready),
    .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready_i), .irq_o(irq_unused)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [2:0] \u_dut.u_decoder.u_readout.u_logits.read_q ;
  (* hierconn *) wire [2:0] \u_dut.u_decoder.u_readout.u_logits.write_q ;
  (* hierconn *) wire [3:0] \u_dut.u_decoder.u_readout.u_logits.count_q ;
  (* hierconn *) wire \u_dut.u_decoder.u_readout.u_logits.valid_q ;
  (* hierconn *) wire \u_dut.u_decoder.u_readout.u_logits.full_q ;
  (* hierconn *) wire \u_dut.core_rst_nq ;
  (* hierconn *) wire \u_dut.soft_reset ;
  (* hierconn *) wire \u_dut.u_registers.read_pending_q ;
  wire [2:0] read_slot  = \u_dut.u_decoder.u_readout.u_logits.read_q ;
  wire [2:0] write_slot = \u_dut.u_decoder.u_readout.u_logits.write_q ;
  wire [3:0] count      = \u_dut.u_decoder.u_readout.u_logits.count_q ;
  wire       some       = \u_dut.u_decoder.u_readout.u_logits.valid_q ;
  wire       full       = \u_dut.u_decoder.u_readout.u_logits.full_q ;
  wire       core_reset = !\u_dut.core_rst_nq ;
  wire       soft_reset = \u_dut.soft_reset ;
  wire       pending    = \u_dut.u_registers.read_pending_q ;

  wire        aw = awvalid_i && awready;
  wire        w  = wvalid_i && wready;
  wire        b  = bvalid && bready_i;
  wire        ar = arvalid_i && arready;
  wire        r  = rvalid && rready_i;
  logic [1:0]  restart_q;  // a soft reset was written one, two cycles ago
  logic        started_q;  // a cycle has passed since the reset
  logic [7:0]  writes_q, reads_q;  // accepted and not answered
  logic        logit_waits_q, bwaits_q, rwaits_q, awwaits_q, wwaits_q, arwaits_q;
  logic [32:0] logit_q;
  logic [1:0]  bresp_q, rresp_q;
  logic [31:0] rdata_q, wdata_q;
  logic [3:0]  wstrb_q;
  logic [11:0] awaddr_q, araddr_q;
  always_ff @(posedge clk_i) begin
    {bresp_q, rresp_q, rdata_q, logit_q} <= {bresp, rresp, rdata, logit_last, logit};
    {awaddr_q, araddr_q, wdata_q, wstrb_q} <= {awaddr_i, araddr_i, wdata_i, wstrb_i};
    if (!rst_ni) begin
      {restart_q, started_q, writes_q, reads_q, logit_waits_q, bwaits_q, rwaits_q, awwaits_q, wwaits_q, arwaits_q} <= '0;
    end else begin
      restart_q <= {restart_q[0], aw && awaddr_i[11:2] == 10'h00C && wstrb_i[0] && wdata_i[0]};
      started_q <= 1'b1;
      writes_q  <= writes_q + 8'(aw) - 8'(b);
      reads_q   <= reads_q + 8'(ar) - 8'(r);
      logit_waits_q <= logit_valid && !logit_ready_i;
      bwaits_q  <= bvalid && !bready_i;
      rwaits_q  <= rvalid && !rready_i;
      awwaits_q <= awvalid_i && !awready;
      wwaits_q  <= wvalid_i && !wready;
      arwaits_q <= arvalid_i && !arready;
    end
  end

  always_comb begin
    assume (!awwaits_q || (awvalid_i && awaddr_i == awaddr_q));
    assume (!wwaits_q || (wvalid_i && wdata_i == wdata_q && wstrb_i == wstrb_q));
    assume (!arwaits_q || (arvalid_i && araddr_i == araddr_q));
    if (rst_ni) begin
      stable_logit:       assert (!logit_waits_q || restart_q[1] || (logit_valid && {logit_last, logit} == logit_q));
      quiet_after_reset:  assert ((started_q && !restart_q[1]) || (!logit_valid && !token_ready));
      write_takes_both:   assert (aw == w);
      one_write_response: assert (writes_q <= 8'd1 && bvalid == (writes_q == 8'd1) && !(aw && writes_q != '0));
      one_read_response:  assert (reads_q <= 8'd1 && !(rvalid && reads_q == '0) && arready == (reads_q == '0));
      stable_write_response: assert (!bwaits_q || (bvalid && bresp == bresp_q));
      stable_read_response:  assert (!rwaits_q || (rvalid && rresp == rresp_q && rdata == rdata_q));
      invariant_restart:  assert (soft_reset == restart_q[0] && core_reset == (restart_q[1] || !started_q));
      invariant_read:     assert (reads_q == 8'(pending || rvalid) && !(pending && rvalid));
      invariant_queue:    assert (some == (count != '0) && full == (count == 4'd8) && count <= 4'd8 && write_slot == read_slot + count[2:0]);
    end
  end
endmodule
