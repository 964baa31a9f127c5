// Decoder output: reads the finished sums of all lanes in class order, adds the bias, streams one logit a cycle.
//
// After reset all rows are read once to empty both banks of the accumulators (`rd_both_o`); `ready_o` says when that is over.
// `step_i` begins a step; when every lane has pulsed `lane_done_i` the sums are read in the order of `OrderFile` (one word {lane, row} per class).
// The logit is exact: AccBits hold sum and bias (docs/semantics.md section 7). `step_last_o` marks the last logit of a step, `last_o` that of a sequence. `done_o` is high when
// all logits of the step are taken.
module egru_readout #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Rows = 8,
  parameter int unsigned Classes = 32,
  parameter int unsigned AccBits = 24,
  parameter OrderFile = "",
  parameter BiasFile = "",
  parameter int unsigned Weights = 0,  // these three: see egru_rom
  parameter int unsigned FirstMemory = 0,  // the order; the next one has the biases
  parameter int unsigned LoadBits = 32,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  output logic                          ready_o,
  input  logic                          step_i,
  input  logic                          last_i,
  input  logic [Lanes-1:0]              lane_done_i,
  output logic                          rd_both_o,
  output logic [Lanes-1:0]              rd_valid_o,
  output logic [RowBits-1:0]            rd_addr_o,
  input  logic [Lanes-1:0][AccBits-1:0] rd_data_i,
  output logic                          valid_o,
  input  logic                          ready_i,
  output logic signed [31:0]            logit_o,
  output logic                          step_last_o,
  output logic                          last_o,
  output logic                          done_o,
  input  logic [28+LoadBits:0]          load_i
);
  localparam int unsigned LaneBits   = (Lanes > 1) ? $clog2(Lanes) : 1;
  localparam int unsigned ClassBits  = (Classes > 1) ? $clog2(Classes) : 1;
  localparam int unsigned ClassCount = $clog2(Classes + 1);
  // A place is in use for eight cycles when its logit is taken at once: no more are needed for a logit a cycle.
  localparam int unsigned QueueDepth = 8;
  localparam int unsigned QueueCount = $clog2(QueueDepth + 1);

  logic [Lanes-1:0]      waiting_q;
  logic                  active_q, last_q, sequence_last, issue;
  logic [ClassBits-1:0]  class_q;
  logic [ClassCount-1:0] left_q;
  logic [QueueCount-1:0] reserved_q, count_unused;
  logic                  queue_ready_unused;

  // Stage n holds the class issued n cycles ago: 2 order word, 5 sum and bias, 6 logit.
  logic [6:1]                 valid_q, final_q;
  logic [LaneBits-1:0]        lane_2;
  logic [RowBits-1:0]         row_2;
  logic [3:1][ClassBits-1:0]  class_stage_q;
  logic signed [AccBits-1:0]  bias_5, logit_6_q, logit_word;

  assign issue = active_q && waiting_q == '0 && reserved_q != QueueCount'(QueueDepth);

  egru_rom #(.Width(LaneBits + RowBits), .Depth(Classes), .InitFile(OrderFile), .Weights(Weights), .Memory(FirstMemory), .LoadBits(LoadBits)) u_order (
    .clk_i, .addr_i(class_q), .data_o({lane_2, row_2}), .load_i
  );
  egru_rom #(.Width(AccBits), .Depth(Classes), .InitFile(BiasFile), .Weights(Weights), .Memory(FirstMemory + 1), .LoadBits(LoadBits)) u_bias (
    .clk_i, .addr_i(class_stage_q[3]), .data_o(bias_5), .load_i
  );

  logic               emptying_q;
  logic [RowBits-1:0] empty_row_q;
  assign ready_o   = !emptying_q;
  assign rd_both_o = emptying_q;
  assign rd_addr_o = emptying_q ? empty_row_q : row_2;
  always_comb begin
    for (int unsigned l = 0; l < Lanes; l++) begin
      rd_valid_o[l] = emptying_q || (valid_q[2] && 32'(lane_2) == l);
    end
  end

  // A lane that is not read gives 0.
  logic [AccBits-1:0] sum_5;
  always_comb begin
    sum_5 = '0;
    for (int unsigned l = 0; l < Lanes; l++) sum_5 |= rd_data_i[l];
  end

  always_ff @(posedge clk_i) begin
    class_stage_q <= {class_stage_q[2:1], class_q};
    logit_6_q     <= $signed(sum_5) + bias_5;
    final_q       <= {final_q[5:1], left_q == ClassCount'(1)};
    if (step_i) last_q <= last_i;
  end

  egru_fifo #(.Width(AccBits + 2), .Depth(QueueDepth)) u_logits (
    .clk_i, .rst_ni,
    .valid_i(valid_q[6]), .ready_o(queue_ready_unused), .data_i({final_q[6], last_q, logit_6_q}),
    .valid_o, .ready_i, .data_o({step_last_o, sequence_last, logit_word}), .count_o(count_unused)
  );
  assign logit_o = 32'(logit_word);
  assign last_o  = step_last_o && sequence_last;
  assign done_o  = !active_q && reserved_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      emptying_q  <= 1'b1;
      empty_row_q <= '0;
      waiting_q   <= '0;
      active_q    <= 1'b0;
      class_q     <= '0;
      left_q      <= '0;
      valid_q     <= '0;
      reserved_q  <= '0;
    end else begin
      if (emptying_q) begin
        empty_row_q <= empty_row_q + 1'b1;
        emptying_q  <= empty_row_q != RowBits'(Rows - 1);
      end
      valid_q    <= {valid_q[5:1], issue};
      reserved_q <= reserved_q + QueueCount'(issue) - QueueCount'(valid_o && ready_i);
      if (step_i) begin
        waiting_q <= '1;
        active_q  <= 1'b1;
        class_q   <= '0;
        left_q    <= ClassCount'(Classes);
      end else begin
        waiting_q <= waiting_q & ~lane_done_i;
        if (issue) begin
          class_q  <= class_q + 1'b1;
          left_q   <= left_q - 1'b1;
          active_q <= left_q != ClassCount'(1);
        end
      end
    end
  end

`ifndef SYNTHESIS
  initial if (AccBits > 32) $fatal(1, "egru_readout: AccBits=%0d exceeds the 32-bit logit stream", AccBits);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(step_i && !done_o)) else $error("egru_readout: a step began before the last one was read");
      assert (!valid_q[6] || queue_ready_unused) else $error("egru_readout: a logit has no place");
    end
  end
`endif
endmodule
