// First-in first-out queue of any depth; order kept, nothing lost or doubled, one push and one pop a cycle.
//
// The memory is not reset (it maps to distributed RAM); `valid_o` covers it.
module egru_fifo #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 8,
  localparam int unsigned CountBits = $clog2(Depth + 1)
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic [Width-1:0]     data_i,
  output logic                 valid_o,
  input  logic                 ready_i,
  output logic [Width-1:0]     data_o,
  output logic [CountBits-1:0] count_o
);
  localparam int unsigned PointerBits = (Depth > 1) ? $clog2(Depth) : 1;
  localparam logic [PointerBits-1:0] LastSlot = PointerBits'(Depth - 1);
  localparam bit                     Wraps    = Depth == 1 << PointerBits;  // the pointers wrap by themselves

  logic [Width-1:0]       mem [Depth];
  logic [PointerBits-1:0] write_q, read_q;
  logic [CountBits-1:0]   count_q;
  logic                   push, pop, valid_q, full_q;

  assign ready_o = !full_q;
  assign valid_o = valid_q;
  assign push    = valid_i && ready_o;
  assign pop     = valid_o && ready_i;
  assign data_o  = mem[read_q];
  assign count_o = count_q;

  always_ff @(posedge clk_i) begin
    if (push) mem[write_q] <= data_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
      count_q <= '0;
      valid_q <= 1'b0;
      full_q  <= 1'b0;
    end else begin
      if (push) write_q <= (!Wraps && write_q == LastSlot) ? '0 : write_q + 1'b1;
      if (pop)  read_q  <= (!Wraps && read_q  == LastSlot) ? '0 : read_q  + 1'b1;
      if (push != pop) count_q <= count_q + {{(CountBits - 1){pop}}, 1'b1};  // one up or down
      // What the neighbours wait for is known from the start of the cycle.
      valid_q <= push || (valid_q && !(pop && count_q == CountBits'(1)));
      full_q  <= !pop && (full_q || (push && count_q == CountBits'(Depth - 1)));
    end
  end

`ifndef SYNTHESIS
  initial if (Depth < 1 || Width < 1) $fatal(1, "egru_fifo: Depth=%0d and Width=%0d must be at least 1", Depth, Width);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (valid_q == (count_q != '0) && full_q == (count_q == CountBits'(Depth)))
        else $error("egru_fifo: holds %0d of %0d words, valid %b, full %b", count_q, Depth, valid_q, full_q);
    end
  end
`endif
endmodule
