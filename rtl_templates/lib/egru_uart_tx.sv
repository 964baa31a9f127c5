// UART sender, 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// A byte is taken when `valid_i` and `ready_o` are both high; `tx_o` then carries start bit, data and stop bit, each for exactly
// `ClocksPerBit` cycles. The next byte is taken in the stop bit's last cycle at the earliest, so bytes can follow without a gap.
module egru_uart_tx #(
  parameter int unsigned ClocksPerBit = 16
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       valid_i,
  output logic       ready_o,
  input  logic [7:0] data_i,
  output logic       tx_o      // to the pin, high when idle
);
  localparam int unsigned TimerBits = $clog2(ClocksPerBit);
  localparam logic [TimerBits-1:0] FullBit = TimerBits'(ClocksPerBit - 1);
  localparam logic [3:0] FrameBits = 4'd10;

  logic [TimerBits-1:0] timer_q;
  logic [3:0]           left_q;   // bits of the frame not yet over
  logic [8:0]           shift_q;  // what follows the bit on the line
  logic                 tx_q, bit_over_q;  // the timer is at 0; a register, because the taker of `ready_o` does much with it

  assign ready_o  = (left_q == '0) || (left_q == 4'd1 && bit_over_q);
  assign tx_o     = tx_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      timer_q    <= '0;
      bit_over_q <= 1'b0;
      left_q     <= '0;
      shift_q    <= '1;
      tx_q       <= 1'b1;
    end else if (valid_i && ready_o) begin
      timer_q    <= FullBit;
      bit_over_q <= 1'b0;
      left_q     <= FrameBits;
      shift_q    <= {1'b1, data_i};
      tx_q       <= 1'b0;
    end else if (left_q != '0) begin
      timer_q    <= bit_over_q ? FullBit : timer_q - 1'b1;
      bit_over_q <= timer_q == TimerBits'(1);
      if (bit_over_q) begin
        left_q  <= left_q - 1'b1;
        tx_q    <= shift_q[0];
        shift_q <= {1'b1, shift_q[8:1]};
      end
    end
  end

`ifndef SYNTHESIS
  initial if (ClocksPerBit < 2) $fatal(1, "egru_uart_tx: ClocksPerBit=%0d must be at least 2", ClocksPerBit);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (left_q <= FrameBits) else $error("egru_uart_tx: %0d bits left of a frame of 10", left_q);
      assert (left_q != '0 || tx_o) else $error("egru_uart_tx: the line is low while nothing is sent");
    end
  end
`endif
endmodule
