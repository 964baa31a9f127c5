// Order of a layer's time steps: merges the input events with the layer's own, marks the ends of steps, passes the events on.
//
// Step t of a layer sees the input events of step t and its own events of step t-1. This module sends both to the lanes over one bus, in any order, and then an
// end item. It sends the end of step t when the end of the input of step t has come and the update of step t-1 has finished, so its events
// are all on the bus. With the end item `step_o` starts the update of step t; the events of that update go to the lanes (for step t+1) and to the output (for the
// next layer); when `update_done_i` says that they are all gone, the output gets its end item.
//
// After the last step of a sequence the layer's own events are not sent to its lanes: y starts at 0 again.
//
// An input end item carries the token in `in_index_i` (first layer) and whether the sequence ends in `in_last_i`.
module egru_step_sequencer #(
  parameter int unsigned InIndexBits = 8,   // of input events and tokens
  parameter int unsigned OwnIndexBits = 8,  // of the layer's own events
  parameter int unsigned EventBits = 8,
  localparam int unsigned BusIndexBits = (InIndexBits > OwnIndexBits) ? InIndexBits : OwnIndexBits
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
  input  logic [OwnIndexBits-1:0] own_index_i,
  input  logic [EventBits-1:0]    own_value_i,
  output logic                    bus_valid_o,
  input  logic                    bus_ready_i,
  output logic                    bus_end_o,
  output logic                    bus_recurrent_o,
  output logic [BusIndexBits-1:0] bus_index_o,
  output logic [EventBits-1:0]    bus_value_o,
  output logic                    step_o,
  output logic [InIndexBits-1:0]  step_token_o,
  output logic                    step_last_o,
  input  logic                    update_done_i,
  output logic                    updating_o,
  output logic                    out_valid_o,
  input  logic                    out_ready_i,
  output logic                    out_end_o,
  output logic                    out_last_o,
  output logic [OwnIndexBits-1:0] out_index_o,
  output logic [EventBits-1:0]    out_value_o
);
  logic                   input_ended_q, updating_q, last_q, in_last_q;
  logic [InIndexBits-1:0] token_q;

  // A layer's own event goes to two takers, each of which takes it once.
  logic own_on_bus_q, own_on_output_q, own_to_bus, own_to_output, own_bus_taken, own_output_taken;
  logic send_end, send_input, bus_free, output_end;

  assign own_to_bus    = own_valid_i && !own_on_bus_q && !last_q;
  assign own_to_output = own_valid_i && !own_on_output_q;
  assign send_end      = input_ended_q && !updating_q && ready_i;
  assign send_input    = in_valid_i && !in_end_i && !input_ended_q && ready_i;
  assign bus_free      = !bus_valid_o || bus_ready_i;

  // The layer's own events come first: until they are gone the update cannot finish.
  assign own_bus_taken    = own_to_bus && bus_free;
  assign own_output_taken = own_to_output && out_ready_i;
  assign own_ready_o      = (own_on_bus_q || own_bus_taken || last_q) && (own_on_output_q || own_output_taken);
  assign in_ready_o       = !input_ended_q && ready_i && (in_end_i || (bus_free && !own_to_bus));
  assign step_o           = send_end && bus_free;
  assign step_token_o     = token_q;
  assign step_last_o      = in_last_q;
  assign updating_o       = updating_q;

  assign output_end  = updating_q && update_done_i && !own_valid_i;
  assign out_valid_o = own_to_output || output_end;
  assign out_end_o   = !own_to_output;
  assign out_last_o  = last_q;
  assign out_index_o = own_to_output ? own_index_i : '0;
  assign out_value_o = own_to_output ? own_value_i : '0;

  always_ff @(posedge clk_i) begin
    if (bus_free) begin
      bus_end_o       <= send_end;
      bus_recurrent_o <= own_to_bus;
      bus_index_o     <= own_to_bus ? BusIndexBits'(own_index_i) : BusIndexBits'(in_index_i);
      bus_value_o     <= own_to_bus ? own_value_i : in_value_i;
    end
    if (in_valid_i && in_ready_o && in_end_i) begin
      token_q   <= in_index_i;
      in_last_q <= in_last_i;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      input_ended_q   <= 1'b0;
      updating_q      <= 1'b0;
      last_q          <= 1'b0;
      own_on_bus_q    <= 1'b0;
      own_on_output_q <= 1'b0;
      bus_valid_o     <= 1'b0;
    end else begin
      if (bus_free) bus_valid_o <= own_to_bus || send_end || send_input;
      if (step_o) begin
        input_ended_q <= 1'b0;
        updating_q    <= 1'b1;
        last_q        <= in_last_q;
      end else begin
        if (in_valid_i && in_ready_o && in_end_i) input_ended_q <= 1'b1;
        if (output_end && out_ready_i) updating_q <= 1'b0;
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
    end
  end
`endif
endmodule
