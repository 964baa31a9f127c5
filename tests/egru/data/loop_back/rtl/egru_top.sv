// A core that sends every token back, with the register file of the real one.
module egru_top (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic [15:0] s_axis_tdata,
  input  logic        s_axis_tvalid,
  output logic        s_axis_tready,
  input  logic        s_axis_tlast,
  output logic [31:0] m_axis_tdata,
  output logic        m_axis_tvalid,
  input  logic        m_axis_tready,
  output logic        m_axis_tlast,
  input  logic [11:0] s_axil_awaddr,
  input  logic [2:0]  s_axil_awprot,
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  output logic [1:0]  s_axil_bresp,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  input  logic [11:0] s_axil_araddr,
  input  logic [2:0]  s_axil_arprot,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  output logic [31:0] s_axil_rdata,
  output logic [1:0]  s_axil_rresp,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  output logic        irq_o
);
  logic       unused_reset, unused_clear, unused_block;
  logic [3:0] unused_index;
  logic [61:0] unused_load;
  egru_axil_registers #(
    .Blocks(1),
    .CountersPerBlock(1),
    .CounterBits(8),
    .Lanes(1),
    .Classes(1)
  ) u_registers (
    .clk_i,
    .rst_ni,
    .s_axil_awaddr,
    .s_axil_awprot,
    .s_axil_awvalid,
    .s_axil_awready,
    .s_axil_wdata,
    .s_axil_wstrb,
    .s_axil_wvalid,
    .s_axil_wready,
    .s_axil_bresp,
    .s_axil_bvalid,
    .s_axil_bready,
    .s_axil_araddr,
    .s_axil_arprot,
    .s_axil_arvalid,
    .s_axil_arready,
    .s_axil_rdata,
    .s_axil_rresp,
    .s_axil_rvalid,
    .s_axil_rready,
    .busy_i          (s_axis_tvalid),
    .step_i          (s_axis_tvalid && s_axis_tready),
    .sequence_end_i  (s_axis_tvalid && s_axis_tready && s_axis_tlast),
    .token_error_i   (1'b0),
    .counter_block_o (unused_block),
    .counter_index_o (unused_index),
    .counter_data_i  (8'd0),
    .soft_reset_o    (unused_reset),
    .counters_clear_o(unused_clear),
    .load_o          (unused_load),
    .irq_o
  );
  assign m_axis_tdata  = {16'd0, s_axis_tdata};
  assign m_axis_tvalid = s_axis_tvalid;
  assign s_axis_tready = m_axis_tready;
  assign m_axis_tlast  = s_axis_tlast;
endmodule
