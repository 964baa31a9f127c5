// egru_update_unit hands each neuron that fires to its queue (an egru_fifo) once, in order, with its own index and marks, and the queue always has a place for it.
//
// Memories, rounding and multipliers are cut out (see sim/proof_table.py): any neuron may fire, with any value. A lane takes a row in its turn, each row once in a step; a
// step begins when the unit is ready and empty and no row was taken just before.
module egru_update_unit_proof #(
  parameter int unsigned Lanes = 2,
  parameter int unsigned Layers = 1,
  parameter int unsigned QueueDepth = 8
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              step_i,
  input logic [Layers-1:0] last_i,
  input logic [Lanes-1:0]  take_i,
  input logic              row_i,
  input logic              ready_i
);
  localparam int unsigned Rows = 2, FirstIndex = 3, IndexBits = 5, EventBits = 2, StateBits = 5, Stages = 14, Period = (Lanes + 3) / 4 * 4;
  localparam int unsigned Neurons = Lanes * Rows, NeuronBits = $clog2(Neurons), QueueCount = $clog2(QueueDepth + 1), TurnBits = $clog2(Period), SlotBits = $clog2(QueueDepth);

  initial assume (!rst_ni);  // and at any time later

  logic                 ready, valid, last, output_layer, empty;
  logic [Lanes-1:0]     turn;
  logic [IndexBits-1:0] index;
  logic [EventBits-1:0] value;
  egru_update_unit #(
    .Lanes(Lanes), .Rows(Rows), .Layers(Layers), .RowEnds((Layers > 1) ? 32'h0002_0001 : 16'd2), .LeftShifts('0), .FirstIndex(FirstIndex), .IndexBits(IndexBits),
    .TokenBits(1), .AccBits(4), .AccFrac(4), .EventBits(EventBits), .StateBits(StateBits), .GateBits(4), .PreactBits(8), .PreactFrac(4), .QueueDepth(QueueDepth)
  ) u_dut (
    .clk_i, .rst_ni, .ready_o(ready), .step_i, .token_i(1'b0), .last_i, .turn_o(turn), .take_i, .row_i({Lanes{row_i}}), .sum_i('0),
    .valid_o(valid), .ready_i, .index_o(index), .value_o(value), .last_o(last), .output_o(output_layer), .empty_o(empty), .load_i('0)
  );

  // Insides, which the induction needs; see sim/proving.py. With one layer and with several the queue has different names.
  (* hierconn *) wire \u_dut.fire ;
  (* hierconn *) wire \u_dut.last_14 ;
  (* hierconn *) wire [IndexBits-1:0] \u_dut.index_14 ;
  (* hierconn *) wire [Stages:1] \u_dut.layer ;
  (* hierconn *) wire [Stages:1] \u_dut.valid_q ;
  (* hierconn *) wire [13*NeuronBits-1:0] \u_dut.neuron_q ;
  (* hierconn *) wire [6*TurnBits-1:0] \u_dut.turn_stage_q ;
  (* hierconn *) wire [NeuronBits-1:0] \u_dut.lane_base_1_q ;
  (* hierconn *) wire [12:0] \u_dut.gen_layers.layer_q ;
  (* hierconn *) wire \u_dut.row_0_q ;
  (* hierconn *) wire \u_dut.row_1_q ;
  (* hierconn *) wire \u_dut.valid_0_q ;
  (* hierconn *) wire \u_dut.silent_q ;
  (* hierconn *) wire \u_dut.pop_q ;
  (* hierconn *) wire \u_dut.place_free_q ;
  (* hierconn *) wire \u_dut.clearing_q ;
  (* hierconn *) wire [NeuronBits-1:0] \u_dut.clear_addr_q ;
  (* hierconn *) wire [Layers-1:0] \u_dut.last_q ;
  (* hierconn *) wire [QueueCount-1:0] \u_dut.reserved_q ;
  (* hierconn *) wire [QueueCount-1:0] \u_dut.count_unused ;
  (* hierconn *) wire [TurnBits-1:0] \u_dut.turn_q ;
  (* hierconn *) wire [SlotBits-1:0] \u_dut.gen_events.u_events.read_q ;
  (* hierconn *) wire [SlotBits-1:0] \u_dut.gen_events.u_events.write_q ;
  (* hierconn *) wire [SlotBits-1:0] \u_dut.gen_marked_events.u_events.read_q ;
  (* hierconn *) wire [SlotBits-1:0] \u_dut.gen_marked_events.u_events.write_q ;
  (* hierconn *) wire [StateBits-1:0] \u_dut.state_10_q ;
  (* hierconn *) wire [StateBits-1:0] \u_dut.c_11_q ;
  (* hierconn *) wire [StateBits-1:0] \u_dut.state_mem[0] ;
  (* hierconn *) wire [StateBits-1:0] \u_dut.state_mem[1] ;
  wire                     fire        = \u_dut.fire ;
  wire                     last_14     = \u_dut.last_14 ;
  wire                     layer_14    = (Layers > 1) ? \u_dut.layer [Stages] : 1'b1;
  wire [IndexBits-1:0]     index_14    = \u_dut.index_14 ;
  wire [Stages:0]          under_way   = {\u_dut.valid_q , \u_dut.valid_0_q };
  wire [13*NeuronBits-1:0] neurons     = \u_dut.neuron_q ;
  wire [12:0]              layers      = (Layers > 1) ? \u_dut.gen_layers.layer_q : '0;
  wire [TurnBits-1:0]      turn_0      = \u_dut.turn_stage_q [TurnBits-1:0];
  wire [TurnBits-1:0]      turn_1      = \u_dut.turn_stage_q [2*TurnBits-1:TurnBits];
  wire [TurnBits-1:0]      turn_inside = \u_dut.turn_q ;
  wire [NeuronBits-1:0]    lane_base   = \u_dut.lane_base_1_q ;
  wire [1:0]               rows        = {\u_dut.row_1_q , \u_dut.row_0_q };
  wire                     silent      = \u_dut.silent_q ;
  wire                     popped      = \u_dut.pop_q ;
  wire                     place_free  = \u_dut.place_free_q ;
  wire                     clearing    = \u_dut.clearing_q ;
  wire [NeuronBits-1:0]    clear_addr  = \u_dut.clear_addr_q ;
  wire [Layers-1:0]        last_inside = \u_dut.last_q ;
  wire [7:0]               reserved    = 8'(\u_dut.reserved_q );
  wire [7:0]               count       = 8'(\u_dut.count_unused );
  wire [7:0]               read_slot   = 8'((Layers > 1) ? \u_dut.gen_marked_events.u_events.read_q : \u_dut.gen_events.u_events.read_q );
  wire [7:0]               write_slot  = 8'((Layers > 1) ? \u_dut.gen_marked_events.u_events.write_q : \u_dut.gen_events.u_events.write_q );

  (* anyconst *) logic watched;  // neuron 0 or 1: its state is looked at
  wire [StateBits-1:0] state_10 = \u_dut.state_10_q ;
  wire [StateBits-1:0] state_11 = \u_dut.c_11_q ;
  wire [StateBits-1:0] state    = watched ? \u_dut.state_mem[1] : \u_dut.state_mem[0] ;

  // The rows that were taken in the last cycles.
  logic [Stages+1:1]                 taken_q, row_q;
  logic [Stages+1:1][NeuronBits-1:0] neuron_q;
  logic [NeuronBits-1:0]             neuron;
  always_comb begin
    neuron = '0;
    for (int unsigned l = 0; l < Lanes; l++) if (take_i[l]) neuron = NeuronBits'(l * Rows + 32'(row_i));
  end

  logic [Neurons-1:0]  done_q;  // neurons that the step has had
  logic [Layers-1:0]   last_q;
  logic [TurnBits-1:0] turn_q;
  logic                running_q, waits_q, zero_q;  // zero_q: the watched neuron has no state, or its sequence has ended
  logic [1:0]          idle_q;  // cycles in which nothing was inside, up to 3
  logic [7:0]          held_q;
  logic [IndexBits+EventBits+1:0] word_q;
  wire                 pop     = valid && ready_i;
  wire                 leaving = taken_q[Stages+1] && neuron_q[Stages+1] == NeuronBits'(watched);
  wire                 marked  = last_q[(Layers > 1) ? 32'(row_q[Stages+1]) : 0];
  always_ff @(posedge clk_i) begin
    neuron_q <= {neuron_q[Stages:1], neuron};
    row_q    <= {row_q[Stages:1], row_i};
    word_q   <= {last, output_layer, index, value};
    if (step_i) last_q <= last_i;
    if (!rst_ni) begin
      {taken_q, turn_q, running_q, waits_q, idle_q, held_q} <= '0;
      done_q <= '1;
      zero_q <= 1'b1;
    end else begin
      running_q <= 1'b1;
      turn_q    <= (32'(turn_q) == Period - 1) ? '0 : turn_q + 1'b1;
      taken_q   <= {taken_q[Stages:1], take_i != '0};
      waits_q   <= valid && !ready_i;
      held_q    <= held_q + 8'(fire) - 8'(pop);
      idle_q    <= (take_i != '0 || taken_q != '0 || held_q != '0) ? '0 : idle_q + 2'(idle_q != '1);
      if (leaving) zero_q <= marked;
      if (step_i) done_q <= '0;
      else if (take_i != '0) done_q[neuron] <= 1'b1;
    end
  end

  logic [7:0] flying;
  logic       pipeline_right, once, known;
  always_comb begin
    flying = '0;
    pipeline_right = 1'b1;
    once = 1'b1;
    known = 1'b1;
    for (int unsigned s = 1; s <= Stages; s++) flying += 8'(under_way[s]);
    for (int unsigned s = 2; s <= Stages; s++) begin
      if (taken_q[s+1]) pipeline_right &= neurons[(s-2)*NeuronBits +: NeuronBits] == neuron_q[s+1] && (Layers == 1 || layers[s-2] == row_q[s+1]);
    end
    for (int unsigned s = 1; s <= Stages + 1; s++) begin
      if (taken_q[s]) known &= 32'(neuron_q[s]) < Neurons && done_q[neuron_q[s]] && row_q[s] == neuron_q[s][0];
      for (int unsigned later = s + 3; later <= s + 5 && later <= Stages + 1; later++) once &= !(taken_q[s] && taken_q[later] && neuron_q[s] == neuron_q[later]);
    end
  end
  wire [7:0] next = read_slot + count;

  always_comb begin
    assume ((take_i & ~turn) == '0 && (take_i == '0 || !done_q[neuron]));
    assume (!step_i || (ready && empty && !taken_q[1] && take_i == '0));
    if (rst_ni) begin
      right_event:       assert (!fire || (taken_q[Stages+1] && index_14 == IndexBits'(FirstIndex) + IndexBits'(neuron_q[Stages+1]) && {last_14, layer_14} == {marked, Layers == 1 || row_q[Stages+1]}));
      always_a_place:    assert (!fire || 32'(held_q) < QueueDepth);
      nothing_made_up:   assert (valid == (held_q != '0));
      stable_payload:    assert (!waits_q || (valid && {last, output_layer, index, value} == word_q));
      empty_when_done:   assert (!empty || (taken_q[Stages+1:2] == '0 && held_q == '0));
      done_is_seen:      assert (idle_q != '1 || empty);
      turns_go_round:    assert ((turn & ~(Lanes'(1) << turn_q)) == '0 && (idle_q != '1 || turn == (Lanes'(1) << turn_q)));
      state_begins_at_zero: assert (!(taken_q[12] && neuron_q[12] == NeuronBits'(watched) && zero_q) || state_11 == '0);
      invariant_state_10: assert (!(taken_q[11] && neuron_q[11] == NeuronBits'(watched) && zero_q) || state_10 == '0);
      invariant_valid:   assert (under_way == taken_q && 8'(held_q) == count && turn_inside == turn_q && 32'(turn_q) < Period);
      invariant_turns:   assert (!running_q || (turn_q == ((32'(turn_0) == Period - 1) ? '0 : turn_0 + 1'b1) && 32'(turn_0) < Period));
      invariant_start:   assert (running_q || (taken_q == '0 && turn_q == '0 && turn_0 == '0 && !place_free));
      invariant_base:    assert (!running_q || (lane_base == NeuronBits'(Rows * 32'(turn_1))));
      invariant_take:    assert (!taken_q[1] || (neuron_q[1] == NeuronBits'(Rows * 32'(turn_0) + 32'(rows[0])) && rows[0] == row_q[1] && 32'(turn_0) < Lanes));
      invariant_take_1:  assert (!taken_q[2] || (neuron_q[2] == lane_base + NeuronBits'(rows[1]) && rows[1] == row_q[2]));
      invariant_pipeline: assert (pipeline_right && known && once);
      invariant_reserved: assert (reserved == flying + count + 8'(silent) + 8'(popped) && 32'(reserved) + 32'(under_way[0]) + 32'(place_free) <= QueueDepth - 2);
      invariant_last:    assert ((done_q == '1 && taken_q == '0 && held_q == '0) || last_inside == last_q);
      invariant_slots:   assert (32'(read_slot) < QueueDepth && 32'(count) <= QueueDepth && 32'(write_slot) == ((32'(next) >= QueueDepth) ? 32'(next) - QueueDepth : 32'(next)));
      invariant_clear:   assert (!clearing || (32'(clear_addr) < Neurons && taken_q == '0 && zero_q && done_q == '1 && held_q == '0));
      invariant_state:   assert (!(zero_q && (!clearing || clear_addr > NeuronBits'(watched))) || state == '0);
      invariant_idle:    assert (idle_q == '0 || (taken_q == '0 && held_q == '0 && (idle_q == 2'd1 || reserved == '0) && (idle_q != '1 || place_free)));
    end
  end
endmodule
