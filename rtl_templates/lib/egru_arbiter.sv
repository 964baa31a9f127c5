// Joins several valid/ready streams into one, through a queue of two.
//
// The lowest input that waits is taken. Nobody is asked to be fair: what is joined here is all sent before the next step begins. The queue makes the output's
// payload stable while it is stalled, and keeps the choice and the taker out of each other's paths.
module egru_arbiter #(
  parameter int unsigned Inputs = 2,
  parameter int unsigned Width = 8
) (
  input  logic                         clk_i,
  input  logic                         rst_ni,
  input  logic [Inputs-1:0]            valid_i,
  output logic [Inputs-1:0]            ready_o,
  input  logic [Inputs-1:0][Width-1:0] data_i,
  output logic                         valid_o,
  input  logic                         ready_i,
  output logic [Width-1:0]             data_o
);
  logic [Inputs-1:0] grant;
  logic [Width-1:0]  data;
  logic              free;
  logic [1:0]        count_unused;

  assign grant   = valid_i & (~valid_i + 1'b1);  // the lowest one
  assign ready_o = grant & {Inputs{free}};

  always_comb begin
    data = '0;
    for (int unsigned i = 0; i < Inputs; i++) begin
      if (grant[i]) data |= data_i[i];
    end
  end

  egru_fifo #(.Width(Width), .Depth(2)) u_chosen (
    .clk_i, .rst_ni, .valid_i(valid_i != '0), .ready_o(free), .data_i(data), .valid_o, .ready_i, .data_o, .count_o(count_unused)
  );

`ifndef SYNTHESIS
  initial if (Inputs < 1) $fatal(1, "egru_arbiter: Inputs=%0d must be at least 1", Inputs);
`endif
endmodule
