// Functional coverage of egru_step_sequencer.
module egru_step_sequencer_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic in_valid_i,
  input logic in_ready_o,
  input logic in_end_i,
  input logic own_valid_i,
  input logic own_ready_o,
  input logic own_last_i,
  input logic bus_stall_i,
  input logic out_valid_o,
  input logic out_ready_i,
  input logic step_o,
  input logic step_taken_o,
  input logic in_last,
  input logic updating_q,
  input logic input_ended_q,
  input logic bus_first,
  input logic output_first
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  // What has come since the last step.
  logic stepped_q, saw_input_q, saw_own_q, ended_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      stepped_q   <= 1'b0;
      saw_input_q <= 1'b0;
      saw_own_q   <= 1'b0;
      ended_q     <= 1'b0;
    end else begin
      saw_input_q <= (saw_input_q && !step_o) || (in_valid_i && in_ready_o && !in_end_i);
      saw_own_q   <= (saw_own_q && !step_o) || own_valid_i;
      if (step_o) stepped_q <= 1'b1;
      if (step_taken_o) ended_q <= in_last;
    end
  end

  input_stalled:                cover property (in_valid_i && !in_ready_o);
  event_and_own_event_at_once:  cover property (in_valid_i && !in_end_i && own_valid_i);
  own_event_stalled:            cover property (own_valid_i && !own_ready_o);
  bus_stalled:                  cover property (bus_stall_i);
  output_stalled:               cover property (out_valid_o && !out_ready_i);
  bus_takes_first:              cover property (own_valid_i && bus_first);
  output_takes_first:           cover property (own_valid_i && output_first);
  step_without_input_events:    cover property (step_taken_o && !saw_input_q);
  step_without_own_events:      cover property (step_taken_o && stepped_q && !saw_own_q);
  step_without_any_event:       cover property (step_taken_o && stepped_q && !saw_input_q && !saw_own_q);
  step_without_a_token:         cover property (step_o && !step_taken_o);
  input_ends_during_the_update: cover property (updating_q && input_ended_q);
  one_step_sequences_in_a_row:  cover property (step_taken_o && in_last && ended_q);
  own_event_of_the_last_step:   cover property (own_valid_i && own_last_i);
  reset_during_the_update:      cover property (disable iff (1'b0) $past(updating_q) && $past(rst_ni) && !rst_ni);
  reset_between_input_and_step: cover property (disable iff (1'b0) $past(input_ended_q) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_step_sequencer egru_step_sequencer_coverage u_coverage (
  .clk_i, .rst_ni, .in_valid_i, .in_ready_o, .in_end_i, .own_valid_i, .own_ready_o, .own_last_i, .bus_stall_i, .out_valid_o,
  .out_ready_i, .step_o, .step_taken_o, .in_last(step_last_o[0]), .updating_q, .input_ended_q,
  .bus_first(own_on_bus_q && !own_on_output_q && wants_output), .output_first(own_on_output_q && !own_on_bus_q && wants_bus)
);
