// egru_layer_counters loses no increment. One of the nine counters, any of them, is kept a second time, plainly.
//
// Nothing is asked of the neighbours. Counters begin anew after their last value, as the words are CounterBits wide and the copy is too.
module egru_layer_counters_proof #(
  parameter int unsigned Lanes = 2,
  parameter int unsigned CounterBits = 7
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             clear_i,
  input logic             busy_i,
  input logic [Lanes-1:0] mac_i,
  input logic [Lanes-1:0] working_i,
  input logic [5:0]       pulses_i,  // update, output stall, bus stall, own event, input event, step
  input logic [3:0]       index_i
);
  localparam int unsigned SmallBits = $clog2(16 * Lanes + 1);
  localparam int unsigned SumBits   = $clog2(Lanes + 1);

  initial assume (!rst_ni);  // and at any time later

  logic [CounterBits-1:0] data;
  egru_layer_counters #(.Lanes(Lanes), .CounterBits(CounterBits)) u_dut (
    .clk_i, .rst_ni, .clear_i, .busy_i, .mac_i, .working_i, .step_i(pulses_i[0]), .input_event_i(pulses_i[1]), .own_event_i(pulses_i[2]),
    .bus_stall_i(pulses_i[3]), .output_stall_i(pulses_i[4]), .update_i(pulses_i[5]), .read_index_i(index_i), .read_data_o(data)
  );

  (* anyconst *) logic [3:0] watched;

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [3:0] \u_dut.slot_q ;
  (* hierconn *) wire [3:0] \u_dut.blank_q ;
  (* hierconn *) wire [9*SmallBits-1:0] \u_dut.recent ;
  (* hierconn *) wire [SmallBits-1:0] \u_dut.taken_q ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.word_q ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[0] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[1] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[2] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[3] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[4] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[5] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[6] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[7] ;
  (* hierconn *) wire [CounterBits-1:0] \u_dut.mem[8] ;
  wire [9*CounterBits-1:0] words = {
    \u_dut.mem[8] , \u_dut.mem[7] , \u_dut.mem[6] , \u_dut.mem[5] , \u_dut.mem[4] , \u_dut.mem[3] , \u_dut.mem[2] , \u_dut.mem[1] , \u_dut.mem[0]
  };
  wire [3:0]             slot    = \u_dut.slot_q ;
  wire [3:0]             blank   = \u_dut.blank_q ;
  wire [9*SmallBits-1:0] recents = \u_dut.recent ;
  wire [SmallBits-1:0]   taken   = \u_dut.taken_q ;
  wire [CounterBits-1:0] word    = \u_dut.word_q ;

  // The increment of the watched counter as the header defines it, three cycles late, as the module takes it.
  logic [SumBits-1:0] now, ago_1_q, ago_2_q, ago_3_q;
  logic               clear_1_q, clear_2_q, clear_3_q;
  always_comb begin
    now = '0;
    for (int unsigned l = 0; l < Lanes; l++) begin
      if (watched == 4'd3 && busy_i) now += SumBits'(mac_i[l]);
      if (watched == 4'd4 && busy_i) now += SumBits'(working_i[l] && !mac_i[l]);
      if (watched == 4'd5 && busy_i) now += SumBits'(!working_i[l] && !mac_i[l]);
    end
    if (watched <= 4'd2) now = SumBits'(pulses_i[watched[1:0]]);
    if (watched == 4'd6) now = SumBits'(pulses_i[3]);
    if (watched == 4'd7) now = SumBits'(pulses_i[4]);
    if (watched == 4'd8) now = SumBits'(pulses_i[5]);
    if (clear_i) now = '0;  // the increments of the cycle after are the first that count
  end

  logic [CounterBits-1:0] sum_q, before_q, wanted_q;
  logic [4:0]             held_q;
  logic [3:0]             index_q, slot_copy_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {ago_1_q, ago_2_q, ago_3_q, clear_1_q, clear_2_q, clear_3_q, sum_q, before_q, wanted_q, held_q, index_q} <= '0;
      slot_copy_q <= 4'd15;
    end else begin
      {ago_3_q, ago_2_q, ago_1_q}       <= {ago_2_q, ago_1_q, now};
      {clear_3_q, clear_2_q, clear_1_q} <= {clear_2_q, clear_1_q, clear_i};
      sum_q       <= (clear_3_q ? '0 : sum_q) + CounterBits'(ago_3_q);
      before_q    <= clear_3_q ? '0 : sum_q;  // what the sum was a cycle ago
      slot_copy_q <= slot_copy_q + 1'b1;
      if (slot_copy_q == watched) wanted_q <= before_q;
      index_q     <= index_i;
      held_q      <= (index_i != index_q) ? 5'd1 : (held_q < 5'd17) ? held_q + 1'b1 : held_q;
    end
  end

  wire [SmallBits-1:0]   recent  = recents[watched*SmallBits +: SmallBits];
  wire [CounterBits-1:0] stored  = words[watched*CounterBits +: CounterBits];
  wire [3:0]             until_read = watched - slot - 4'd1;  // cycles until the watched word is read
  wire [3:0]             since_taken = slot - watched;
  wire [CounterBits-1:0] effective = (slot == watched) ? word + CounterBits'(taken) : (until_read < blank) ? '0 : stored;

  always_comb begin
    assume (watched < 4'd9);
    if (rst_ni) begin
      nothing_lost: assert (sum_q == effective + CounterBits'(recent));
      no_overflow:  assert (32'(recent) <= ((watched >= 4'd3 && watched <= 4'd5) ? Lanes : 1) * (32'(since_taken) + 1));
      reading:      assert (!(index_q == watched && held_q >= 5'd17) || data == wanted_q);
      invariant_slot: assert (slot == slot_copy_q);
      invariant_held: assert (held_q <= 5'd17);
      invariant_read: assert (!(index_q == watched && 5'(since_taken) < held_q && since_taken != '0) || data == wanted_q);
    end
  end
endmodule
