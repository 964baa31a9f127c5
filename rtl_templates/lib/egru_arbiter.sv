// Round-robin choice of one of several valid/ready streams.
//
// The input after the last one served has the first claim, so no input waits for more than `Inputs` transfers. A grant is held until it is taken: the
// output's payload is stable while it is stalled.
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
  // `first_q` marks the input with the first claim, one-hot. Subtracting it from the doubled request word leaves, by borrow, the first request at or
  // after that place.
  logic [Inputs-1:0]   first_q, first_d, held_q, grant;
  logic [2*Inputs-1:0] request, chosen;
  logic                locked_q;

  assign request = {valid_i, valid_i};
  assign chosen  = request & ~(request - {{Inputs{1'b0}}, first_q});
  assign grant   = locked_q ? held_q : (chosen[2*Inputs-1:Inputs] | chosen[Inputs-1:0]);
  assign valid_o = |valid_i;
  assign ready_o = grant & {Inputs{ready_i}};

  always_comb begin
    data_o = '0;
    for (int unsigned i = 0; i < Inputs; i++) begin
      if (grant[i]) data_o |= data_i[i];
    end
  end

  if (Inputs > 1) begin : gen_rotate
    assign first_d = {grant[Inputs-2:0], grant[Inputs-1]};
  end else begin : gen_single
    assign first_d = grant;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      first_q  <= Inputs'(1);
      held_q   <= '0;
      locked_q <= 1'b0;
    end else if (valid_o) begin
      locked_q <= !ready_i;
      held_q   <= grant;
      if (ready_i) first_q <= first_d;
    end
  end

`ifndef SYNTHESIS
  initial if (Inputs < 1) $fatal(1, "egru_arbiter: Inputs=%0d must be at least 1", Inputs);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni && valid_o) begin
      assert ($onehot(grant)) else $error("egru_arbiter: grant %b is not one-hot", grant);
      assert ((grant & valid_i) != '0) else $error("egru_arbiter: granted an input that withdrew its request");
    end
  end
`endif
endmodule
