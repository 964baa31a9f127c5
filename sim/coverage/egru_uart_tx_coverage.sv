// Functional coverage of egru_uart_tx.
module egru_uart_tx_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_i,
  input logic ready_o,
  input logic sending
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  input_stalled:      cover property (valid_i && !ready_o);
  byte_follows_byte:  cover property (valid_i && ready_o && sending);
  byte_after_a_pause: cover property (valid_i && ready_o && !sending);
  reset_in_a_byte:    cover property (disable iff (1'b0) $past(sending) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_uart_tx egru_uart_tx_coverage u_coverage (
  .clk_i, .rst_ni, .valid_i, .ready_o, .sending(left_q != '0)
);
