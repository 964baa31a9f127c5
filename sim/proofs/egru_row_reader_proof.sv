// egru_row_reader addresses every sum of the layers that are active exactly once in a pass, in order, no other sum, and ends the pass.
//
// A step begins when the pass before is over and says which layers are active; the lane finishes once in it, and a turn comes in at least one of any Patience + 1
// cycles. With several layers the first has First rows, the second, where it is not the last, one row.
module egru_row_reader_proof #(
  parameter int unsigned Rows = 3,
  parameter int unsigned Layers = 1,
  parameter int unsigned First = 1,
  parameter int unsigned Patience = 4,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input logic              clk_i,
  input logic              rst_ni,
  input logic              step_i,
  input logic [Layers-1:0] active_i,
  input logic              done_i,
  input logic              turn_i
);
  localparam logic [47:0] RowEnds = {16'(Rows), (Layers == 2) ? 16'(Rows) : 16'(First + 1), (Layers == 1) ? 16'(Rows) : 16'(First)};

  initial assume (!rst_ni);  // and at any time later

  logic               take, both, valid, idle;
  logic [RowBits-1:0] row;
  logic [RowBits+1:0] address;
  egru_row_reader #(.Rows(Rows), .Layers(Layers), .RowEnds(RowEnds[16*Layers-1:0])) u_dut (
    .clk_i, .rst_ni, .step_i, .active_i, .done_i, .turn_i, .take_o(take), .row_o(row), .rd_both_o(both), .rd_valid_o(valid),
    .rd_addr_o(address), .idle_o(idle)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire \u_dut.summed_q ;
  (* hierconn *) wire \u_dut.busy_q ;
  wire summed = \u_dut.summed_q ;
  wire busy   = \u_dut.busy_q ;

  logic       emptied_q, stepping_q, finished_q;
  logic [7:0] next_q, stall_q, age_q;  // next_q: sums of this pass that have been addressed
  logic [Layers-1:0] active_q;
  logic       stepped_q;
  wire  [7:0] row_now = next_q >> 2;
  wire        active  = Layers == 1 || (16'(row_now) < RowEnds[15:0] ? active_i[0] : 16'(row_now) < RowEnds[31:16] ? active_i[(Layers > 1) ? 1 : 0] : active_i[Layers-1]);
  wire        passed  = finished_q && next_q[1:0] == '0 && !active;
  wire        over    = (valid && 32'(next_q) == 4 * Rows - 1) || (passed && 32'(row_now) == Rows - 1);
  always_ff @(posedge clk_i) begin
    stall_q  <= turn_i ? '0 : stall_q + 1'b1;
    active_q <= active_i;
    if (!rst_ni) begin
      {emptied_q, stepping_q, finished_q, stepped_q, next_q, stall_q, age_q} <= '0;
    end else begin
      if (over)        next_q <= '0;
      else if (valid)  next_q <= next_q + 1'b1;
      else if (passed) next_q <= next_q + 8'd4;
      stepped_q <= step_i;
      if (over) emptied_q <= 1'b1;
      stepping_q <= step_i || (stepping_q && !over);
      finished_q <= done_i || (finished_q && !over);
      age_q      <= (finished_q && !over) ? age_q + 1'b1 : '0;
    end
  end

  always_comb begin
    assume (stall_q <= Patience && !(stall_q == Patience && !turn_i));
    assume (!step_i || idle);
    assume (stepped_q || Layers == 1 || !stepping_q || active_i == active_q);
    assume (!(stepped_q && done_i));
    assume (!done_i || (stepping_q && !finished_q));
    if (rst_ni) begin
      every_sum_once_in_order: assert (!valid || 8'(address) == next_q);
      only_of_active_layers: assert (!(valid && emptied_q) || active);
      only_in_turn:     assert (!take || (turn_i && finished_q && next_q[1:0] == '0 && 8'(row) == next_q >> 2));
      four_in_a_row:    assert (next_q[1:0] == '0 || valid);
      only_finished:    assert (!valid || (emptied_q ? finished_q : both));
      both_after_reset: assert (both == !emptied_q);
      idle_when_over:   assert (idle == (emptied_q && !stepping_q));
      ends_in_time:     assert (32'(age_q) < Rows * (Patience + 4) + 1);
      invariant_state:  assert (summed == finished_q && busy == stepping_q && (!finished_q || stepping_q) && 32'(next_q) < 4 * Rows);
      invariant_rest:   assert (8'(address) == next_q && (!emptied_q || finished_q || next_q == '0) && (emptied_q || !stepping_q));
      // sums of a row that is under way, rows before, and turns waited for
      invariant_age:    assert (!finished_q || 32'(age_q) <= 32'(next_q >> 2) * (Patience + 4) + (next_q[1:0] != '0 ? Patience + 32'(next_q[1:0]) : 32'(stall_q)));
      invariant_unfinished: assert (finished_q || age_q == '0);
    end
  end
endmodule
