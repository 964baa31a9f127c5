// egru_step_sequencer sends every input event to the bus once, every own event once to each of its takers, and an end item after them.
//
// At most one input event and one own event carry a mark in their value; the proof counts the marks that arrive, so that it holds for any event. Offers
// stand until they are taken; own events come during an update only, and an update that says that it is done stays so. Several layers have tokens for inputs, no events.
module egru_step_sequencer_proof #(
  parameter int unsigned Layers = 1,
  parameter int unsigned Patience = 2
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       ready_i,
  input logic       in_valid_i,
  input logic       in_end_i,
  input logic       in_last_i,
  input logic [1:0] in_index_i,
  input logic       in_mark_i,
  input logic       own_valid_i,
  input logic       own_last_i,
  input logic       own_output_i,  // of the last layer
  input logic [1:0] own_index_i,
  input logic       own_mark_i,
  input logic       stall_i,
  input logic       done_i,
  input logic       out_ready_i
);
  initial assume (!rst_ni);  // and at any time later

  logic       in_ready, own_ready, waits_unused, bus_valid, bus_end, step, taken, updating, out_valid, out_end, out_last;
  logic [1:0] step_token, out_index, bus_value, out_value;
  logic [2:0] bus_column;
  logic [Layers-1:0] step_last, active;
  egru_step_sequencer #(.Layers(Layers), .InIndexBits(2), .OwnIndexBits(2), .ColumnBits(3), .ColumnOffset(4), .EventBits(2)) u_dut (
    .clk_i, .rst_ni, .ready_i,
    .in_valid_i, .in_ready_o(in_ready), .in_end_i, .in_last_i, .in_index_i, .in_value_i({in_mark_i, 1'b0}),
    .own_valid_i, .own_ready_o(own_ready), .own_last_i, .own_output_i, .own_index_i, .own_value_i({1'b0, own_mark_i}),
    .bus_stall_i(stall_i), .bus_waits_o(waits_unused), .bus_valid_o(bus_valid), .bus_end_o(bus_end), .bus_column_o(bus_column),
    .bus_value_o(bus_value), .step_o(step), .step_taken_o(taken), .step_token_o(step_token), .step_last_o(step_last), .active_o(active),
    .update_done_i(done_i), .updating_o(updating),
    .out_valid_o(out_valid), .out_ready_i, .out_end_o(out_end), .out_last_o(out_last), .out_index_o(out_index), .out_value_o(out_value)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire \u_dut.own_on_bus_q ;
  (* hierconn *) wire \u_dut.own_on_output_q ;
  (* hierconn *) wire \u_dut.input_ended_q ;
  (* hierconn *) wire [1:0] \u_dut.token_q ;
  (* hierconn *) wire \u_dut.in_last_q ;
  (* hierconn *) wire [Layers-1:0] \u_dut.last_q ;
  (* hierconn *) wire \u_dut.gen_layers.odd_q ;
  wire [1:0] token_inside = \u_dut.token_q ;
  wire       last_inside  = \u_dut.in_last_q ;
  wire [Layers-1:0] lasts_inside = \u_dut.last_q ;
  wire odd           = (Layers > 1) ? \u_dut.gen_layers.odd_q : 1'b0;
  wire own_on_bus    = \u_dut.own_on_bus_q ;
  wire own_on_output = \u_dut.own_on_output_q ;
  wire input_ended   = \u_dut.input_ended_q ;

  wire in_take  = in_valid_i && in_ready;
  wire own_take = own_valid_i && own_ready;
  wire out_take = out_valid && out_ready_i;

  logic       in_waits_q, own_waits_q, out_waits_q, done_q;
  logic [4:0] in_q;
  logic [4:0] own_q;
  logic [5:0] out_q;
  logic       in_marked_q, own_marked_q, own_wanted_q, own_for_output_q;  // marked events taken; the own one belongs on the bus, on the output
  logic [1:0] on_bus_q, own_on_bus_count_q, on_output_q;   // marks that have arrived
  logic [2:0] in_column_q, own_column_q;
  logic [2:0] inputs_ended_q, steps_q, outputs_q, ends_q;  // modulo 8
  logic [1:0] token_q;
  logic       last_q, stepped_q, odd_q;       // odd_q: an odd number of steps without a token since the last one with
  logic [Layers-1:0] active_q, lasts_q;      // of the layers: a token of the input moves on by one layer in each step
  wire  [Layers-1:0] next_active = Layers'({active_q, taken}), next_last = Layers'({lasts_q, last_q});
  wire        silent = own_last_i && (Layers == 1 || own_output_i);
  logic [7:0] bus_stall_q, out_stall_q, age_q;
  always_ff @(posedge clk_i) begin
    bus_stall_q <= stall_i ? bus_stall_q + 1'b1 : '0;
    out_stall_q <= out_ready_i ? '0 : out_stall_q + 1'b1;
    in_waits_q  <= in_valid_i && !in_ready;
    own_waits_q <= own_valid_i && !own_ready;
    out_waits_q <= out_valid && !out_ready_i;
    in_q        <= {in_end_i, in_last_i, in_index_i, in_mark_i};
    own_q       <= {own_output_i, own_last_i, own_index_i, own_mark_i};
    out_q       <= {out_end, out_last, out_index, out_value};
    done_q      <= updating && done_i && !step;
    stepped_q   <= step;
    if (!rst_ni) begin
      {in_waits_q, own_waits_q, out_waits_q, done_q, in_marked_q, own_marked_q, on_bus_q, own_on_bus_count_q, on_output_q} <= '0;
      {inputs_ended_q, steps_q, outputs_q, ends_q, stepped_q, odd_q, active_q, bus_stall_q, out_stall_q, age_q} <= '0;
    end else begin
      age_q <= (own_valid_i && !own_ready) ? age_q + 1'b1 : '0;
      if (in_take && !in_end_i && in_mark_i) {in_marked_q, in_column_q} <= {1'b1, 3'(in_index_i) + 3'd4};
      if (own_take && own_mark_i) {own_marked_q, own_wanted_q, own_for_output_q} <= {1'b1, !silent, own_output_i};
      if (own_valid_i && own_mark_i) own_column_q <= 3'(own_index_i) + ((Layers > 1 && own_last_i) ? 3'd4 : 3'd0);
      on_bus_q           <= on_bus_q + 2'(bus_valid && !bus_end && bus_value[1]);
      own_on_bus_count_q <= own_on_bus_count_q + 2'(bus_valid && !bus_end && bus_value[0]);
      on_output_q        <= on_output_q + 2'(out_take && !out_end && out_value[0]);
      inputs_ended_q     <= inputs_ended_q + 3'(in_take && in_end_i);
      steps_q            <= steps_q + 3'(taken);
      outputs_q          <= outputs_q + 3'(step && next_active[Layers-1]);
      ends_q             <= ends_q + 3'(out_take && out_end);
      if (in_take && in_end_i) {token_q, last_q} <= {in_index_i, in_last_i};
      if (step) {active_q, lasts_q, odd_q} <= {next_active, next_last, !taken && !odd_q};
    end
  end

  wire in_bus_now  = bus_valid && !bus_end && bus_value[1];
  wire own_bus_now = bus_valid && !bus_end && bus_value[0];

  always_comb begin
    assume (!in_waits_q || (in_valid_i && {in_end_i, in_last_i, in_index_i, in_mark_i} == in_q));
    assume (!own_waits_q || (own_valid_i && {own_output_i, own_last_i, own_index_i, own_mark_i} == own_q));
    assume (Layers > 1 ? !in_valid_i || in_end_i : own_output_i);
    assume (!own_valid_i || (updating && !(done_i && updating)));
    assume (!done_q || done_i);
    assume (!(in_valid_i && !in_end_i && in_mark_i && in_marked_q) && !(own_valid_i && own_mark_i && own_marked_q));
    assume (bus_stall_q <= Patience && !(bus_stall_q == Patience && stall_i));
    assume (out_stall_q <= Patience && !(out_stall_q == Patience && !out_ready_i));
    if (rst_ni) begin
      input_events_once: assert (2'(in_marked_q) == on_bus_q + 2'(in_bus_now) && !(in_bus_now && bus_column != in_column_q));
      own_events_once_on_bus: assert (own_marked_q ? own_on_bus_count_q + 2'(own_bus_now) == 2'(own_wanted_q) : own_on_bus_count_q + 2'(own_bus_now) <= 2'd1);
      own_events_once_on_output: assert (own_marked_q ? on_output_q == 2'(own_for_output_q) : on_output_q <= 2'd1);
      own_column:      assert (!own_bus_now || bus_column == own_column_q);
      end_items:       assert ((bus_valid && bus_end) == stepped_q);
      step_per_input:  assert (steps_q + 3'(input_ended) == inputs_ended_q && (!taken || (step && input_ended)) && (Layers > 1 || step == taken));
      input_token:     assert (!taken || (step_token == token_q && step_last[0] == last_q));
      layer_after_layer: assert (active == active_q && (!step || ((step_last ^ next_last) & next_active) == '0));
      steps_in_pairs:  assert (!(taken && odd_q));
      no_deadlock:     assert (!(ready_i && !stall_i && !updating && (input_ended || (Layers > 1 && (active_q << 1) != '0))) || step);
      no_overlap:      assert (!(step && updating));
      output_per_step: assert (ends_q + 3'(updating && active_q[Layers-1]) == outputs_q);
      end_after_events: assert (!(out_valid && out_end) || !own_valid_i);
      stable_output:   assert (!out_waits_q || (out_valid && {out_end, out_last, out_index, out_value} == out_q));
      own_in_time:     assert (32'(age_q) <= Patience);
      invariant_token: assert (!input_ended || (token_inside == token_q && last_inside == last_q));
      invariant_taken: assert (own_waits_q || (!own_on_bus && !own_on_output));
      invariant_mark:  assert (own_marked_q || (own_on_bus_count_q + 2'(own_bus_now) == 2'(own_on_bus && own_waits_q && own_q[0]) && on_output_q == 2'(own_on_output && own_waits_q && own_q[0])));
      invariant_last:  assert (!(own_on_bus && own_q[3] && (Layers == 1 || own_q[4])) && !(own_on_output && !own_q[4]));
      invariant_layers: assert (odd == odd_q && ((lasts_inside ^ lasts_q) & active_q) == '0);
      invariant_column: assert (!(own_waits_q && own_q[0]) || own_column_q == 3'(own_q[2:1]) + ((Layers > 1 && own_q[3]) ? 3'd4 : 3'd0));
      invariant_updating: assert (!updating || Layers > 1 || active[0]);
      invariant_age:   assert (own_waits_q ? 32'(age_q) >= 1 && ((own_on_bus || (own_q[3] && (Layers == 1 || own_q[4])) || age_q <= bus_stall_q) || (own_on_output || !own_q[4] || age_q <= out_stall_q)) : age_q == '0);
    end
  end
endmodule
