// egru_arbiter joins streams without losing, doubling or reordering a word. One word that is taken, at any input, is followed to the output.
//
// Offers stand until they are taken. The sink is ready in at least one of any Patience + 1 cycles.
module egru_arbiter_proof #(
  parameter int unsigned Inputs = 3,
  parameter int unsigned Width = 2,
  parameter int unsigned Patience = 2
) (
  input logic                         clk_i,
  input logic                         rst_ni,
  input logic [Inputs-1:0]            valid_i,
  input logic [Inputs-1:0][Width-1:0] data_i,
  input logic                         ready_i,
  input logic                         follow_i  // follow the word that is taken in this cycle
);
  localparam int unsigned QueueDepth = 2;

  initial assume (!rst_ni);  // and at any time later

  logic [Inputs-1:0] ready, taken;
  logic              valid;
  logic [Width-1:0]  data;
  egru_arbiter #(.Inputs(Inputs), .Width(Width)) u_dut (
    .clk_i, .rst_ni, .valid_i, .ready_o(ready), .data_i, .valid_o(valid), .ready_i, .data_o(data)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire \u_dut.u_chosen.read_q ;
  (* hierconn *) wire \u_dut.u_chosen.write_q ;
  (* hierconn *) wire [1:0] \u_dut.u_chosen.count_q ;
  (* hierconn *) wire [Width-1:0] \u_dut.u_chosen.mem[0] ;
  (* hierconn *) wire [Width-1:0] \u_dut.u_chosen.mem[1] ;
  wire             read_slot  = \u_dut.u_chosen.read_q ;
  wire             write_slot = \u_dut.u_chosen.write_q ;
  wire [1:0]       count      = \u_dut.u_chosen.count_q ;
  wire [Width-1:0] word_0     = \u_dut.u_chosen.mem[0] ;
  wire [Width-1:0] word_1     = \u_dut.u_chosen.mem[1] ;

  assign taken = valid_i & ready;
  wire push = taken != '0;
  wire pop  = valid && ready_i;
  logic [Width-1:0] chosen;
  always_comb begin
    chosen = '0;
    for (int unsigned i = 0; i < Inputs; i++) if (taken[i]) chosen = data_i[i];
  end

  logic [Inputs-1:0]            waiting_q;
  logic [Inputs-1:0][Width-1:0] offered_q;
  logic [7:0]                   held_q, stall_q, age_q, ahead_q;
  logic                         following_q, stalled_q;
  logic [Width-1:0]             word_q, data_q;
  always_ff @(posedge clk_i) begin
    waiting_q <= valid_i & ~ready;
    offered_q <= data_i;
    stalled_q <= valid && !ready_i;
    data_q    <= data;
    stall_q   <= ready_i ? '0 : stall_q + 1'b1;
    age_q     <= age_q + 1'b1;
    if (!rst_ni) begin
      {waiting_q, held_q, stall_q, following_q, stalled_q} <= '0;
    end else begin
      held_q <= held_q + 8'(push) - 8'(pop);
      if (!following_q && push && follow_i) begin
        following_q <= 1'b1;
        ahead_q     <= held_q - 8'(pop);
        word_q      <= chosen;
        age_q       <= '0;
      end else if (following_q && pop) begin
        following_q <= ahead_q != '0;
        ahead_q     <= ahead_q - 1'b1;
      end
    end
  end

  wire followed_slot = read_slot ^ ahead_q[0];

  always_comb begin
    assume (stall_q <= Patience && !(stall_q == Patience && !ready_i));
    for (int unsigned i = 0; i < Inputs; i++) assume (!waiting_q[i] || (valid_i[i] && data_i[i] == offered_q[i]));
    if (rst_ni) begin
      one_grant:        assert ((ready & (ready - 1'b1)) == '0);
      only_requesters:  assert ((ready & ~valid_i) == '0);
      lowest_first:     assert (ready == '0 || ready == (valid_i & (~valid_i + 1'b1)));
      takes_with_room:  assert ((ready != '0) == (valid_i != '0 && held_q != QueueDepth));
      nothing_made_up:  assert (valid == (held_q != '0) && held_q <= QueueDepth);
      order_and_data:   assert (!(following_q && pop && ahead_q == '0) || data == word_q);
      stable_payload:   assert (!stalled_q || (valid && data == data_q));
      leaves_in_time:   assert (!following_q || 32'(age_q) < QueueDepth * (Patience + 1));
      invariant_slots:  assert (8'(count) == held_q && write_slot == (read_slot ^ held_q[0]));
      invariant_word:   assert (!following_q || (ahead_q < held_q && (followed_slot ? word_1 : word_0) == word_q));
      invariant_age:    assert (!following_q || 32'(age_q) + 32'(ahead_q) * (Patience + 1) + Patience < QueueDepth * (Patience + 1) + 32'(stall_q));
      invariant_stalled: assert (!stalled_q || (stall_q != '0 && valid && data == data_q));
    end
  end
endmodule
