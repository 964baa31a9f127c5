// Functional coverage of egru_update_unit: numbers at their limits, steps with all events and with none.
module egru_update_unit_coverage #(
  parameter int unsigned EventBits = 8,
  parameter int unsigned Neurons = 8
) (
  input logic clk_i,
  input logic rst_ni,
  input logic valid,
  input logic fired,
  input logic tie,
  input logic [EventBits-1:0] value,
  input logic state_limit,
  input logic last,
  input logic r_valid,
  input logic signed [9:0] r_index,
  input logic g_valid,
  input logic signed [9:0] g_index,
  input logic turn,
  input logic places,
  input logic step_i,
  input logic empty_o,
  input logic stalled
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  // Of the step before.
  int unsigned neurons_q, events_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      neurons_q <= 0;
      events_q  <= 0;
    end else if (step_i) begin
      neurons_q <= 0;
      events_q  <= 0;
    end else if (valid) begin
      neurons_q <= neurons_q + 1;
      events_q  <= events_q + 32'(fired);
    end
  end

  tie_is_no_event:              cover property (valid && tie);
  event_of_value_0:             cover property (valid && fired && value == '0);
  event_of_the_largest_value:   cover property (valid && fired && value == '1);
  event_in_the_last_step:       cover property (valid && fired && last);
  sigmoid_at_its_lower_end:     cover property (r_valid && r_index == -10'sd512);
  sigmoid_at_its_upper_end:     cover property (r_valid && r_index == 10'sd511);
  tanh_at_its_lower_end:        cover property (g_valid && g_index == -10'sd512);
  tanh_at_its_upper_end:        cover property (g_valid && g_index == 10'sd511);
  state_at_its_limit:           cover property (valid && state_limit);
  no_place_for_an_event:        cover property (!places && !turn && !empty_o);
  output_stalled:               cover property (stalled);
  step_without_events:          cover property (step_i && neurons_q != 0 && events_q == 0);
  step_with_all_events:         cover property (step_i && neurons_q == Neurons && events_q == Neurons);
  reset_with_neurons_under_way: cover property (disable iff (1'b0) $past(!empty_o) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_update_unit egru_update_unit_coverage #(.EventBits(EventBits), .Neurons(Neurons)) u_coverage (
  .clk_i, .rst_ni, .valid(valid_q[Stages]), .fired(fired_14), .tie(c_reset_14_q == '0), .value(value_14[EventBits-1:0]),
  .state_limit(c_hat_14_q == {1'b0, {(StateBits - 1){1'b1}}} || c_hat_14_q == {1'b1, {(StateBits - 2){1'b0}}, 1'b1}), .last(last_14),
  .r_valid(valid_q[5]), .r_index(r_index_5), .g_valid(valid_q[9]), .g_index(g_index_9), .turn(turn_o != '0), .places(place_free_q),
  .step_i, .empty_o, .stalled(valid_o && !ready_i)
);
