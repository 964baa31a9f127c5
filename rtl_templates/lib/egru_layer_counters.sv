// Counters of one layer (or of the decoder): what its lanes did in every cycle in which the core was busy.
//
//   0 steps   1 input events   2 own events   3 MACs
//   4 lane-cycles with an event on its way but no MAC   5 lane-cycles with nothing to do
//   6 cycles in which an event waited for a full lane queue   7 cycles in which the output waited for its taker   8 cycles of update
//
// MACs + counter 4 + counter 5 = Lanes * busy cycles, so the occupancy of the lanes can be checked on silicon.
//
// Nine wide counters would cost more than the lanes they watch, so the wide values stand in a 16-word distributed RAM (one read port, one
// write port) and small counters take the increments. A slot goes round 0..15: at slot c the small counter c is added to word c and starts
// again with that cycle's increment, so nothing is lost.
//
// Reading: `read_data_o` is counter `read_index_i` from the 17th cycle on in which the index is held, and is refreshed every 16 cycles. It
// holds the increments up to 5 cycles before it was refreshed. An index of 9 or more reads no counter.
// Reset and `clear_i` set every counter to 0; words read as 0 while the slot goes round once, and nothing is lost in that time. The
// increments of the cycle after `clear_i` are the first that count. A read whose wait begins 4 or more cycles after `clear_i` sees it.
module egru_layer_counters #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned CounterBits = 40
) (
  input  logic                   clk_i,
  input  logic                   rst_ni,
  input  logic                   clear_i,
  input  logic                   busy_i,
  input  logic [Lanes-1:0]       mac_i,
  input  logic [Lanes-1:0]       working_i,
  input  logic                   step_i,
  input  logic                   input_event_i,
  input  logic                   own_event_i,
  input  logic                   bus_stall_i,
  input  logic                   output_stall_i,
  input  logic                   update_i,
  input  logic [3:0]             read_index_i,
  output logic [CounterBits-1:0] read_data_o
);
  localparam int unsigned Counters  = 9;
  localparam int unsigned Slots     = 16;
  localparam logic [3:0]  LastSlot  = 4'(Slots - 1);
  localparam int unsigned SumBits   = $clog2(Lanes + 1);
  localparam int unsigned SmallBits = $clog2(Slots * Lanes + 1);  // holds one round
  localparam int unsigned PulseBits = $clog2(Slots + 1);          // the same for a counter of single pulses
  localparam int unsigned FirstLaneCounter = 3;
  localparam int unsigned LastLaneCounter  = 5;

  // ---- increments: registered, summed in groups of lanes, summed -------------------------------------------------------------------------
  localparam int unsigned GroupLanes = 8;
  localparam int unsigned Groups     = (Lanes + GroupLanes - 1) / GroupLanes;
  localparam int unsigned GroupBits  = $clog2(GroupLanes + 1);

  logic [Lanes-1:0]                 mac_a_q, wait_a_q, idle_a_q;
  logic [Groups-1:0][GroupBits-1:0] macs_b, waits_b, idles_b, macs_b_q, waits_b_q, idles_b_q;
  logic [SumBits-1:0]               macs_c, waits_c, idles_c, macs_q, waits_q, idles_q;
  logic [1:0]                       busy_ab_q, clear_ab_q;
  logic [1:0][5:0]                  pulses_ab_q;
  logic [5:0]                       pulses_q;
  logic                             clear_q, lanes_count;
  logic [Counters-1:0][SumBits-1:0] amount;

  always_comb begin
    macs_b  = '0;
    waits_b = '0;
    idles_b = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      macs_b[l/GroupLanes]  += GroupBits'(mac_a_q[l]);
      waits_b[l/GroupLanes] += GroupBits'(wait_a_q[l]);
      idles_b[l/GroupLanes] += GroupBits'(idle_a_q[l]);
    end
    macs_c  = '0;
    waits_c = '0;
    idles_c = '0;
    for (int unsigned g = 0; g < Groups; g++) begin
      macs_c  += SumBits'(macs_b_q[g]);
      waits_c += SumBits'(waits_b_q[g]);
      idles_c += SumBits'(idles_b_q[g]);
    end
  end

  assign lanes_count = busy_ab_q[1] && !clear_ab_q[1];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      mac_a_q     <= '0;
      wait_a_q    <= '0;
      idle_a_q    <= '0;
      macs_b_q    <= '0;
      waits_b_q   <= '0;
      idles_b_q   <= '0;
      busy_ab_q   <= '0;
      clear_ab_q  <= '0;
      pulses_ab_q <= '0;
      macs_q      <= '0;
      waits_q     <= '0;
      idles_q     <= '0;
      pulses_q    <= '0;
      clear_q     <= 1'b0;
    end else begin
      mac_a_q     <= mac_i;
      wait_a_q    <= working_i & ~mac_i;
      idle_a_q    <= ~(working_i | mac_i);
      macs_b_q    <= macs_b;
      waits_b_q   <= waits_b;
      idles_b_q   <= idles_b;
      busy_ab_q   <= {busy_ab_q[0], busy_i};
      clear_ab_q  <= {clear_ab_q[0], clear_i};
      pulses_ab_q <= {pulses_ab_q[0], {update_i, output_stall_i, bus_stall_i, own_event_i, input_event_i, step_i}};
      macs_q      <= lanes_count ? macs_c : '0;
      waits_q     <= lanes_count ? waits_c : '0;
      idles_q     <= lanes_count ? idles_c : '0;
      pulses_q    <= clear_ab_q[1] ? '0 : pulses_ab_q[1];
      clear_q     <= clear_ab_q[1];
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

  // ---- small counters: that of the next slot is taken and starts again ------------------------------------------------------------------
  logic [3:0]                         slot_d, slot_q;
  logic [Counters-1:0][SmallBits-1:0] recent;
  logic [SmallBits-1:0]               taken_d, taken_q;

  assign slot_d = slot_q + 4'd1;

  for (genvar c = 0; c < Counters; c++) begin : gen_small
    localparam int unsigned Bits = (c >= FirstLaneCounter && c <= LastLaneCounter) ? SmallBits : PulseBits;
    logic [Bits-1:0] recent_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) recent_q <= '0;
      else         recent_q <= ((clear_q || slot_d == 4'(c)) ? '0 : recent_q) + Bits'(amount[c]);
    end
    assign recent[c] = SmallBits'(recent_q);
  end

  always_comb begin
    taken_d = '0;  // also for the slots that have no counter
    for (int unsigned c = 0; c < Counters; c++) begin
      if (slot_d == 4'(c)) taken_d = recent[c];
    end
  end

  // ---- words ----------------------------------------------------------------------------------------------------------------------------
  logic [CounterBits-1:0] mem [Slots];
  logic [CounterBits-1:0] word_q, total;
  logic [3:0]             blank_q;  // further words to read as 0

  assign total = word_q + CounterBits'(taken_q);

  always_ff @(posedge clk_i) begin
    word_q      <= (clear_q || blank_q != '0) ? '0 : mem[slot_d];
    mem[slot_q] <= total;
  end

  // Reset begins at the last slot, which has no counter: neither word_q nor that word needs a value.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      slot_q      <= LastSlot;
      blank_q     <= LastSlot;
      taken_q     <= '0;
      read_data_o <= '0;
    end else begin
      slot_q  <= slot_d;
      blank_q <= clear_q ? LastSlot : blank_q - 4'(blank_q != '0);
      taken_q <= clear_q ? '0 : taken_d;
      if (slot_q == read_index_i) read_data_o <= total;
    end
  end
endmodule
