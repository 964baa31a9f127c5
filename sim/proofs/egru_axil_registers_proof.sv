// egru_axil_registers keeps the rules of AXI4-Lite: every accepted address gets exactly one response, which stands until it is taken.
//
// The far side keeps its offers until they are taken; nothing else is asked of it.
module egru_axil_registers_proof #(
  parameter int unsigned Blocks = 2,
  parameter int unsigned CountersPerBlock = 9,
  parameter int unsigned CounterBits = 4,
  parameter int unsigned Weights = 2
) (
  input logic                   clk_i,
  input logic                   rst_ni,
  input logic [11:0]            awaddr_i,
  input logic                   awvalid_i,
  input logic [31:0]            wdata_i,
  input logic [3:0]             wstrb_i,
  input logic                   wvalid_i,
  input logic                   bready_i,
  input logic [11:0]            araddr_i,
  input logic                   arvalid_i,
  input logic                   rready_i,
  input logic                   busy_i,
  input logic                   step_i,
  input logic                   sequence_end_i,
  input logic                   token_error_i,
  input logic [CounterBits-1:0] counter_i
);
  initial assume (!rst_ni);  // and at any time later

  logic        awready, wready, bvalid, arready, rvalid, soft_reset, clear, irq, block_unused;
  logic [1:0]  bresp, rresp;
  logic [3:0]  index_unused;
  logic [31:0] rdata;
  logic [61:0] load;
  egru_axil_registers #(.Blocks(Blocks), .CountersPerBlock(CountersPerBlock), .CounterBits(CounterBits), .Weights(Weights)) u_dut (
    .clk_i, .rst_ni,
    .s_axil_awaddr(awaddr_i), .s_axil_awprot(3'd0), .s_axil_awvalid(awvalid_i), .s_axil_awready(awready),
    .s_axil_wdata(wdata_i), .s_axil_wstrb(wstrb_i), .s_axil_wvalid(wvalid_i), .s_axil_wready(wready),
    .s_axil_bresp(bresp), .s_axil_bvalid(bvalid), .s_axil_bready(bready_i),
    .s_axil_araddr(araddr_i), .s_axil_arprot(3'd0), .s_axil_arvalid(arvalid_i), .s_axil_arready(arready),
    .s_axil_rdata(rdata), .s_axil_rresp(rresp), .s_axil_rvalid(rvalid), .s_axil_rready(rready_i),
    .busy_i, .step_i, .sequence_end_i, .token_error_i, .counter_block_o(block_unused), .counter_index_o(index_unused),
    .counter_data_i(counter_i), .soft_reset_o(soft_reset), .counters_clear_o(clear), .load_o(load), .irq_o(irq)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [9:0] \u_dut.read_word_q ;
  (* hierconn *) wire [4:0] \u_dut.wait_q ;
  (* hierconn *) wire       \u_dut.read_pending_q ;
  (* hierconn *) wire       \u_dut.irq_status_q ;
  (* hierconn *) wire       \u_dut.irq_enable_q ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.cycles_q ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.steps_q ;
  (* hierconn *) wire        \u_dut.hash_stands ;
  wire       loaded_inside  = \u_dut.hash_stands ;
  wire       status_inside  = \u_dut.irq_status_q ;
  wire       enable_inside  = \u_dut.irq_enable_q ;
  wire [CounterBits-1:0] cycles_inside = \u_dut.cycles_q ;
  wire [CounterBits-1:0] steps_inside  = \u_dut.steps_q ;
  wire [9:0] word_inside    = \u_dut.read_word_q ;
  wire [4:0] wait_inside    = \u_dut.wait_q ;
  wire       pending_inside = \u_dut.read_pending_q ;

  // The address map, once more: 1 for an address that answers OKAY.
  function automatic logic mapped(input logic [11:0] address);
    if (address >= 12'h100) mapped = 32'(address[11:7]) - 2 < Blocks && 32'(address[6:3]) < CountersPerBlock;
    else if (address < 12'h008) mapped = 1'b1;
    else if (address < 12'h010) mapped = 1'b0;
    else if (address < 12'h03C) mapped = 1'b1;
    else if (address < 12'h040) mapped = 1'b0;
    else mapped = address < ((Weights >= 2) ? 12'h06C : 12'h064);
  endfunction

  wire        aw      = awvalid_i && awready;
  wire        w       = wvalid_i && wready;
  wire        b       = bvalid && bready_i;
  wire        ar      = arvalid_i && arready;
  wire        r       = rvalid && rready_i;
  wire [11:0] awword  = {awaddr_i[11:2], 2'b00};
  wire        is_load = Weights >= 2 && (awword == 12'h064 || awword == 12'h068);
  wire        refused = is_load && (busy_i || wstrb_i != '1);

  // what the far side has seen
  logic [7:0]  writes_q, reads_q;  // accepted and not answered
  logic        bwaits_q, rwaits_q, awwaits_q, wwaits_q, arwaits_q;
  logic [1:0]  bresp_q, rresp_q, bwanted_q;
  logic [31:0] rdata_q, wdata_q;
  logic [3:0]  wstrb_q;
  logic [11:0] awaddr_q, araddr_q, read_q;
  logic [7:0]  age_q;
  // what the registers should hold
  logic        status_q, enable_q, reset_q, clear_q, loaded_q, loaded_before_q;
  logic [CounterBits-1:0] cycles_q, steps_q, cycles_before_q, steps_before_q;

  always_ff @(posedge clk_i) begin
    bwaits_q  <= bvalid && !bready_i;
    rwaits_q  <= rvalid && !rready_i;
    awwaits_q <= awvalid_i && !awready;
    wwaits_q  <= wvalid_i && !wready;
    arwaits_q <= arvalid_i && !arready;
    {bresp_q, rresp_q, rdata_q} <= {bresp, rresp, rdata};
    {awaddr_q, araddr_q, wdata_q, wstrb_q} <= {awaddr_i, araddr_i, wdata_i, wstrb_i};
    if (!rst_ni) begin
      {writes_q, reads_q, bwaits_q, rwaits_q, awwaits_q, wwaits_q, arwaits_q, status_q, enable_q, reset_q, clear_q, cycles_q, steps_q, cycles_before_q, steps_before_q, loaded_q, loaded_before_q} <= '0;
    end else begin
      writes_q <= writes_q + 8'(aw) - 8'(b);
      reads_q  <= reads_q + 8'(ar) - 8'(r);
      age_q    <= ar ? 8'd1 : age_q + 8'(!rvalid);
      if (ar) read_q <= araddr_i;
      if (aw) bwanted_q <= (mapped(awaddr_i) && !refused) ? 2'b00 : 2'b10;
      status_q <= sequence_end_i || (status_q && !(aw && awword == 12'h058 && wstrb_i[0] && wdata_i[0]));
      if (aw && awword == 12'h030 && wstrb_i[0]) enable_q <= wdata_i[1];
      reset_q  <= aw && awword == 12'h030 && wstrb_i[0] && wdata_i[0];
      clear_q  <= aw && awword == 12'h030 && wstrb_i[0] && wdata_i[2];
      cycles_q <= clear_q ? '0 : cycles_q + CounterBits'(busy_i);
      steps_q  <= clear_q ? '0 : steps_q + CounterBits'(step_i);
      if (load[61]) loaded_q <= load[59:48] == '0;
      if (!rvalid) {cycles_before_q, steps_before_q, loaded_before_q} <= {cycles_q, steps_q, loaded_q};
    end
  end

  wire [7:0] due = (read_q >= 12'h100 && !read_q[2]) ? 8'd18 : 8'd4;

  always_comb begin
    assume (!awwaits_q || (awvalid_i && awaddr_i == awaddr_q));
    assume (!wwaits_q || (wvalid_i && wdata_i == wdata_q && wstrb_i == wstrb_q));
    assume (!arwaits_q || (arvalid_i && araddr_i == araddr_q));
    if (rst_ni) begin
      invariant_once:     assert ((!awwaits_q || awvalid_i) && (!bwaits_q || writes_q == 8'd1) && (!rwaits_q || (reads_q == 8'd1 && rvalid)));
      write_takes_both:   assert (aw == w);
      one_write_response: assert (writes_q <= 8'd1 && bvalid == (writes_q == 8'd1) && !(aw && writes_q != '0));
      one_read_response:  assert (reads_q <= 8'd1 && !(rvalid && reads_q == '0) && arready == (reads_q == '0));
      stable_write_response: assert (!bwaits_q || (bvalid && bresp == bresp_q));
      stable_read_response:  assert (!rwaits_q || (rvalid && rresp == rresp_q && rdata == rdata_q));
      write_response:     assert (!bvalid || bresp == bwanted_q);
      read_response:      assert (!rvalid || (rresp == (mapped(read_q) ? 2'b00 : 2'b10) && (mapped(read_q) || rdata == '0)));
      reads_in_time:      assert (reads_q == '0 || rvalid == (age_q == due));
      interrupt:          assert (irq == (status_q && enable_q));
      control_pulses:     assert (soft_reset == reset_q && clear == clear_q);
      cycle_counter:      assert (!(rvalid && !rwaits_q && read_q[11:2] == 10'h010) || rdata == 32'(cycles_before_q));
      step_counter:       assert (!(rvalid && !rwaits_q && read_q[11:2] == 10'h012) || rdata == 32'(steps_before_q));
      hidden_hash:        assert (!(Weights == 3 && rvalid && !rwaits_q && read_q >= 12'h010 && read_q < 12'h030) || loaded_before_q || rdata == '0);
      refused_loads:      assert (load[61] == (Weights >= 2 && aw && awword == 12'h068 && !refused));
      invariant_read:     assert (reads_q == '0 || (word_inside == read_q[11:2] && pending_inside == !rvalid));
      invariant_bits:     assert (status_inside == status_q && enable_inside == enable_q && cycles_inside == cycles_q && steps_inside == steps_q);
      invariant_loaded:   assert (Weights != 3 || loaded_inside == loaded_q);
      invariant_none:     assert (reads_q != '0 || (!pending_inside && !rvalid));
      invariant_age:      assert (!(reads_q != '0 && !rvalid) || (age_q != '0 && age_q < due && age_q + 8'(wait_inside) + 8'd1 == due));
    end
  end
endmodule
