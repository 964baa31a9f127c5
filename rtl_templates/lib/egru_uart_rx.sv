// UART receiver, 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// Every bit is sampled once, in its middle. A start bit that is gone by its middle is taken for a glitch. A byte whose stop bit is low is
// dropped with a pulse on `error_o`, and the line must be high again before the next start bit counts (a break is one error, not many).
// `valid_o` is a pulse of one cycle: the sender cannot be held up. Sender and receiver may differ by 3 % in bit length.
module egru_uart_rx #(
  parameter int unsigned ClocksPerBit = 16
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,     // from the pin, asynchronous
  output logic       valid_o,
  output logic [7:0] data_o,   // stands until the next byte begins
  output logic       error_o
);
  localparam int unsigned TimerBits = $clog2(ClocksPerBit);
  localparam logic [TimerBits-1:0] FullBit = TimerBits'(ClocksPerBit - 1);
  localparam logic [TimerBits-1:0] HalfBit = TimerBits'(ClocksPerBit / 2 - 1);

  typedef enum logic [2:0] {StIdle, StStart, StData, StStop, StRelease} state_e;

  state_e               state_q, state_d;
  logic [1:0]           rx_sync_q;
  logic [TimerBits-1:0] timer_q, timer_d;
  logic [2:0]           bit_q, bit_d;
  logic [7:0]           data_q, data_d;
  logic                 rx, sample_q, valid_d, error_d, valid_q, error_q;  // sample_q: the timer is at 0

  assign rx      = rx_sync_q[1];
  assign valid_o = valid_q;
  assign error_o = error_q;
  assign data_o  = data_q;

  always_comb begin
    state_d = state_q;
    timer_d = sample_q ? FullBit : timer_q - 1'b1;
    bit_d   = bit_q;
    data_d  = data_q;
    valid_d = 1'b0;
    error_d = 1'b0;
    case (state_q)
      StIdle: begin
        timer_d = HalfBit;
        bit_d   = '0;
        if (!rx) state_d = StStart;
      end
      StStart: if (sample_q) state_d = rx ? StIdle : StData;
      StData: begin
        if (sample_q) begin
          data_d = {rx, data_q[7:1]};
          bit_d  = bit_q + 1'b1;
          if (bit_q == 3'd7) state_d = StStop;
        end
      end
      StStop: begin
        if (sample_q) begin
          valid_d = rx;
          error_d = !rx;
          state_d = rx ? StIdle : StRelease;
        end
      end
      StRelease: if (rx) state_d = StIdle;
      default: state_d = StIdle;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q   <= StIdle;
      rx_sync_q <= 2'b11;
      timer_q   <= '0;
      sample_q  <= 1'b1;
      bit_q     <= '0;
      data_q    <= '0;
      valid_q   <= 1'b0;
      error_q   <= 1'b0;
    end else begin
      state_q   <= state_d;
      rx_sync_q <= {rx_sync_q[0], rx_i};
      timer_q   <= timer_d;
      sample_q  <= timer_d == '0;
      bit_q     <= bit_d;
      data_q    <= data_d;
      valid_q   <= valid_d;
      error_q   <= error_d;
    end
  end

`ifndef SYNTHESIS
  initial if (ClocksPerBit < 8) $fatal(1, "egru_uart_rx: ClocksPerBit=%0d must be at least 8", ClocksPerBit);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(valid_o && error_o)) else $error("egru_uart_rx: byte 0x%02x is both good and bad", data_o);
    end
  end
`endif
endmodule
