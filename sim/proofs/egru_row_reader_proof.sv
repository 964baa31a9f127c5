// egru_row_reader addresses every sum of the lane exactly once in a pass, in order, and ends the pass.
//
// A step begins when the pass before is over, the lane finishes once in it, and a turn comes in at least one of any Patience + 1 cycles.
module egru_row_reader_proof #(
  parameter int unsigned Rows = 3,
  parameter int unsigned Patience = 4,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input logic clk_i,
  input logic step_i,
  input logic done_i,
  input logic turn_i
);
  logic rst_n = 1'b0;  // low in the first cycle only
  always_ff @(posedge clk_i) rst_n <= 1'b1;

  logic               take, both, valid, idle;
  logic [RowBits-1:0] row;
  logic [RowBits+1:0] address;
  egru_row_reader #(.Rows(Rows)) u_dut (
    .clk_i, .rst_ni(rst_n), .step_i, .active_i(1'b1), .done_i, .turn_i, .take_o(take), .row_o(row), .rd_both_o(both), .rd_valid_o(valid),
    .rd_addr_o(address), .idle_o(idle)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire \u_dut.summed_q ;
  (* hierconn *) wire \u_dut.busy_q ;
  wire summed = \u_dut.summed_q ;
  wire busy   = \u_dut.busy_q ;

  logic       emptied_q = 1'b0, stepping_q = 1'b0, finished_q = 1'b0;
  logic [7:0] next_q = '0, stall_q = '0, age_q = '0;  // next_q: sums of this pass that have been addressed
  wire        over = valid && 32'(next_q) == 4 * Rows - 1;
  always_ff @(posedge clk_i) begin
    stall_q <= turn_i ? '0 : stall_q + 1'b1;
    if (rst_n) begin
      if (valid) next_q <= over ? '0 : next_q + 1'b1;
      if (over) emptied_q <= 1'b1;
      stepping_q <= step_i || (stepping_q && !over);
      finished_q <= done_i || (finished_q && !over);
      age_q      <= (finished_q && !over) ? age_q + 1'b1 : '0;
    end
  end

  always_comb begin
    assume (stall_q <= Patience && !(stall_q == Patience && !turn_i));
    assume (!step_i || idle);
    assume (!done_i || (stepping_q && !finished_q));
    if (rst_n) begin
      every_sum_once_in_order: assert (!valid || 8'(address) == next_q);
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
    end
    invariant_before: assert (rst_n || (!emptied_q && !stepping_q && !finished_q && next_q == '0 && age_q == '0));
    invariant_unfinished: assert (finished_q || age_q == '0);
  end
endmodule
