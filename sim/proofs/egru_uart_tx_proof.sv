// egru_uart_tx puts every byte on the line once, whole: start bit, eight bits, stop bit, each for exactly ClocksPerBit cycles.
//
// Nothing is asked of the neighbours but that an offer stands until it is taken.
module egru_uart_tx_proof #(
  parameter int unsigned ClocksPerBit = 3
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       valid_i,
  input logic [7:0] data_i
);
  initial assume (!rst_ni);  // and at any time later

  logic ready, tx;
  egru_uart_tx #(.ClocksPerBit(ClocksPerBit)) u_dut (.clk_i, .rst_ni, .valid_i, .ready_o(ready), .data_i, .tx_o(tx));

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [3:0] \u_dut.left_q ;
  (* hierconn *) wire [$clog2(ClocksPerBit)-1:0] \u_dut.timer_q ;
  (* hierconn *) wire [8:0] \u_dut.shift_q ;
  (* hierconn *) wire \u_dut.bit_over_q ;
  wire [7:0] left  = 8'(\u_dut.left_q );
  wire [7:0] timer = 8'(\u_dut.timer_q );
  wire [8:0] shift = \u_dut.shift_q ;
  wire       over  = \u_dut.bit_over_q ;

  wire        take = valid_i && ready;
  logic       sending_q;
  logic [7:0] bit_q, clock_q;  // of the frame on the line
  logic [9:0] frame_q;                   // stop bit, byte, start bit
  wire        last = bit_q == 8'd9 && 32'(clock_q) == ClocksPerBit - 1;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {sending_q, bit_q, clock_q} <= '0;
    end else begin
      if (take) begin
        {sending_q, bit_q, clock_q} <= {1'b1, 16'd0};
        frame_q <= {1'b1, data_i, 1'b0};
      end else if (sending_q) begin
        sending_q <= !last;
        clock_q   <= (32'(clock_q) == ClocksPerBit - 1) ? '0 : clock_q + 1'b1;
        if (32'(clock_q) == ClocksPerBit - 1) bit_q <= bit_q + 1'b1;
      end
    end
  end

  wire [9:0] rest = frame_q >> bit_q;

  always_comb begin
    if (rst_ni) begin
      frame_on_the_line: assert (tx == (sending_q ? frame_q[bit_q[3:0]] : 1'b1));
      one_at_a_time:     assert (ready == (!sending_q || last));
      invariant_bits:    assert (sending_q ? (bit_q <= 8'd9 && left == 8'd10 - bit_q) : left == '0);
      invariant_clock:   assert (!sending_q || (32'(clock_q) < ClocksPerBit && 32'(timer) == ClocksPerBit - 1 - 32'(clock_q) && over == (timer == '0)));
      invariant_shift:   assert (!sending_q || shift == (rest[9:1] | (9'h1FF << (8'd9 - bit_q))));
      invariant_stop:    assert (!sending_q || frame_q[9]);
    end
  end
endmodule
