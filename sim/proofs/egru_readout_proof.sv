// egru_readout has a place for every logit that it begins, and sends exactly `Classes` of them in a step.
//
// A step begins when the one before is over and the sums have been emptied; a lane finishes once in a step. The sink is ready in at least one of any Patience + 1 cycles.
module egru_readout_proof #(
  parameter int unsigned Lanes = 2,
  parameter int unsigned Rows = 2,
  parameter int unsigned Classes = 3,
  parameter int unsigned Patience = 1
) (
  input logic             clk_i,
  input logic             rst_ni,
  input logic             step_i,
  input logic             last_i,
  input logic [Lanes-1:0] lane_done_i,
  input logic [Lanes-1:0] sums_i,
  input logic             ready_i,
  input logic [60:0]      load_i
);
  localparam int unsigned AccBits = 2;

  initial assume (!rst_ni);  // and at any time later

  logic                          ready, both_unused, valid, step_last, last, done;
  logic [Lanes-1:0]              rd_valid_unused;
  logic                          row_unused;
  logic [Lanes-1:0][AccBits-1:0] sums;
  logic [31:0]                   logit;
  always_comb for (int unsigned l = 0; l < Lanes; l++) sums[l] = {1'b0, sums_i[l]};
  egru_readout #(.Lanes(Lanes), .Rows(Rows), .Classes(Classes), .AccBits(AccBits), .Weights(2)) u_dut (
    .clk_i, .rst_ni, .ready_o(ready), .step_i, .last_i, .lane_done_i, .rd_both_o(both_unused), .rd_valid_o(rd_valid_unused),
    .rd_addr_o(row_unused), .rd_data_i(sums), .valid_o(valid), .ready_i, .logit_o(logit), .step_last_o(step_last), .last_o(last), .done_o(done),
    .load_i
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [6:1] \u_dut.valid_q ;
  (* hierconn *) wire [6:1] \u_dut.final_q ;
  (* hierconn *) wire [3:0] \u_dut.reserved_q ;
  (* hierconn *) wire [3:0] \u_dut.u_logits.count_q ;
  (* hierconn *) wire [2:0] \u_dut.u_logits.read_q ;
  (* hierconn *) wire [2:0] \u_dut.u_logits.write_q ;
  (* hierconn *) wire [Lanes-1:0] \u_dut.waiting_q ;
  (* hierconn *) wire \u_dut.active_q ;
  (* hierconn *) wire \u_dut.last_q ;
  (* hierconn *) wire [$clog2(Classes+1)-1:0] \u_dut.left_q ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[0] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[1] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[2] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[3] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[4] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[5] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[6] ;
  (* hierconn *) wire [AccBits+1:0] \u_dut.u_logits.mem[7] ;
  wire [6:1] on_its_way = \u_dut.valid_q ;
  wire [6:1] finals     = \u_dut.final_q ;
  wire [3:0] reserved   = \u_dut.reserved_q ;
  wire [3:0] count      = \u_dut.u_logits.count_q ;
  wire [2:0] read_slot  = \u_dut.u_logits.read_q ;
  wire [2:0] write_slot = \u_dut.u_logits.write_q ;
  wire [7:0] left       = 8'(\u_dut.left_q );
  wire       active     = \u_dut.active_q ;
  wire       last_inside = \u_dut.last_q ;
  wire [Lanes-1:0] waiting = \u_dut.waiting_q ;
  wire [7:0] marks = {  // the last logit of a step, word by word
    \u_dut.u_logits.mem[7] [AccBits+1], \u_dut.u_logits.mem[6] [AccBits+1], \u_dut.u_logits.mem[5] [AccBits+1], \u_dut.u_logits.mem[4] [AccBits+1],
    \u_dut.u_logits.mem[3] [AccBits+1], \u_dut.u_logits.mem[2] [AccBits+1], \u_dut.u_logits.mem[1] [AccBits+1], \u_dut.u_logits.mem[0] [AccBits+1]
  };
  wire [7:0] ends = {  // the step ends a sequence
    \u_dut.u_logits.mem[7] [AccBits], \u_dut.u_logits.mem[6] [AccBits], \u_dut.u_logits.mem[5] [AccBits], \u_dut.u_logits.mem[4] [AccBits],
    \u_dut.u_logits.mem[3] [AccBits], \u_dut.u_logits.mem[2] [AccBits], \u_dut.u_logits.mem[1] [AccBits], \u_dut.u_logits.mem[0] [AccBits]
  };

  wire              take = valid && ready_i;
  logic             last_q, waits_q;
  logic [Lanes-1:0] lanes_q;   // lanes that have not finished
  logic [7:0]       owed_q;    // logits that the step still owes
  logic [7:0]       stall_q, age_q;
  logic [33:0]      word_q;
  always_ff @(posedge clk_i) begin
    stall_q <= ready_i ? '0 : stall_q + 1'b1;
    waits_q <= valid && !ready_i;
    word_q  <= {step_last, last, logit};
    if (!rst_ni) begin
      {waits_q, lanes_q, owed_q, stall_q, age_q} <= '0;
    end else begin
      if (step_i) begin
        owed_q  <= 8'(Classes);
        last_q  <= last_i;
        lanes_q <= '1;
      end else begin
        owed_q  <= owed_q - 8'(take);
        lanes_q <= lanes_q & ~lane_done_i;
      end
      age_q <= (owed_q == '0 || step_i || lanes_q != '0 || take) ? '0 : age_q + 1'b1;
    end
  end

  // The logits on their way, in the queue first, are the next ones of the step: the last of them is marked.
  logic [3:0] flying;
  logic       marks_right, flying_right;
  logic [7:0] place;
  always_comb begin
    flying = '0;
    for (int unsigned s = 1; s <= 6; s++) flying += 4'(on_its_way[s]);
    marks_right = 1'b1;
    for (int unsigned i = 0; i < 8; i++) begin
      if (i < 32'(count)) begin
        marks_right &= marks[3'(read_slot + 3'(i))] == (32'(owed_q) == i + 1) && ends[3'(read_slot + 3'(i))] == last_q;
      end
    end
    flying_right = 1'b1;
    place = owed_q - 8'(count);
    for (int s = 6; s >= 1; s--) begin
      if (on_its_way[s]) begin
        flying_right &= finals[s] == (place == 8'd1);
        place = place - 1'b1;
      end
    end
  end

  always_comb begin
    assume (!load_i[60]);  // what cannot be written would be a constant
    assume (!step_i || (done && ready));
    assume ((lane_done_i & ~lanes_q) == '0);
    assume (stall_q <= Patience && !(stall_q == Patience && !ready_i));
    if (rst_ni) begin
      always_a_place:   assert (32'(flying) + 32'(count) <= 8 && reserved == flying + count);
      as_many_as_owed:  assert (!take || owed_q != '0);
      marks_the_last:   assert (!valid || (step_last == (owed_q == 8'd1) && last == (step_last && last_q)));
      done_when_taken:  assert (done == (owed_q == '0));
      stable_payload:   assert (!waits_q || (valid && {step_last, last, logit} == word_q));
      next_in_time:     assert (32'(age_q) <= 8 + Patience);
      invariant_left:   assert (owed_q <= Classes && owed_q == (active ? left : 8'd0) + 8'(reserved) && active == (active && left != '0));
      invariant_lanes:  assert (waiting == lanes_q && (lanes_q == '0 || (active && reserved == '0 && owed_q == Classes)));
      invariant_last:   assert (owed_q == '0 || last_inside == last_q);
      invariant_marks:  assert (marks_right && flying_right && write_slot == 3'(read_slot + 3'(count)));
      invariant_age:    assert (owed_q == '0 || lanes_q != '0 || count != '0 || age_q == '0 || (on_its_way >> (age_q - 1)) != '0);
      invariant_queue:  assert (!(count != '0 && lanes_q == '0) || 32'(age_q) <= 7 + 32'(stall_q));
    end
  end
endmodule
