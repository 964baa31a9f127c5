// For tests of the toggle counter: registers of every kind whose changes can be counted by hand.
module toggling (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       active_i,
  output logic [7:0] count_o
);
  typedef enum logic [1:0] {StA = 2'd0, StB = 2'd3} state_e;

  logic [7:0]      count_q, count_plus_one;  // the second is no register
  logic [31:0]     unset_q;                  // starts random and stays so as long as the count is small
  logic [1:0][2:0] pair_q;
  logic [7:0]      mem [4];
  state_e          state_q;

  assign count_plus_one = count_q + 8'd1;
  assign count_o        = count_q;

  always_ff @(posedge clk_i) begin
    if (count_q == 8'hff) unset_q <= '0;
    mem[count_q[1:0]] <= ~mem[count_q[1:0]];
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      count_q <= '0;
      pair_q  <= '0;
      state_q <= StA;
    end else begin
      count_q <= count_plus_one;
      pair_q  <= ~pair_q;                      // 6 bits
      state_q <= state_q == StA ? StB : StA;   // 2 bits
    end
  end

  for (genvar g = 0; g < 2; g++) begin : gen_rings
    logic [3:0] ring_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) ring_q <= 4'd1;
      else         ring_q <= {ring_q[2:0], ring_q[3]};  // 2 bits
    end
  end

  for (genvar g = 0; g < 2; g++) begin : gen_leaves
    toggling_leaf u_leaf (.clk_i, .rst_ni, .enable_i(count_q[g]));
  end
  toggling_leaf u_slow (.clk_i, .rst_ni, .enable_i(count_q[1:0] == 2'd3));

  logic unused;
  assign unused = ^{unset_q, mem[0], gen_rings[0].ring_q, gen_rings[1].ring_q, pair_q};
endmodule

// verilator lint_off DECLFILENAME
module toggling_leaf (
  input logic clk_i,
  input logic rst_ni,
  input logic enable_i
);
  logic leaf_q, leaf_unused;
  assign leaf_unused = leaf_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)       leaf_q <= 1'b0;
    else if (enable_i) leaf_q <= !leaf_q;
  end
endmodule
