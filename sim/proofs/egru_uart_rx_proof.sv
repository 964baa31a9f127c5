// egru_uart_rx samples every bit of a frame once, in its middle, and ends each frame with one verdict.
//
// The line does what it likes. Where the module counts down to the next sample, the proof counts up from the falling edge.
module egru_uart_rx_proof #(
  parameter int unsigned ClocksPerBit = 8
) (
  input logic clk_i,
  input logic rst_ni,
  input logic rx_i
);
  initial assume (!rst_ni);  // and at any time later

  logic       valid, error;
  logic [7:0] data;
  egru_uart_rx #(.ClocksPerBit(ClocksPerBit)) u_dut (.clk_i, .rst_ni, .rx_i, .valid_o(valid), .data_o(data), .error_o(error));

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [2:0] \u_dut.state_q ;
  (* hierconn *) wire [1:0] \u_dut.rx_sync_q ;
  (* hierconn *) wire [$clog2(ClocksPerBit)-1:0] \u_dut.timer_q ;
  (* hierconn *) wire [2:0] \u_dut.bit_q ;
  (* hierconn *) wire \u_dut.sample_q ;
  wire [2:0] state = \u_dut.state_q ;
  wire [1:0] synchronised = \u_dut.rx_sync_q ;
  wire [7:0] timer = 8'(\u_dut.timer_q );
  wire [2:0] bit_inside = \u_dut.bit_q ;
  wire       sample = \u_dut.sample_q ;

  logic [1:0] line_q;                // two cycles late, as the module sees it
  logic       frame_q, broken_q;     // a frame is under way; the line has not been high since a low stop bit
  logic [7:0] clock_q, samples_q;    // cycles since the edge of the bit; middles that have passed
  logic [7:0] byte_q;
  logic       good_q, bad_q;
  wire        line   = line_q[1];
  wire        middle = frame_q && 32'(clock_q) == ClocksPerBit / 2;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      line_q <= '1;
      {frame_q, broken_q, clock_q, samples_q, byte_q, good_q, bad_q} <= '0;
    end else begin
      line_q  <= {line_q[0], rx_i};
      clock_q <= (32'(clock_q) == ClocksPerBit - 1) ? '0 : clock_q + 1'b1;
      good_q  <= middle && samples_q == 8'd9 && line;
      bad_q   <= middle && samples_q == 8'd9 && !line;
      if (!frame_q && !broken_q && !line) {frame_q, clock_q, samples_q} <= {1'b1, 8'd1, 8'd0};
      if (line) broken_q <= 1'b0;
      if (middle) begin
        samples_q <= samples_q + 1'b1;
        if (samples_q == 8'd0 && line) frame_q <= 1'b0;
        if (samples_q != 8'd0 && samples_q != 8'd9) byte_q <= {line, byte_q[7:1]};
        if (samples_q == 8'd9) {frame_q, broken_q} <= {1'b0, !line};
      end
    end
  end

  wire [7:0] to_middle = (32'(clock_q) <= ClocksPerBit / 2) ? 8'(ClocksPerBit / 2) - clock_q : 8'(ClocksPerBit + ClocksPerBit / 2) - clock_q;

  always_comb begin
    if (rst_ni) begin
      byte_of_the_line: assert (!valid || data == byte_q);
      one_verdict:      assert (valid == good_q && error == bad_q);
      data_stands:      assert (data == byte_q);
      invariant_line:   assert (synchronised == line_q);
      invariant_state:  assert (frame_q ? state == (samples_q == 8'd0 ? 3'd1 : samples_q == 8'd9 ? 3'd3 : 3'd2) : state == (broken_q ? 3'd4 : 3'd0));
      invariant_bits:   assert (!frame_q || (samples_q <= 8'd9 && !broken_q && (state == 3'd2 ? 8'(bit_inside) == samples_q - 8'd1 : samples_q != '0 || bit_inside == '0)));
      invariant_clock:  assert (!frame_q || (32'(clock_q) < ClocksPerBit && timer == to_middle && sample == (timer == '0)));
    end
  end
endmodule
