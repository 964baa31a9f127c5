// Reset synchroniser: `rst_no` falls at once with `rst_ni` (no clock needed) and rises `Stages` clock edges after it.
//
// Every register behind it leaves reset in the same cycle, with a full period of set-up time.
module egru_reset_sync #(
  parameter int unsigned Stages = 2
) (
  input  logic clk_i,
  input  logic rst_ni,
  output logic rst_no
);
  logic [Stages-1:0] stages_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) stages_q <= '0;
    else         stages_q <= {stages_q[Stages-2:0], 1'b1};
  end

  assign rst_no = stages_q[Stages-1];

`ifndef SYNTHESIS
  // A single stage would pass metastability on.
  initial if (Stages < 2) $fatal(1, "egru_reset_sync: Stages=%0d must be at least 2", Stages);
`endif
endmodule
