// egru_reset_sync falls with its input and rises `Stages` clock edges after it; it begins low where nothing resets it.
//
// Nothing is asked of the input, and no reset is given to begin with.
module egru_reset_sync_proof #(
  parameter int unsigned Stages = 2
) (
  input logic clk_i,
  input logic rst_ni
);
  logic rst_n;
  egru_reset_sync #(.Stages(Stages)) u_dut (.clk_i, .rst_ni, .rst_no(rst_n));

  logic [7:0] edges_q = '0;  // since the input was low
  always_ff @(posedge clk_i) edges_q <= !rst_ni ? '0 : edges_q + 8'(32'(edges_q) < Stages);

  always_comb begin
    falls_at_once:   assert (rst_ni || !rst_n);
    rises_in_step:   assert (!rst_ni || rst_n == (32'(edges_q) == Stages));
    invariant_edges: assert (32'(edges_q) <= Stages);
  end
endmodule
