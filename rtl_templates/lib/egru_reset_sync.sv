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
  // The last stage stands alone: it is the only one that resets anything.
  logic [Stages-2:0] stages_q;
  logic              rst_nq;

  // What an FPGA loads at power-up: there is a reset even where nothing holds `rst_ni` low, as on a board without a PLL.
  initial {rst_nq, stages_q} = '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {rst_nq, stages_q} <= '0;
    else         {rst_nq, stages_q} <= {stages_q, 1'b1};
  end

  assign rst_no = rst_nq;

`ifndef SYNTHESIS
  // A single stage would pass metastability on.
  initial if (Stages < 2) $fatal(1, "egru_reset_sync: Stages=%0d must be at least 2", Stages);
`endif
endmodule
