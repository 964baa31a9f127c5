// For tests: counts the accesses that RTL really makes while the core is busy. Each memory is watched at its address or enable.
module access_counter #(
  parameter Name = "",
  parameter int unsigned Width = 1
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic [1:0] count_i
);
  longint unsigned total_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)            total_q <= '0;
    else if (egru_top.busy) total_q <= total_q + 64'(count_i);
  end
  final $display("access %s %0d %0d", Name, total_q, Width);
endmodule

bind egru_lane access_counter #(.Name("mac"), .Width(0)) u_mac (.clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, mac_o}));
bind egru_update_unit access_counter #(.Name("update_multiply"), .Width(0)) u_multiply (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[7]} + {1'b0, valid_q[12]})
);
bind egru_update_unit access_counter #(.Name("event"), .Width(IndexBits + EventBits)) u_event (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, fire})
);
bind egru_column_directory access_counter #(.Name("directory_read"), .Width(Lanes * PlaceBits)) u_directory (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, bus_valid_i && !bus_end_i})
);
bind egru_column_walker access_counter #(.Name("weight_read"), .Width(EntryBits)) u_weight (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[0]})
);

// A later block may still empty both banks after reset when the first one takes its token: that is of no step.
bind egru_accumulator access_counter #(.Name("accumulator_read"), .Width(AccBits + 1)) u_read (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, op_valid_i} + {1'b0, rd_valid_i && !rd_both_i})
);
bind egru_accumulator access_counter #(.Name("accumulator_write"), .Width(AccBits + 1)) u_write (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i((&write_2_q && fill_2_q == '0) ? 2'd0 : 2'($countones(write_2_q)))
);

bind egru_update_unit access_counter #(.Name("input_read"), .Width(3 * PreactBits)) u_inputs (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[2]})
);
bind egru_update_unit access_counter #(.Name("parameter_read"), .Width(PreactBits)) u_reset_biases (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[3]})
);
bind egru_update_unit access_counter #(.Name("parameter_read"), .Width(StateBits - 1)) u_thresholds (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[9]})
);
bind egru_update_unit access_counter #(.Name("lookup_read"), .Width(GateBits)) u_gates (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[5]} + {1'b0, valid_q[8]})
);
bind egru_update_unit access_counter #(.Name("lookup_read"), .Width(GateBits + 1)) u_candidates (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[9]})
);
bind egru_update_unit access_counter #(.Name("state_read"), .Width(StateBits)) u_state_reads (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[9]})
);
bind egru_update_unit access_counter #(.Name("state_write"), .Width(StateBits)) u_state_writes (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[Stages] && !clearing_q})
);
bind egru_readout access_counter #(.Name("parameter_read"), .Width(LaneBits + RowBits)) u_orders (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, issue})
);
bind egru_readout access_counter #(.Name("parameter_read"), .Width(AccBits)) u_biases (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, valid_q[3]})
);

bind egru_fifo access_counter #(.Name("queue_write"), .Width(Width)) u_pushes (.clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, push}));
bind egru_fifo access_counter #(.Name("queue_read"), .Width(Width)) u_pops (.clk_i(clk_i), .rst_ni(rst_ni), .count_i({1'b0, pop}));
bind egru_layer_counters access_counter #(.Name("counter_read"), .Width(CounterBits)) u_reads (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i(2'd1)
);
bind egru_layer_counters access_counter #(.Name("counter_write"), .Width(CounterBits)) u_writes (
  .clk_i(clk_i), .rst_ni(rst_ni), .count_i(2'd1)
);
