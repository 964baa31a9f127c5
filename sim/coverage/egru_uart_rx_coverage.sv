// Functional coverage of egru_uart_rx.
module egru_uart_rx_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic glitch,
  input logic broken,
  input logic valid_o,
  input logic error_o,
  input logic receiving
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  byte_received:         cover property (valid_o);
  stop_bit_missing:      cover property (error_o);
  glitch_of_a_start_bit: cover property (glitch);
  line_stays_low:        cover property (broken);
  reset_in_a_byte:       cover property (disable iff (1'b0) $past(receiving) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_uart_rx egru_uart_rx_coverage u_coverage (
  .clk_i, .rst_ni, .glitch(state_q == StStart && sample_q && rx), .broken(state_q == StRelease), .valid_o, .error_o,
  .receiving(state_q == StData)
);
