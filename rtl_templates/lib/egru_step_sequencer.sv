// Order of time steps in one set of lanes: merges the input events with the lanes' own, marks the ends of steps, passes events on.
//
// One layer. Step t sees the input events of step t and the layer's own events of step t-1. Both go to the lanes over one bus, in any order, and then an
// end item: when the end of the input of step t has come and the update of step t-1 has finished, so that its events are all on the bus. With the end item
// `step_o` starts the update of step t; the events of that update go to the lanes (for step t+1) and to the output (for the next layer); when `update_done_i` says that
// they are all gone, the output gets its end item.
//
// Several layers, each one time step behind the one before: in a step of the lanes, layer l works on token t-l. So what any layer
// sends in one step, its own recurrence and the layer after it need in the next, and an event goes to the bus once. `active_o` says which layers have a token in the
// step that is being updated. When no token waits, steps without one bring those under way to the end. The sums of a layer that rests stay in the bank
// of the step in which they grew, and the banks take turns: such steps therefore come in pairs before the next token.
//
// After the last step of a sequence a layer's events do not go back to itself: y starts at 0 again. With one layer they stay off the bus; with several the index gets the
// offset of the columns that lead to the next layer only, and those of the last layer stay off the bus.
//
// Columns: own events at their index; from ColumnOffset on the input events, or with several layers the own ones of a sequence's last step.
// An input end item carries the token in `in_index_i` (first layer) and whether the sequence ends in `in_last_i`.
module egru_step_sequencer #(
  parameter int unsigned Layers = 1,
  parameter int unsigned InIndexBits = 8,    // of input events and tokens
  parameter int unsigned OwnIndexBits = 8,   // of the lanes' own events
  parameter int unsigned ColumnBits = 9,
  parameter int unsigned ColumnOffset = 256,
  parameter int unsigned EventBits = 8
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    ready_i,         // memories are cleared
  input  logic                    in_valid_i,
  output logic                    in_ready_o,
  input  logic                    in_end_i,
  input  logic                    in_last_i,
  input  logic [InIndexBits-1:0]  in_index_i,
  input  logic [EventBits-1:0]    in_value_i,
  input  logic                    own_valid_i,
  output logic                    own_ready_o,
  input  logic                    own_last_i,      // its layer ended a sequence in this step
  input  logic                    own_output_i,    // it is of the last layer
  input  logic [OwnIndexBits-1:0] own_index_i,
  input  logic [EventBits-1:0]    own_value_i,
  input  logic                    bus_stall_i,
  output logic                    bus_waits_o,     // something stands before the stalled bus
  output logic                    bus_valid_o,
  output logic                    bus_end_o,
  output logic [ColumnBits-1:0]   bus_column_o,
  output logic [EventBits-1:0]    bus_value_o,
  output logic                    step_o,
  output logic                    step_taken_o,    // with a new token, or the end of an input
  output logic [InIndexBits-1:0]  step_token_o,
  output logic [Layers-1:0]       step_last_o,
  output logic [Layers-1:0]       active_o,
  input  logic                    update_done_i,
  output logic                    updating_o,
  output logic                    out_valid_o,
  input  logic                    out_ready_i,
  output logic                    out_end_o,
  output logic                    out_last_o,
  output logic [OwnIndexBits-1:0] out_index_o,
  output logic [EventBits-1:0]    out_value_o
);
  logic                   input_ended_q, updating_q, in_last_q;
  logic [InIndexBits-1:0] token_q;
  logic [Layers-1:0]      active_q, last_q, active_next, last_next;

  // An own event goes to at most two takers, each of which takes it once.
  logic own_on_bus_q, own_on_output_q, wants_bus, wants_output, own_to_bus, own_to_output, own_bus_taken, own_output_taken;
  logic send_end, take_input, drain, send_input, output_end;

  if (Layers > 1) begin : gen_layers
    // Steps without a token since the last one with: an odd number must be made even.
    logic odd_q;
    assign take_input  = input_ended_q && !odd_q;
    assign drain       = (input_ended_q && odd_q) || (!input_ended_q && active_q[Layers-2:0] != '0);
    assign active_next = {active_q[Layers-2:0], take_input};
    assign last_next   = {last_q[Layers-2:0], in_last_q};
    assign wants_bus   = !(own_last_i && own_output_i);
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni)     odd_q <= 1'b0;
      else if (step_o) odd_q <= !take_input && !odd_q;
    end
  end else begin : gen_layer
    assign take_input  = input_ended_q;
    assign drain       = 1'b0;
    assign active_next = 1'b1;
    assign last_next   = in_last_q;
    assign wants_bus   = !own_last_i;
  end
  assign wants_output = own_output_i;

  assign own_to_bus    = own_valid_i && !own_on_bus_q && wants_bus;
  assign own_to_output = own_valid_i && !own_on_output_q && wants_output;
  assign send_end      = (take_input || drain) && !updating_q && ready_i;
  assign send_input    = in_valid_i && !in_end_i && !input_ended_q && ready_i;

  // The lanes' own events come first: until they are gone the update cannot finish.
  assign own_bus_taken    = own_to_bus && !bus_stall_i;
  assign own_output_taken = own_to_output && out_ready_i;
  assign own_ready_o      = (own_on_bus_q || own_bus_taken || !wants_bus) && (own_on_output_q || own_output_taken || !wants_output);
  assign bus_waits_o      = bus_stall_i && (own_to_bus || send_end || send_input);
  assign in_ready_o       = !input_ended_q && ready_i && (in_end_i || (!bus_stall_i && !own_to_bus));
  assign step_o           = send_end && !bus_stall_i;
  assign step_taken_o     = step_o && take_input;
  assign step_token_o     = token_q;
  assign step_last_o      = last_next;
  assign active_o         = active_q;
  assign updating_o       = updating_q;

  assign output_end  = updating_q && update_done_i && !own_valid_i && active_q[Layers-1];
  assign out_valid_o = own_to_output || output_end;
  assign out_end_o   = !own_to_output;
  assign out_last_o  = last_q[Layers-1];
  assign out_index_o = own_to_output ? own_index_i : '0;
  assign out_value_o = own_to_output ? own_value_i : '0;

  always_ff @(posedge clk_i) begin
    bus_end_o   <= send_end;
    bus_value_o <= own_to_bus ? own_value_i : in_value_i;
    if (!own_to_bus)                      bus_column_o <= ColumnBits'(ColumnOffset) + ColumnBits'(in_index_i);
    else if (Layers > 1 && own_last_i)    bus_column_o <= ColumnBits'(ColumnOffset) + ColumnBits'(own_index_i);
    else                                  bus_column_o <= ColumnBits'(own_index_i);
    if (in_valid_i && in_ready_o && in_end_i) begin
      token_q   <= in_index_i;
      in_last_q <= in_last_i;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      input_ended_q   <= 1'b0;
      updating_q      <= 1'b0;
      active_q        <= '0;
      last_q          <= '0;
      own_on_bus_q    <= 1'b0;
      own_on_output_q <= 1'b0;
      bus_valid_o     <= 1'b0;
    end else begin
      bus_valid_o <= !bus_stall_i && (own_to_bus || send_end || send_input);
      if (step_taken_o) input_ended_q <= 1'b0;
      else if (in_valid_i && in_ready_o && in_end_i) input_ended_q <= 1'b1;
      if (step_o) begin
        updating_q <= 1'b1;
        active_q   <= active_next;
        last_q     <= last_next;
      end else if (updating_q && update_done_i && !own_valid_i && (out_ready_i || !active_q[Layers-1])) begin
        updating_q <= 1'b0;
      end
      if (own_valid_i) begin
        own_on_bus_q    <= (own_on_bus_q || own_bus_taken) && !own_ready_o;
        own_on_output_q <= (own_on_output_q || own_output_taken) && !own_ready_o;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(own_valid_i && !updating_q)) else $error("egru_step_sequencer: an event of the layer outside its update");
      assert (!(send_end && own_to_bus)) else $error("egru_step_sequencer: end of step before the last event");
      assert (Layers == 1 || !(in_valid_i && !in_end_i)) else $error("egru_step_sequencer: several layers take tokens, not events");
    end
  end
`endif
endmodule
