// egru_step_sequencer sends every input event to the bus once, every own event once to each of its takers, and an end item after them.
//
// One layer. At most one input event and one own event carry a mark in their value; the proof counts the marks that arrive, so that it holds for any event. Offers
// stand until they are taken; own events come during an update only, and an update that says that it is done stays so.
module egru_step_sequencer_proof #(
  parameter int unsigned Patience = 2
) (
  input logic       clk_i,
  input logic       ready_i,
  input logic       in_valid_i,
  input logic       in_end_i,
  input logic       in_last_i,
  input logic [1:0] in_index_i,
  input logic       in_mark_i,
  input logic       own_valid_i,
  input logic       own_last_i,
  input logic [1:0] own_index_i,
  input logic       own_mark_i,
  input logic       stall_i,
  input logic       done_i,
  input logic       out_ready_i
);
  logic rst_n = 1'b0;  // low in the first cycle only
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic       in_ready, own_ready, waits_unused, bus_valid, bus_end, step, taken, step_last, active, updating, out_valid, out_end, out_last;
  logic [1:0] step_token, out_index, bus_value, out_value;
  logic [2:0] bus_column;
  egru_step_sequencer #(.Layers(1), .InIndexBits(2), .OwnIndexBits(2), .ColumnBits(3), .ColumnOffset(4), .EventBits(2)) u_dut (
    .clk_i, .rst_ni(rst_n), .ready_i,
    .in_valid_i, .in_ready_o(in_ready), .in_end_i, .in_last_i, .in_index_i, .in_value_i({in_mark_i, 1'b0}),
    .own_valid_i, .own_ready_o(own_ready), .own_last_i, .own_output_i(1'b1), .own_index_i, .own_value_i({1'b0, own_mark_i}),
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
  wire [1:0] token_inside = \u_dut.token_q ;
  wire       last_inside  = \u_dut.in_last_q ;
  wire own_on_bus    = \u_dut.own_on_bus_q ;
  wire own_on_output = \u_dut.own_on_output_q ;
  wire input_ended   = \u_dut.input_ended_q ;

  wire in_take  = in_valid_i && in_ready;
  wire own_take = own_valid_i && own_ready;
  wire out_take = out_valid && out_ready_i;

  logic       in_waits_q = 1'b0, own_waits_q = 1'b0, out_waits_q = 1'b0, done_q = 1'b0;
  logic [4:0] in_q;
  logic [3:0] own_q;
  logic [5:0] out_q;
  logic       in_marked_q = 1'b0, own_marked_q = 1'b0, own_wanted_q = 1'b0;  // marked events taken; the own one belongs on the bus
  logic [1:0] on_bus_q = '0, own_on_bus_count_q = '0, on_output_q = '0;   // marks that have arrived
  logic [2:0] in_column_q, own_column_q;
  logic [2:0] inputs_ended_q = '0, steps_q = '0, ends_q = '0;  // modulo 8
  logic [1:0] token_q;
  logic       last_q, stepped_q = 1'b0;
  logic [7:0] bus_stall_q = '0, out_stall_q = '0, age_q = '0;
  always_ff @(posedge clk_i) begin
    bus_stall_q <= stall_i ? bus_stall_q + 1'b1 : '0;
    out_stall_q <= out_ready_i ? '0 : out_stall_q + 1'b1;
    in_waits_q  <= rst_n && in_valid_i && !in_ready;
    own_waits_q <= rst_n && own_valid_i && !own_ready;
    out_waits_q <= rst_n && out_valid && !out_ready_i;
    in_q        <= {in_end_i, in_last_i, in_index_i, in_mark_i};
    own_q       <= {own_last_i, own_index_i, own_mark_i};
    out_q       <= {out_end, out_last, out_index, out_value};
    done_q      <= rst_n && updating && done_i && !step;
    stepped_q   <= rst_n && step;
    if (rst_n) begin
      age_q <= (own_valid_i && !own_ready) ? age_q + 1'b1 : '0;
      if (in_take && !in_end_i && in_mark_i) {in_marked_q, in_column_q} <= {1'b1, 3'(in_index_i) + 3'd4};
      if (own_take && own_mark_i) {own_marked_q, own_wanted_q} <= {1'b1, !own_last_i};
      if (own_valid_i && own_mark_i) own_column_q <= 3'(own_index_i);
      on_bus_q           <= on_bus_q + 2'(bus_valid && !bus_end && bus_value[1]);
      own_on_bus_count_q <= own_on_bus_count_q + 2'(bus_valid && !bus_end && bus_value[0]);
      on_output_q        <= on_output_q + 2'(out_take && !out_end && out_value[0]);
      inputs_ended_q     <= inputs_ended_q + 3'(in_take && in_end_i);
      steps_q            <= steps_q + 3'(step);
      ends_q             <= ends_q + 3'(out_take && out_end);
      if (in_take && in_end_i) {token_q, last_q} <= {in_index_i, in_last_i};
    end
  end

  wire in_bus_now  = bus_valid && !bus_end && bus_value[1];
  wire own_bus_now = bus_valid && !bus_end && bus_value[0];

  always_comb begin
    assume (!in_waits_q || (in_valid_i && {in_end_i, in_last_i, in_index_i, in_mark_i} == in_q));
    assume (!own_waits_q || (own_valid_i && {own_last_i, own_index_i, own_mark_i} == own_q));
    assume (!own_valid_i || (updating && !(done_i && updating)));
    assume (!done_q || done_i);
    assume (!(in_valid_i && !in_end_i && in_mark_i && in_marked_q) && !(own_valid_i && own_mark_i && own_marked_q));
    assume (bus_stall_q <= Patience && !(bus_stall_q == Patience && stall_i));
    assume (out_stall_q <= Patience && !(out_stall_q == Patience && !out_ready_i));
    if (rst_n) begin
      input_events_once: assert (2'(in_marked_q) == on_bus_q + 2'(in_bus_now) && !(in_bus_now && bus_column != in_column_q));
      own_events_once_on_bus: assert (own_marked_q ? own_on_bus_count_q + 2'(own_bus_now) == 2'(own_wanted_q) : own_on_bus_count_q + 2'(own_bus_now) <= 2'd1);
      own_events_once_on_output: assert (own_marked_q ? on_output_q == 2'd1 : on_output_q <= 2'd1);
      own_column:      assert (!own_bus_now || bus_column == own_column_q);
      end_items:       assert ((bus_valid && bus_end) == stepped_q);
      step_per_input:  assert (step == taken && steps_q + 3'(input_ended) == inputs_ended_q && (!step || input_ended));
      input_token:     assert (!step || (step_token == token_q && step_last == last_q));
      no_overlap:      assert (!(step && updating));
      output_per_step: assert (ends_q + 3'(updating) == steps_q);
      end_after_events: assert (!(out_valid && out_end) || !own_valid_i);
      stable_output:   assert (!out_waits_q || (out_valid && {out_end, out_last, out_index, out_value} == out_q));
      own_in_time:     assert (32'(age_q) <= Patience);
      invariant_token: assert (!input_ended || (token_inside == token_q && last_inside == last_q));
      invariant_taken: assert (own_waits_q || (!own_on_bus && !own_on_output));
      invariant_mark:  assert (own_marked_q || (own_on_bus_count_q + 2'(own_bus_now) == 2'(own_on_bus && own_waits_q && own_q[0]) && on_output_q == 2'(own_on_output && own_waits_q && own_q[0])));
      invariant_last:  assert (!(own_on_bus && own_q[3]));
      invariant_column: assert (!(own_waits_q && own_q[0]) || own_column_q == 3'(own_q[2:1]));
      invariant_updating: assert (!updating || active);
      invariant_age:   assert (own_waits_q ? 32'(age_q) >= 1 && ((own_on_bus || own_q[3] || age_q <= bus_stall_q) || (own_on_output || age_q <= out_stall_q)) : age_q == '0);
    end
    invariant_before: assert (rst_n || (!in_marked_q && !own_marked_q && !own_waits_q && !in_waits_q && !out_waits_q && !stepped_q && !done_q && age_q == '0));
    invariant_zero: assert (rst_n || (on_bus_q == '0 && own_on_bus_count_q == '0 && on_output_q == '0 && inputs_ended_q == '0 && steps_q == '0 && ends_q == '0));
  end
endmodule
