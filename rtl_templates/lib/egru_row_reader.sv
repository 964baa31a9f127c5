// Reads the finished sums of one lane, row by row, in the turns that the update unit gives.
//
// `step_i` begins a pass over all rows; it waits for the lane (`done_i`) and is over when `idle_o` is high again. In a turn `take_o` says that row `row_o` is begun: its
// four sums are addressed in this cycle and the next three, in the order of the fields.
//
// Several layers may share the lanes; then row r belongs to the first layer l with r < RowEnds[l], and the rows of a layer that is not `active_i` in this
// step are passed over: their sums stay.
//
// After reset one pass over all rows empties both banks of the accumulator (`rd_both_o`).
module egru_row_reader #(
  parameter int unsigned Rows = 8,
  parameter int unsigned Layers = 1,
  parameter logic [16*Layers-1:0] RowEnds = 16'd8,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic               clk_i,
  input  logic               rst_ni,
  input  logic               step_i,
  input  logic [Layers-1:0]  active_i,
  input  logic               done_i,
  input  logic               turn_i,
  output logic               take_o,
  output logic [RowBits-1:0] row_o,
  output logic               rd_both_o,
  output logic               rd_valid_o,
  output logic [RowBits+1:0] rd_addr_o,
  output logic               idle_o
);
  localparam logic [RowBits-1:0] LastRow = RowBits'(Rows - 1);
  localparam bit                 Wraps   = Rows == 1 << RowBits;  // the address wraps by itself

  logic               emptying_q, busy_q, summed_q, first, over, pass, skip;
  logic [RowBits+1:0] addr_q;

  if (Layers > 1) begin : gen_layers
    logic active;
    always_comb begin
      active = active_i[Layers-1];
      for (int l = Layers - 2; l >= 0; l--) begin
        if (16'(row_o) < RowEnds[16*l +: 16]) active = active_i[l];
      end
    end
    assign skip = summed_q && first && !active;
  end else begin : gen_layer
    logic active_unused;
    assign active_unused = active_i[0];
    assign skip = 1'b0;
  end

  assign first      = addr_q[1:0] == 2'd0;
  assign row_o      = addr_q[RowBits+1:2];
  assign take_o     = turn_i && summed_q && first && !skip;
  assign rd_both_o  = emptying_q;
  assign rd_valid_o = emptying_q || take_o || !first;
  assign rd_addr_o  = addr_q;
  assign idle_o     = !emptying_q && !busy_q;

  assign pass = rd_valid_o || skip;
  assign over = row_o == LastRow && (addr_q[1:0] == 2'd3 || skip);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      emptying_q <= 1'b1;
      busy_q     <= 1'b0;
      summed_q   <= 1'b0;
      addr_q     <= '0;
    end else begin
      if (pass) begin
        if (over && !Wraps) addr_q <= '0;
        else if (skip)      addr_q <= addr_q + (RowBits + 2)'(4);
        else                addr_q <= addr_q + 1'b1;
      end
      if (step_i) busy_q <= 1'b1;
      if (done_i) summed_q <= 1'b1;
      if (pass && over) begin
        emptying_q <= 1'b0;
        busy_q     <= 1'b0;
        summed_q   <= 1'b0;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(step_i && !idle_o)) else $error("egru_row_reader: a step began during a pass");
      assert (!(done_i && (!busy_q || summed_q))) else $error("egru_row_reader: sums finished outside a step");
    end
  end
`endif
endmodule
