// For tests of the runner and the drivers: a register that is never reset, a stream that breaks the valid/ready rules on demand, a failing assertion.
module tiny (
  input  logic        clk_i,
  input  logic        rst_ni,
  input  logic        withdraw_i,
  input  logic        change_i,
  input  logic        fail_i,
  output logic        valid_o,
  input  logic        ready_i,
  output logic [7:0]  data_o,
  output logic [31:0] unreset_o
);
  logic [31:0] unreset_q;
  logic [7:0]  count_q;

  always_ff @(posedge clk_i) begin
    if (fail_i) unreset_q <= '0;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) count_q <= '0;
    else if (ready_i || change_i) count_q <= count_q + 1'b1;
  end

  assign unreset_o = unreset_q;
  assign valid_o   = !withdraw_i;
  assign data_o    = count_q;

  always_ff @(posedge clk_i) begin
    assert (!fail_i) else $error("tiny: told to fail");
  end
endmodule
