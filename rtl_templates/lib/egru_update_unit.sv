// Element-wise part of a time step for the neurons of a group of lanes: docs/semantics.md section 4, one neuron a cycle.
//
//   a_z  = satP(rescale(acc_z))  + p_z     a_r  = satP(rescale(acc_r))  + p_r
//   a_gx = satP(rescale(acc_gx)) + p_g     a_gr = satP(rescale(acc_gr)) + d
//   z = sigmoid[a_z]   r = sigmoid[a_r]   g = tanh[a_gx + r * a_gr]   G = g aligned to the state
//   c_hat = G + rescale(z * (c - G))
//   event iff c_hat > theta (strict: a tie is no event); then y = min(rescale(c_hat), 2^n - 1) and c = c_hat - theta, else c = c_hat
//
// `step_i` begins a step: `token_i` selects the row of the input memory {p_g, p_r, p_z}, `last_i` ends the sequence (every c becomes 0). Records then
// come from the lanes in any order, each row once. Neuron (lane, row) has the index FirstIndex + lane * Rows + row. `done_o` is high when every neuron
// of the step is updated and every event taken. A record is accepted only when its event has a place in the queue, so the pipeline never stalls.
module egru_update_unit #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Rows = 8,
  parameter int unsigned Tokens = 1,
  parameter int unsigned FirstIndex = 0,
  parameter int unsigned IndexBits = 8,
  parameter int unsigned TokenBits = 8,
  parameter int unsigned AccBits = 24,
  parameter int unsigned AccFrac = 16,
  parameter int unsigned EventBits = 8,
  parameter int unsigned StateBits = 16,
  parameter int unsigned GateBits = 12,
  parameter int unsigned PreactBits = 12,
  parameter int unsigned PreactFrac = 8,
  parameter InputFile = "",
  parameter ResetBiasFile = "",
  parameter ThresholdFile = "",
  parameter SigmoidFile = "",
  parameter TanhFile = "",
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic                               clk_i,
  input  logic                               rst_ni,
  output logic                               ready_o,
  input  logic                               step_i,
  input  logic [TokenBits-1:0]               token_i,
  input  logic                               last_i,
  input  logic [Lanes-1:0]                   valid_i,
  output logic [Lanes-1:0]                   ready_record_o,
  input  logic [Lanes-1:0][RowBits-1:0]      row_i,
  input  logic [Lanes-1:0][3:0][AccBits-1:0] acc_i,
  output logic                               valid_o,
  input  logic                               ready_i,
  output logic [IndexBits-1:0]               index_o,
  output logic [EventBits-1:0]               value_o,
  output logic                               done_o
);
  localparam int unsigned Neurons      = Lanes * Rows;
  localparam int unsigned NeuronBits   = (Neurons > 1) ? $clog2(Neurons) : 1;
  localparam int unsigned NeuronCount  = $clog2(Neurons + 1);
  localparam int unsigned InputBits    = (Tokens * Neurons > 1) ? $clog2(Tokens * Neurons) : 1;
  localparam int unsigned TurnBits     = (Lanes > 1) ? $clog2(Lanes) : 1;
  localparam int unsigned SumBits      = PreactBits + 1;
  localparam int unsigned ProductBits  = SumBits + GateBits + 2;
  localparam int unsigned TableBits    = 10;
  localparam int          SigmoidFrac  = 6;
  localparam int          TanhFrac     = 7;
  localparam int unsigned DiffBits     = StateBits + 1;
  localparam int unsigned BlendBits    = DiffBits + GateBits + 1;
  // The pipeline is 16 deep; the queue holds what is in it and what waits for a slow taker.
  localparam int unsigned QueueDepth   = 32;
  localparam int unsigned QueueCount   = $clog2(QueueDepth + 1);
  localparam int unsigned Stages       = 16;

  // The lanes take turns, one cycle each: a lane offers a record every four cycles at most, so up to four lanes lose nothing to an idle turn.
  logic [TurnBits-1:0]     turn_q;
  logic                    accept, place_free;
  logic [NeuronBits-1:0]   neuron_0;
  logic [3:0][AccBits-1:0] acc_0, acc_1_q;

  assign accept   = valid_i[turn_q] && place_free;
  assign neuron_0 = NeuronBits'(turn_q * Rows) + NeuronBits'(row_i[turn_q]);
  assign acc_0    = acc_i[turn_q];
  for (genvar l = 0; l < Lanes; l++) begin : gen_taken
    assign ready_record_o[l] = place_free && 32'(turn_q) == l;
  end

  // What belongs to the step.
  logic [InputBits-1:0]   input_base_q;
  logic                   last_q;
  logic [NeuronCount-1:0] left_q;

  // Stage n holds what was accepted n cycles ago.
  logic [Stages:1]                 valid_q;
  logic [Stages:1][NeuronBits-1:0] neuron_q;

  always_ff @(posedge clk_i) begin
    neuron_q <= {neuron_q[Stages-1:1], neuron_0};
    acc_1_q  <= acc_0;
    if (step_i) begin
      input_base_q <= InputBits'(token_i * Neurons);
      last_q       <= last_i;
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) valid_q <= '0;
    else         valid_q <= {valid_q[Stages-1:1], accept};
  end

  // Stages 0 to 2: input and reset bias arrive while the sums are brought to the pre-activation format.
  logic [2:0][PreactBits-1:0]   p_2;
  logic signed [PreactBits-1:0] d_2;
  egru_rom #(.Width(3 * PreactBits), .Depth(Tokens * Neurons), .InitFile(InputFile)) u_input (
    .clk_i, .addr_i(input_base_q + InputBits'(neuron_0)), .data_o(p_2)
  );
  egru_rom #(.Width(PreactBits), .Depth(Neurons), .InitFile(ResetBiasFile)) u_reset_bias (
    .clk_i, .addr_i(neuron_0), .data_o(d_2)
  );

  logic signed [3:0][PreactBits-1:0] scaled_1, scaled_2_q;
  for (genvar f = 0; f < 4; f++) begin : gen_scale
    egru_rescale #(.InBits(AccBits), .OutBits(PreactBits), .Shift(int'(AccFrac) - int'(PreactFrac))) u_scale (
      .x_i(acc_1_q[f]), .y_o(scaled_1[f])
    );
  end

  // Stage 3: pre-activations. They leave the stored format by one bit and are not saturated: the table index saturates.
  logic signed [SumBits-1:0] a_z_3_q, a_r_3_q, a_gx_3_q, a_gr_3_q;
  always_ff @(posedge clk_i) begin
    scaled_2_q <= scaled_1;
    a_z_3_q    <= SumBits'(signed'(scaled_2_q[0])) + SumBits'(signed'(p_2[0]));
    a_r_3_q    <= SumBits'(signed'(scaled_2_q[1])) + SumBits'(signed'(p_2[1]));
    a_gx_3_q   <= SumBits'(signed'(scaled_2_q[2])) + SumBits'(signed'(p_2[2]));
    a_gr_3_q   <= SumBits'(signed'(scaled_2_q[3])) + SumBits'(d_2);
  end

  // Stages 4 to 6: z and r. A signed index of the table's width, saturated, is the address with its top bit flipped.
  logic signed [TableBits-1:0] z_index_3, r_index_3;
  logic [TableBits-1:0]        z_addr_4_q, r_addr_4_q;
  logic [GateBits-1:0]         z_6, r_6;
  egru_rescale #(.InBits(SumBits), .OutBits(TableBits), .Shift(int'(PreactFrac) - SigmoidFrac)) u_z_index (.x_i(a_z_3_q), .y_o(z_index_3));
  egru_rescale #(.InBits(SumBits), .OutBits(TableBits), .Shift(int'(PreactFrac) - SigmoidFrac)) u_r_index (.x_i(a_r_3_q), .y_o(r_index_3));
  always_ff @(posedge clk_i) begin
    z_addr_4_q <= {!z_index_3[TableBits-1], z_index_3[TableBits-2:0]};
    r_addr_4_q <= {!r_index_3[TableBits-1], r_index_3[TableBits-2:0]};
  end
  egru_rom #(.Width(GateBits), .Depth(1 << TableBits), .InitFile(SigmoidFile)) u_z_table (.clk_i, .addr_i(z_addr_4_q), .data_o(z_6));
  egru_rom #(.Width(GateBits), .Depth(1 << TableBits), .InitFile(SigmoidFile)) u_r_table (.clk_i, .addr_i(r_addr_4_q), .data_o(r_6));

  // Stages 7 to 11: candidate.
  logic signed [6:4][SumBits-1:0]  a_gx_q, a_gr_q;
  logic signed [SumBits-1:0]       a_gx_7_q;
  logic signed [ProductBits-1:0]   reset_7_q, a_g_8_q;
  logic signed [TableBits-1:0]     g_index_8;
  logic [TableBits-1:0]            g_addr_9_q;
  logic signed [GateBits:0]        g_11;
  always_ff @(posedge clk_i) begin
    a_gx_q     <= {a_gx_q[5:4], a_gx_3_q};
    a_gr_q     <= {a_gr_q[5:4], a_gr_3_q};
    reset_7_q  <= ProductBits'($signed({1'b0, r_6}) * signed'(a_gr_q[6]));
    a_gx_7_q   <= signed'(a_gx_q[6]);
    a_g_8_q    <= (ProductBits'(a_gx_7_q) <<< GateBits) + reset_7_q;
    g_addr_9_q <= {!g_index_8[TableBits-1], g_index_8[TableBits-2:0]};
  end
  egru_rescale #(.InBits(ProductBits), .OutBits(TableBits), .Shift(int'(PreactFrac) + int'(GateBits) - TanhFrac)) u_g_index (
    .x_i(a_g_8_q), .y_o(g_index_8)
  );
  egru_rom #(.Width(GateBits + 1), .Depth(1 << TableBits), .InitFile(TanhFile)) u_g_table (.clk_i, .addr_i(g_addr_9_q), .data_o(g_11));

  // State memory: cleared after reset, read for stage 11, written in stage 16.
  logic signed [StateBits-1:0] state_mem [Neurons];
  logic signed [StateBits-1:0] state_10_q, c_11_q, next_c;
  logic                        clearing_q;
  logic [NeuronBits-1:0]       clear_addr_q;
  always_ff @(posedge clk_i) begin
    if (clearing_q)            state_mem[clear_addr_q]     <= '0;
    else if (valid_q[Stages])  state_mem[neuron_q[Stages]] <= next_c;
    state_10_q <= state_mem[neuron_q[9]];
    c_11_q     <= state_10_q;
  end
  assign ready_o = !clearing_q;

  // Stages 12 to 15: new state.
  logic signed [StateBits-1:0] g_state_11, g_state_12_q, g_state_13_q, g_state_14_q, c_hat_15_q;
  logic [12:7][GateBits-1:0]   z_q;
  logic signed [DiffBits-1:0]  diff_12_q;
  logic signed [BlendBits-1:0] blend_13_q;
  logic signed [DiffBits-1:0]  step_13, step_14_q;
  assign g_state_11 = StateBits'(g_11) <<< (StateBits - 1 - GateBits);
  egru_rescale #(.InBits(BlendBits), .OutBits(DiffBits), .Shift(int'(GateBits))) u_blend (.x_i(blend_13_q), .y_o(step_13));
  always_ff @(posedge clk_i) begin
    z_q          <= {z_q[11:7], z_6};
    diff_12_q    <= DiffBits'(c_11_q) - DiffBits'(g_state_11);
    g_state_12_q <= g_state_11;
    blend_13_q   <= BlendBits'($signed({1'b0, z_q[12]}) * diff_12_q);
    g_state_13_q <= g_state_12_q;
    step_14_q    <= step_13;
    g_state_14_q <= g_state_13_q;
    c_hat_15_q   <= StateBits'(DiffBits'(g_state_14_q) + step_14_q);
  end

  // Stage 16: threshold, event, reset.
  logic [StateBits-2:0]        theta_15;
  logic signed [EventBits:0]   value_15;
  logic                        value_sign_unused;  // an event's value is positive, because c_hat > theta >= 0
  logic signed [StateBits-1:0] c_hat_16_q, c_reset_16_q;
  logic                        fired_16_q;
  logic [EventBits-1:0]        value_16_q;
  egru_rom #(.Width(StateBits - 1), .Depth(Neurons), .InitFile(ThresholdFile)) u_threshold (
    .clk_i, .addr_i(neuron_q[13]), .data_o(theta_15)
  );
  egru_rescale #(.InBits(StateBits), .OutBits(EventBits + 1), .Shift(int'(StateBits) - 1 - int'(EventBits))) u_value (
    .x_i(c_hat_15_q), .y_o(value_15)
  );
  assign value_sign_unused = value_15[EventBits];
  always_ff @(posedge clk_i) begin
    fired_16_q   <= c_hat_15_q > $signed({1'b0, theta_15});
    c_hat_16_q   <= c_hat_15_q;
    c_reset_16_q <= c_hat_15_q - $signed({1'b0, theta_15});
    value_16_q   <= value_15[EventBits-1:0];
  end
  always_comb begin
    next_c = fired_16_q ? c_reset_16_q : c_hat_16_q;
    if (last_q) next_c = '0;
  end

  // Events wait here for the broadcast.
  logic                  fire, pop, queue_ready_unused;
  logic [QueueCount-1:0] reserved_q, count_unused;
  assign fire = valid_q[Stages] && fired_16_q;
  assign pop  = valid_o && ready_i;
  egru_fifo #(.Width(IndexBits + EventBits), .Depth(QueueDepth)) u_events (
    .clk_i, .rst_ni,
    .valid_i(fire), .ready_o(queue_ready_unused), .data_i({IndexBits'(FirstIndex) + IndexBits'(neuron_q[Stages]), value_16_q}),
    .valid_o, .ready_i, .data_o({index_o, value_o}), .count_o(count_unused)
  );

  assign place_free = reserved_q != QueueCount'(QueueDepth);
  assign done_o     = left_q == '0 && reserved_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      turn_q       <= '0;
      reserved_q   <= '0;
      left_q       <= '0;
      clearing_q   <= 1'b1;
      clear_addr_q <= '0;
    end else begin
      turn_q     <= (32'(turn_q) == Lanes - 1) ? '0 : turn_q + 1'b1;
      reserved_q <= reserved_q + QueueCount'(accept) - QueueCount'(valid_q[Stages] && !fired_16_q) - QueueCount'(pop);
      left_q     <= step_i ? NeuronCount'(Neurons) : left_q - NeuronCount'(accept);
      if (clearing_q) begin
        clear_addr_q <= clear_addr_q + 1'b1;
        clearing_q   <= clear_addr_q != NeuronBits'(Neurons - 1);
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(step_i && !done_o)) else $error("egru_update_unit: a step began before the last one was done");
      assert (!(accept && left_q == '0)) else $error("egru_update_unit: more records than neurons in this step");
      assert (!fire || queue_ready_unused) else $error("egru_update_unit: an event has no place");
      assert (!step_i || 32'(token_i) < Tokens) else $error("egru_update_unit: token %0d has no input row", token_i);
    end
  end
`endif
endmodule
