// Element-wise part of a time step for the neurons of a group of lanes: docs/semantics.md section 4, one neuron a cycle.
//
//   a_z  = satP(rescale(acc_z))  + p_z     a_r  = satP(rescale(acc_r))  + p_r
//   a_gx = satP(rescale(acc_gx)) + p_g     a_gr = satP(rescale(acc_gr)) + d
//   z = sigmoid[a_z]   r = sigmoid[a_r]   g = tanh[a_gx + r * a_gr]   G = g aligned to the state
//   c_hat = G + rescale(z * (c - G))
//   event iff c_hat > theta (strict: a tie is no event); then y = min(rescale(c_hat), 2^n - 1) and c = c_hat - theta, else c = c_hat
//
// The lanes take turns, one cycle each. A lane that takes its turn (`take_i`, row `row_i`) sends the four sums of the row one after the other, the first three
// cycles later, in the order in which they are needed: r, gr, gx, z. Lanes whose numbers differ by 4 never send at once. So four lanes keep the pipeline full,
// and nothing waits for a whole record. A turn is offered only when an event of it has a place in the queue, so the pipeline never stalls.
//
// `step_i` begins a step: `token_i` selects the row of the input memory {p_g, p_r, p_z}, `last_i` ends the sequence (c becomes 0). Neuron (lane, row) has the index
// FirstIndex + lane * Rows + row. `empty_o`: no neuron is under way and every event is taken; it follows the first neuron by two cycles.
//
// Several layers may share the lanes: row r belongs to the first layer l with r < RowEnds[l]; its sums have LeftShifts[l] fraction bits less than AccFrac. Only
// layer 0 has a row of inputs per token: the input memory holds Tokens rows of its neurons and then the biases of the others.
// `last_i` has one bit per layer; `last_o` and `output_o` (last layer) tell of the event's layer.
module egru_update_unit #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Rows = 8,
  parameter int unsigned Layers = 1,
  parameter logic [16*Layers-1:0] RowEnds = 16'd8,
  parameter logic [8*Layers-1:0] LeftShifts = 8'd0,
  parameter int unsigned Spread = 0,  // the largest of them
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
  parameter int unsigned QueueDepth = 32,  // of the events
  parameter int unsigned Weights = 0,  // these four: see egru_rom
  parameter int unsigned FirstMemory = 0,  // the inputs; the next two have the reset biases and the thresholds
  parameter int unsigned TableMemory = 0,  // sigmoid; the next one has tanh
  parameter int unsigned LoadBits = 32,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic                          clk_i,
  input  logic                          rst_ni,
  output logic                          ready_o,
  input  logic                          step_i,
  input  logic [TokenBits-1:0]          token_i,
  input  logic [Layers-1:0]             last_i,
  output logic [Lanes-1:0]              turn_o,
  input  logic [Lanes-1:0]              take_i,
  input  logic [Lanes-1:0][RowBits-1:0] row_i,
  input  logic [Lanes-1:0][AccBits-1:0] sum_i,
  output logic                          valid_o,
  input  logic                          ready_i,
  output logic [IndexBits-1:0]          index_o,
  output logic [EventBits-1:0]          value_o,
  output logic                          last_o,
  output logic                          output_o,
  output logic                          empty_o,
  input  logic [28+LoadBits:0]          load_i
);
  localparam int unsigned Neurons      = Lanes * Rows;
  localparam int unsigned NeuronBits   = (Neurons > 1) ? $clog2(Neurons) : 1;
  localparam int unsigned FirstRows    = 32'(RowEnds[15:0]);  // of layer 0
  localparam int unsigned TableRows    = Tokens * Lanes * FirstRows;
  localparam int unsigned InputDepth   = TableRows + Lanes * (Rows - FirstRows);
  localparam int unsigned InputBits    = (InputDepth > 1) ? $clog2(InputDepth) : 1;
  localparam int unsigned LayerBits    = (Layers > 1) ? $clog2(Layers) : 1;
  localparam int unsigned Period       = (Lanes + 3) / 4 * 4;
  localparam int unsigned TurnBits     = $clog2(Period);
  localparam int unsigned SumBits      = PreactBits + 1;
  localparam int unsigned ProductBits  = SumBits + GateBits + 2;
  localparam int unsigned TableBits    = 10;
  localparam int          SigmoidFrac  = 6;
  localparam int          TanhFrac     = 7;
  localparam int unsigned DiffBits     = StateBits + 1;
  localparam int unsigned BlendBits    = DiffBits + GateBits + 1;
  localparam int unsigned Stages       = 14;
  // The queue holds what is in the pipeline and what waits for a slow taker. Places are counted a few cycles late, hence the reserve.
  localparam int unsigned Reserve      = 4;
  localparam int unsigned QueueCount   = $clog2(QueueDepth + 1);

  localparam int unsigned WideBits     = AccBits + Spread;

  // Turns.
  logic [TurnBits-1:0] turn_q;
  logic                place_free_q;
  for (genvar l = 0; l < Lanes; l++) begin : gen_turns
    assign turn_o[l] = place_free_q && turn_q == TurnBits'(l);
  end

  // What belongs to the step.
  logic [InputBits-1:0] token_base_q;
  logic [Layers-1:0]    last_q;
  always_ff @(posedge clk_i) begin
    if (step_i) begin
      token_base_q <= InputBits'(token_i * (Lanes * FirstRows));
      last_q       <= last_i;
    end
  end

  // Stage n holds the row that was taken n + 1 cycles ago.
  logic [Stages:1]                 valid_q;
  logic [Stages:1][LayerBits-1:0]  layer;
  logic [Stages:2][NeuronBits-1:0] neuron_q;
  logic [5:0][TurnBits-1:0]        turn_stage_q;
  logic [RowBits-1:0]              row, row_0_q, row_1_q;
  logic                            valid_0_q;
  logic [InputBits-1:0]            input_1, input_2_q;

  // First neuron of the lane whose turn was two cycles ago: the turns follow each other, so no multiplier is needed.
  logic [NeuronBits-1:0] lane_base_1_q;
  always_ff @(posedge clk_i) lane_base_1_q <= (turn_stage_q[0] == '0) ? '0 : lane_base_1_q + NeuronBits'(Rows);

  always_comb begin
    row = '0;
    for (int unsigned l = 0; l < Lanes; l++) if (take_i[l]) row |= row_i[l];
  end
  always_ff @(posedge clk_i) begin
    row_0_q      <= row;
    row_1_q      <= row_0_q;
    turn_stage_q <= {turn_stage_q[4:0], turn_q};
    neuron_q     <= {neuron_q[Stages-1:2], lane_base_1_q + NeuronBits'(row_1_q)};
    input_2_q    <= input_1;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_0_q <= 1'b0;
      valid_q   <= '0;
    end else begin
      valid_0_q <= take_i != '0;
      valid_q   <= {valid_q[Stages-1:1], valid_0_q};
    end
  end

  if (Layers > 1) begin : gen_layers
    logic [LayerBits-1:0]            layer_1;
    logic [(Stages-1)*LayerBits-1:0] layer_q;  // flat: yosys takes no packed array that is declared here
    always_comb begin
      layer_1 = LayerBits'(Layers - 1);
      for (int l = Layers - 2; l >= 0; l--) begin
        if (16'(row_1_q) < RowEnds[16*l +: 16]) layer_1 = LayerBits'(l);
      end
    end
    always_ff @(posedge clk_i) layer_q <= {layer_q[(Stages-2)*LayerBits-1:0], layer_1};
    assign layer   = {layer_q, layer_1};
    // The same of the lane's inputs of layer 0, and of the biases of the others, less the rows of layer 0 that come before them in the lane.
    localparam logic [InputBits-1:0] FirstBias = InputBits'(TableRows) - InputBits'(FirstRows);
    logic [InputBits-1:0] first_base_1_q, bias_base_1_q;
    always_ff @(posedge clk_i) begin
      first_base_1_q <= (turn_stage_q[0] == '0) ? '0 : first_base_1_q + InputBits'(FirstRows);
      bias_base_1_q  <= (turn_stage_q[0] == '0) ? FirstBias : bias_base_1_q + InputBits'(Rows - FirstRows);
    end
    assign input_1 = (layer_1 == '0 ? first_base_1_q : bias_base_1_q) + InputBits'(row_1_q);
  end else begin : gen_layer
    assign layer   = '0;
    assign input_1 = InputBits'(lane_base_1_q + NeuronBits'(row_1_q));
  end

  // Stages 2 to 5: the sums of the row arrive, each from one of four classes of lanes.
  logic [3:0][AccBits-1:0] class_sum;
  always_comb begin
    class_sum = '0;
    for (int unsigned l = 0; l < Lanes; l++) class_sum[l % 4] |= sum_i[l];
  end
  logic signed [3:0][WideBits-1:0] field_q;
  always_ff @(posedge clk_i) begin
    for (int unsigned f = 0; f < 4; f++) begin
      field_q[f] <= WideBits'($signed(class_sum[turn_stage_q[2+f][1:0]])) << LeftShifts[7:0];
      for (int unsigned l = 1; l < Layers; l++) begin
        if (layer[2+f] == LayerBits'(l)) field_q[f] <= WideBits'($signed(class_sum[turn_stage_q[2+f][1:0]])) << LeftShifts[8*l +: 8];
      end
    end
  end

  // Input and reset bias arrive while the sums are brought to the pre-activation format: r in stage 3, gr in 4, gx in 5, z in 6.
  logic [2:0][PreactBits-1:0]   p_4;
  logic [PreactBits-1:0]        p_g_5_q, p_g_6_q, p_z_5_q, p_z_6_q, p_z_7_q;
  logic signed [PreactBits-1:0] d_5;
  egru_rom #(.Width(3 * PreactBits), .Depth(InputDepth), .InitFile(InputFile), .Weights(Weights), .Memory(FirstMemory), .LoadBits(LoadBits)) u_input (
    .clk_i, .addr_i((layer[2] == '0 ? token_base_q : '0) + input_2_q), .data_o(p_4), .load_i
  );
  egru_rom #(.Width(PreactBits), .Depth(Neurons), .InitFile(ResetBiasFile), .Weights(Weights), .Memory(FirstMemory + 1), .LoadBits(LoadBits)) u_reset_bias (
    .clk_i, .addr_i(neuron_q[3]), .data_o(d_5), .load_i
  );

  logic signed [3:0][PreactBits-1:0] scaled, scaled_q;
  for (genvar f = 0; f < 4; f++) begin : gen_scale
    egru_rescale #(.InBits(WideBits), .OutBits(PreactBits), .Shift(int'(AccFrac) - int'(PreactFrac))) u_scale (
      .x_i(field_q[f]), .y_o(scaled[f])
    );
  end

  // Pre-activations: r in stage 4, gr in 5, gx in 6, z in 7. They leave the stored format by one bit and are not saturated: the table index saturates.
  logic signed [SumBits-1:0] a_r_5_q, a_gr_6_q, a_gr_7_q, a_gx_7_q, a_gx_8_q, a_z_8_q;
  always_ff @(posedge clk_i) begin
    scaled_q <= scaled;
    {p_g_5_q, p_z_5_q} <= {p_4[2], p_4[0]};
    {p_g_6_q, p_z_6_q} <= {p_g_5_q, p_z_5_q};
    p_z_7_q  <= p_z_6_q;
    a_r_5_q  <= SumBits'(signed'(scaled_q[0])) + SumBits'(signed'(p_4[1]));
    a_gr_6_q <= SumBits'(signed'(scaled_q[1])) + SumBits'(d_5);
    a_gx_7_q <= SumBits'(signed'(scaled_q[2])) + SumBits'(signed'(p_g_6_q));
    a_z_8_q  <= SumBits'(signed'(scaled_q[3])) + SumBits'(signed'(p_z_7_q));
    a_gr_7_q <= a_gr_6_q;
    a_gx_8_q <= a_gx_7_q;
  end

  // Stages 5 and 6: r; 8 and 9: z. A signed index of the table's width, saturated, is the address with its top bit flipped.
  logic signed [TableBits-1:0] r_index_5, z_index_8;
  logic [GateBits-1:0]         r_7, z_10, z_11_q, z_12_q;
  egru_rescale #(.InBits(SumBits), .OutBits(TableBits), .Shift(int'(PreactFrac) - SigmoidFrac)) u_r_index (.x_i(a_r_5_q), .y_o(r_index_5));
  egru_rescale #(.InBits(SumBits), .OutBits(TableBits), .Shift(int'(PreactFrac) - SigmoidFrac)) u_z_index (.x_i(a_z_8_q), .y_o(z_index_8));
  egru_rom #(.Width(GateBits), .Depth(1 << TableBits), .InitFile(SigmoidFile), .Weights(Weights), .Memory(TableMemory), .LoadBits(LoadBits)) u_r_table (
    .clk_i, .addr_i({!r_index_5[TableBits-1], r_index_5[TableBits-2:0]}), .data_o(r_7), .load_i
  );
  egru_rom #(.Width(GateBits), .Depth(1 << TableBits), .InitFile(SigmoidFile), .Weights(Weights), .Memory(TableMemory), .LoadBits(LoadBits)) u_z_table (
    .clk_i, .addr_i({!z_index_8[TableBits-1], z_index_8[TableBits-2:0]}), .data_o(z_10), .load_i
  );

  // Stages 7 to 10: candidate.
  logic signed [ProductBits-1:0] reset_8_q, a_g_9_q;
  logic signed [TableBits-1:0]   g_index_9;
  logic signed [GateBits:0]      g_11;
  always_ff @(posedge clk_i) begin
    reset_8_q <= ProductBits'($signed({1'b0, r_7}) * a_gr_7_q);
    a_g_9_q   <= (ProductBits'(a_gx_8_q) <<< GateBits) + reset_8_q;
  end
  egru_rescale #(.InBits(ProductBits), .OutBits(TableBits), .Shift(int'(PreactFrac) + int'(GateBits) - TanhFrac)) u_g_index (
    .x_i(a_g_9_q), .y_o(g_index_9)
  );
  egru_rom #(.Width(GateBits + 1), .Depth(1 << TableBits), .InitFile(TanhFile), .Weights(Weights), .Memory(TableMemory + 1), .LoadBits(LoadBits)) u_g_table (
    .clk_i, .addr_i({!g_index_9[TableBits-1], g_index_9[TableBits-2:0]}), .data_o(g_11), .load_i
  );

  // State memory: zeroed after reset, read in stages 9 and 10, written in stage 14.
  // A word is never read while it is written: that would take a neuron in stages 9 and 14 at once, five cycles apart, but a neuron has one turn in a step, and no step begins
  // before the last neuron of the one before has left (`step_i` needs `empty_o`). What is read without a neuron in stage 9 is not used.
  (* no_rw_check *) logic signed [StateBits-1:0] state_mem [Neurons];
  logic signed [StateBits-1:0] state_10_q, c_11_q, next_c;
  logic                        clearing_q;
  logic [NeuronBits-1:0]       clear_addr_q;
  always_ff @(posedge clk_i) begin
    if (clearing_q || valid_q[Stages]) state_mem[clearing_q ? clear_addr_q : neuron_q[Stages]] <= next_c;
    state_10_q <= state_mem[neuron_q[9]];
    c_11_q     <= state_10_q;
  end
  assign ready_o = !clearing_q;

  // Stages 11 to 13: new state, without and with the reset by theta side by side.
  logic [StateBits-2:0]        theta_11;
  logic signed [StateBits-1:0] g_state_11, g_state_12_q, g_state_13_q, c_hat_14_q;
  logic signed [DiffBits-1:0]  diff_12_q, g_reset_12_q, g_reset_13_q, step_13, c_reset_14_q;
  logic signed [BlendBits-1:0] blend_13_q;
  egru_rom #(.Width(StateBits - 1), .Depth(Neurons), .InitFile(ThresholdFile), .Weights(Weights), .Memory(FirstMemory + 2), .LoadBits(LoadBits)) u_threshold (
    .clk_i, .addr_i(neuron_q[9]), .data_o(theta_11), .load_i
  );
  assign g_state_11 = StateBits'(g_11) <<< (StateBits - 1 - GateBits);
  egru_rescale #(.InBits(BlendBits), .OutBits(DiffBits), .Shift(int'(GateBits))) u_blend (.x_i(blend_13_q), .y_o(step_13));
  always_ff @(posedge clk_i) begin
    {z_12_q, z_11_q} <= {z_11_q, z_10};
    diff_12_q    <= DiffBits'(c_11_q) - DiffBits'(g_state_11);
    g_state_12_q <= g_state_11;
    g_reset_12_q <= DiffBits'(g_state_11) - $signed({2'b0, theta_11});
    blend_13_q   <= BlendBits'($signed({1'b0, z_12_q}) * diff_12_q);
    g_state_13_q <= g_state_12_q;
    g_reset_13_q <= g_reset_12_q;
    c_hat_14_q   <= StateBits'(DiffBits'(g_state_13_q) + step_13);
    c_reset_14_q <= g_reset_13_q + step_13;
  end

  // Stage 14: event and reset. c_hat > theta iff c_hat - theta > 0.
  logic                      fired_14, last_14;
  logic signed [EventBits:0] value_14;
  logic                      value_sign_unused;  // an event's value is positive, because c_hat > theta >= 0
  egru_rescale #(.InBits(StateBits), .OutBits(EventBits + 1), .Shift(int'(StateBits) - 1 - int'(EventBits))) u_value (
    .x_i(c_hat_14_q), .y_o(value_14)
  );
  assign value_sign_unused = value_14[EventBits];
  assign fired_14 = !c_reset_14_q[DiffBits-1] && c_reset_14_q != '0;
  assign last_14  = last_q[layer[Stages]];
  always_comb begin
    if (clearing_q || last_14) next_c = '0;
    else                       next_c = fired_14 ? c_reset_14_q[StateBits-1:0] : c_hat_14_q;
  end

  // Events wait here for the broadcast.
  logic                  fire, pop_q, silent_q, queue_ready_unused;
  logic [IndexBits-1:0]  index_14;
  logic [QueueCount-1:0] reserved_q, count_unused;
  assign fire     = valid_q[Stages] && fired_14;
  assign index_14 = IndexBits'(FirstIndex) + IndexBits'(neuron_q[Stages]);
  if (Layers > 1) begin : gen_marked_events
    egru_fifo #(.Width(2 + IndexBits + EventBits), .Depth(QueueDepth)) u_events (
      .clk_i, .rst_ni,
      .valid_i(fire), .ready_o(queue_ready_unused),
      .data_i({last_14, layer[Stages] == LayerBits'(Layers - 1), index_14, value_14[EventBits-1:0]}),
      .valid_o, .ready_i, .data_o({last_o, output_o, index_o, value_o}), .count_o(count_unused)
    );
  end else begin : gen_events
    egru_fifo #(.Width(IndexBits + EventBits), .Depth(QueueDepth)) u_events (
      .clk_i, .rst_ni,
      .valid_i(fire), .ready_o(queue_ready_unused), .data_i({index_14, value_14[EventBits-1:0]}),
      .valid_o, .ready_i, .data_o({index_o, value_o}), .count_o(count_unused)
    );
    assign last_o   = last_q[0];
    assign output_o = 1'b1;
  end

  assign empty_o = reserved_q == '0;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      turn_q       <= '0;
      place_free_q <= 1'b0;
      silent_q     <= 1'b0;
      pop_q        <= 1'b0;
      reserved_q   <= '0;
      clearing_q   <= 1'b1;
      clear_addr_q <= '0;
    end else begin
      turn_q       <= (turn_q == TurnBits'(Period - 1)) ? '0 : turn_q + 1'b1;
      place_free_q <= reserved_q < QueueCount'(QueueDepth - Reserve);
      silent_q     <= valid_q[Stages] && !fired_14;
      pop_q        <= valid_o && ready_i;
      reserved_q   <= reserved_q + QueueCount'(valid_0_q) - QueueCount'(silent_q) - QueueCount'(pop_q);
      if (clearing_q) begin
        clear_addr_q <= clear_addr_q + 1'b1;
        clearing_q   <= clear_addr_q != NeuronBits'(Neurons - 1);
      end
    end
  end

`ifndef SYNTHESIS
  initial begin
    if (QueueDepth < 2 * Reserve) $fatal(1, "egru_update_unit: QueueDepth=%0d must be %0d or more", QueueDepth, 2 * Reserve);
    for (int unsigned l = 0; l < Layers; l++) begin
      if (32'(LeftShifts[8*l +: 8]) > Spread) $fatal(1, "egru_update_unit: Spread=%0d is less than a left shift", Spread);
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(step_i && !empty_o)) else $error("egru_update_unit: a step began before the last one was done");
      assert (!(valid_q[9] && valid_q[Stages] && neuron_q[9] == neuron_q[Stages])) else $error("egru_update_unit: a state is read while it is written");
      assert ((take_i & ~turn_o) == '0) else $error("egru_update_unit: a row was taken out of turn");
      assert (!fire || queue_ready_unused) else $error("egru_update_unit: an event has no place");
      assert (!step_i || 32'(token_i) < Tokens) else $error("egru_update_unit: token %0d has no input row", token_i);
    end
  end
`endif
endmodule
