// A stand-in for what a board's top connects: one block RAM, one product, a few registers, so that place and route take seconds.
module egru_uart_core #(
  parameter int unsigned ClocksPerBit = 16,
  parameter bit          LogitStore = 1'b1  // nothing is kept here
) (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       rx_i,
  output logic       tx_o,
  output logic [3:0] lights_o
);
  logic [15:0] line_q, word_q;
  logic [31:0] product_q;
  logic [15:0] mem [512];

  always_ff @(posedge clk_i) begin
    mem[line_q[8:0]] <= product_q[31:16];
    word_q           <= mem[line_q[15:7]];
    product_q        <= line_q * word_q;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) line_q <= 16'(ClocksPerBit);
    else line_q <= {line_q[14:0], rx_i};
  end

  assign tx_o     = ^product_q;
  assign lights_o = product_q[3:0];
endmodule
