// Functional coverage of egru_arbiter.
module egru_arbiter_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic several,
  input logic offered,
  input logic free,
  input logic valid,
  input logic ready
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  several_wait:     cover property (several);
  input_stalled:    cover property (offered && !free);
  output_stalled:   cover property (valid && !ready);
  all_pass_at_once: cover property (offered && free && valid && ready);
endmodule

bind egru_arbiter egru_arbiter_coverage u_coverage (
  .clk_i, .rst_ni, .several((valid_i & (valid_i - 1'b1)) != '0), .offered(valid_i != '0), .free, .valid(valid_o), .ready(ready_i)
);
