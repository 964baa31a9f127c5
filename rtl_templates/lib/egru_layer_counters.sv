// Counters of one layer (or of the decoder): what its lanes did in every cycle in which the core was busy.
//
//   0 steps   1 input events   2 own events   3 MACs
//   4 lane-cycles with an event on its way but no MAC   5 lane-cycles with nothing to do
//   6 cycles in which an event waited for a full lane queue   7 cycles in which the output waited for its taker   8 cycles of update
//
// MACs + counter 4 + counter 5 = Lanes * busy cycles, so the occupancy of the lanes can be checked on silicon.
module egru_layer_counters #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned CounterBits = 40,
  localparam int unsigned Counters = 9
) (
  input  logic                                 clk_i,
  input  logic                                 rst_ni,
  input  logic                                 clear_i,
  input  logic                                 busy_i,
  input  logic [Lanes-1:0]                     mac_i,
  input  logic [Lanes-1:0]                     working_i,
  input  logic                                 step_i,
  input  logic                                 input_event_i,
  input  logic                                 own_event_i,
  input  logic                                 bus_stall_i,
  input  logic                                 output_stall_i,
  input  logic                                 update_i,
  output logic [Counters-1:0][CounterBits-1:0] counters_o
);
  localparam int unsigned SumBits = $clog2(Lanes + 1);

  logic [SumBits-1:0]              macs, waits, macs_q, waits_q, idles_q;
  logic [5:0]                      pulses_q;
  logic [Counters-1:0][SumBits-1:0] amount;

  always_comb begin
    macs  = '0;
    waits = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      macs  += SumBits'(mac_i[l]);
      waits += SumBits'(working_i[l] && !mac_i[l]);
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      macs_q   <= '0;
      waits_q  <= '0;
      idles_q  <= '0;
      pulses_q <= '0;
    end else begin
      macs_q   <= busy_i ? macs : '0;
      waits_q  <= busy_i ? waits : '0;
      idles_q  <= busy_i ? SumBits'(Lanes) - macs - waits : '0;
      pulses_q <= {update_i, output_stall_i, bus_stall_i, own_event_i, input_event_i, step_i};
    end
  end

  assign amount[0] = SumBits'(pulses_q[0]);
  assign amount[1] = SumBits'(pulses_q[1]);
  assign amount[2] = SumBits'(pulses_q[2]);
  assign amount[3] = macs_q;
  assign amount[4] = waits_q;
  assign amount[5] = idles_q;
  assign amount[6] = SumBits'(pulses_q[3]);
  assign amount[7] = SumBits'(pulses_q[4]);
  assign amount[8] = SumBits'(pulses_q[5]);

  for (genvar c = 0; c < Counters; c++) begin : gen_counters
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni)      counters_o[c] <= '0;
      else if (clear_i) counters_o[c] <= '0;
      else              counters_o[c] <= counters_o[c] + CounterBits'(amount[c]);
    end
  end
endmodule
