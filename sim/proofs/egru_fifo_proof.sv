// egru_fifo is a queue. One pushed word, any of them, is followed to its pop.
//
// The sink is ready in at least one of any Patience + 1 cycles; nothing is asked of the source.
module egru_fifo_proof #(
  parameter int unsigned Width = 2,
  parameter int unsigned Depth = 4,
  parameter int unsigned Patience = 2,
  localparam int unsigned CountBits = $clog2(Depth + 1)
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             valid_i,
  input logic             ready_i,
  input logic [Width-1:0] data_i,
  input logic             follow_i  // follow the word that is pushed in this cycle
);
  localparam int unsigned PointerBits = (Depth > 1) ? $clog2(Depth) : 1;

  initial assume (!rst_ni);  // and at any time later

  logic                 ready, valid;
  logic [Width-1:0]     data;
  logic [CountBits-1:0] count;
  egru_fifo #(.Width(Width), .Depth(Depth)) u_dut (
    .clk_i, .rst_ni, .valid_i, .ready_o(ready), .data_i, .valid_o(valid), .ready_i, .data_o(data), .count_o(count)
  );

  // Insides, which the induction needs; see sim/proving.py. A shallower queue has fewer words.
  (* hierconn *) wire [PointerBits-1:0] \u_dut.read_q ;
  (* hierconn *) wire [PointerBits-1:0] \u_dut.write_q ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[0] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[1] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[2] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[3] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[4] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[5] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[6] ;
  (* hierconn *) wire [Width-1:0] \u_dut.mem[7] ;
  wire [8*Width-1:0] words = {
    Depth > 7 ? \u_dut.mem[7] : Width'(0), Depth > 6 ? \u_dut.mem[6] : Width'(0), Depth > 5 ? \u_dut.mem[5] : Width'(0), Depth > 4 ? \u_dut.mem[4] : Width'(0),
    Depth > 3 ? \u_dut.mem[3] : Width'(0), Depth > 2 ? \u_dut.mem[2] : Width'(0), Depth > 1 ? \u_dut.mem[1] : Width'(0), Depth > 0 ? \u_dut.mem[0] : Width'(0)
  };
  wire [7:0] read_slot  = 8'(\u_dut.read_q );
  wire [7:0] write_slot = 8'(\u_dut.write_q );

  logic push, pop;
  assign push = valid_i && ready;
  assign pop  = valid && ready_i;

  logic [7:0]       held_q, stall_q, age_q, ahead_q;
  logic             following_q, stalled_q;
  logic [Width-1:0] word_q, data_q;
  always_ff @(posedge clk_i) begin
    stalled_q <= valid && !ready_i;
    data_q    <= data;
    stall_q   <= ready_i ? '0 : stall_q + 1'b1;
    age_q     <= age_q + 1'b1;
    if (!rst_ni) begin
      {held_q, stall_q, following_q, stalled_q} <= '0;
    end else begin
      held_q <= held_q + 8'(push) - 8'(pop);
      if (!following_q && push && follow_i) begin
        following_q <= 1'b1;
        ahead_q     <= held_q - 8'(pop);
        word_q      <= data_i;
        age_q       <= '0;
      end else if (following_q && pop) begin
        following_q <= ahead_q != '0;
        ahead_q     <= ahead_q - 1'b1;
      end
    end
  end

  wire [7:0] slot_sum = read_slot + ahead_q;
  wire [7:0] slot     = (slot_sum >= Depth) ? slot_sum - 8'(Depth) : slot_sum;
  wire [7:0] next_sum = read_slot + held_q;
  wire [7:0] next     = (next_sum >= Depth) ? next_sum - 8'(Depth) : next_sum;

  always_comb begin
    assume (stall_q <= Patience && !(stall_q == Patience && !ready_i));
    if (rst_ni) begin
      occupancy:      assert (held_q <= Depth && 8'(count) == held_q && valid == (held_q != '0) && ready == (held_q != Depth));
      order_and_data: assert (!(following_q && pop && ahead_q == '0) || data == word_q);
      stable_payload: assert (!stalled_q || (valid && data == data_q));
      leaves_in_time: assert (!following_q || 32'(age_q) < Depth * (Patience + 1));
      // what makes the above inductive
      invariant_slots: assert (read_slot < Depth && write_slot == next);
      invariant_word:  assert (!following_q || (ahead_q < held_q && words[slot*Width +: Width] == word_q));
      invariant_age:   assert (!following_q || 32'(age_q) + 32'(ahead_q) * (Patience + 1) + Patience < Depth * (Patience + 1) + 32'(stall_q));
      invariant_stalled: assert (!stalled_q || (stall_q != '0 && valid && data == data_q));
    end
  end
endmodule
