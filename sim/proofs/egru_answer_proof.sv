// egru_answer gives one answer for every `Classes` words: the largest, the lowest of several. The answer stands until it is taken.
//
// A sequence ends with the last word of a step. One class, any of them, is compared with the answer; the sink takes an answer in at most Patience + 1 cycles.
module egru_answer_proof #(
  parameter int unsigned Classes = 3,
  parameter int unsigned Patience = 2,
  localparam int unsigned ClassBits = (Classes > 1) ? $clog2(Classes) : 1
) (
  input logic                 clk_i,
  input logic                 rst_ni,
  input logic                 active_i,
  input logic [3:0]           word_i,
  input logic                 valid_i,
  input logic                 last_i,
  input logic                 ready_i
);
  initial assume (!rst_ni);  // and at any time later

  logic                 ready, valid;
  logic [ClassBits-1:0] class_index;
  logic [31:0]          logit, stored;
  (* anyconst *) logic [ClassBits-1:0] watched;
  egru_answer #(.Classes(Classes)) u_dut (
    .clk_i, .rst_ni, .active_i, .s_axis_tdata(32'($signed(word_i))), .s_axis_tvalid(valid_i), .s_axis_tready(ready), .s_axis_tlast(last_i),
    .valid_o(valid), .ready_i, .class_o(class_index), .logit_o(logit), .stored_class_i(watched), .stored_o(stored)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [ClassBits-1:0] \u_dut.class_q ;
  (* hierconn *) wire [31:0] \u_dut.word_q ;
  (* hierconn *) wire \u_dut.word_valid_q ;
  wire [7:0]  class_inside = 8'(\u_dut.class_q );
  wire [31:0] word_inside  = \u_dut.word_q ;
  wire        word_valid   = \u_dut.word_valid_q ;

  wire         take = valid_i && ready && active_i;
  logic [7:0]  taken_q;    // words of the step
  logic        waits_q;
  logic [31:0] watched_q, logit_q, newest_q;
  logic [ClassBits-1:0] class_q;
  logic [7:0]  age_q, stall_q;
  wire  [31:0] word = 32'($signed(word_i));
  always_ff @(posedge clk_i) begin
    waits_q <= active_i && valid && !ready_i;
    stall_q <= ready_i ? '0 : stall_q + 1'b1;
    {class_q, logit_q} <= {class_index, logit};
    if (!rst_ni) begin
      {taken_q, waits_q, age_q, stall_q} <= '0;
    end else begin
      if (!active_i) taken_q <= '0;
      else if (valid && ready_i) taken_q <= '0;
      else taken_q <= taken_q + 8'(take);
      if (take) newest_q <= word;
      if (take && taken_q == 8'(watched)) watched_q <= word;
      age_q <= (active_i && valid_i && !ready) ? age_q + 1'b1 : '0;
    end
  end

  wire [7:0] compared = taken_q - 8'(word_valid);  // words that the best so far is of
  wire       watched_done = compared > 8'(watched);

  always_comb begin
    assume (32'(watched) < Classes);
    assume (!last_i || 32'(taken_q) == Classes - 1);
    assume (stall_q <= Patience && !(stall_q == Patience && !ready_i));
    if (rst_ni) begin
      one_answer_per_step: assert (valid == (32'(taken_q) == Classes && !word_valid));
      largest:       assert (!valid || $signed(watched_q) <= $signed(logit));
      is_the_class:  assert (!(valid && class_index == watched) || logit == watched_q);
      lowest_of_equals: assert (!(valid && watched < class_index) || $signed(watched_q) < $signed(logit));
      class_exists:  assert (!valid || 32'(class_index) < Classes);
      stable_answer: assert (!waits_q || (valid && class_index == class_q && logit == logit_q));
      thrown_away:   assert (active_i || ready);
      taken_in_time: assert (32'(age_q) <= Patience + 2);
      invariant_words: assert (32'(taken_q) <= Classes && (!word_valid || (taken_q != '0 && word_inside == newest_q)));
      invariant_class: assert (class_inside == ((32'(compared) == Classes) ? 8'd0 : compared));
      invariant_newest: assert (!(word_valid && taken_q == 8'(watched) + 8'd1) || newest_q == watched_q);
      invariant_best:  assert (compared == '0 || (8'(class_index) < compared && (!watched_done || $signed(watched_q) <= $signed(logit))));
      invariant_is:    assert (!(watched_done && class_index == watched) || logit == watched_q);
      invariant_lowest: assert (!(watched_done && watched < class_index) || $signed(watched_q) < $signed(logit));
      invariant_age:   assert ((!word_valid || age_q == '0) && (!valid || 32'(age_q) <= 1 + 32'(stall_q)));
    end
  end
endmodule
