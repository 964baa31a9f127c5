// egru_column_walker makes exactly as many operations of an event as its column has entries, those of the column, in order, and one end of an end item.
//
// The walk is made a second time, plainly, over a memory that holds anything. Nothing can hold the walker up, so a column of n operations takes n cycles.
module egru_column_walker_proof #(
  parameter int unsigned Group = 0
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       valid_i,
  input logic       end_i,
  input logic [2:0] before_i,
  input logic [1:0] count_i,
  input logic       value_i,
  input logic [60:0] load_i
);
  localparam int unsigned Entries = 8, WeightBits = 2, RowBits = 1;
  localparam int unsigned PerEntry = (Group != 0) ? 3 : 1;
  localparam int unsigned OpBits = RowBits + 2 + WeightBits;
  localparam int unsigned EntryBits = (Group != 0) ? RowBits + 1 + 3 * WeightBits : OpBits;

  initial assume (!rst_ni);  // and at any time later

  logic              ready, op_valid, op_end, op_value, busy;
  logic [OpBits-1:0] op_entry;
  egru_column_walker #(
    .Entries(Entries), .RowBits(RowBits), .FieldBits(2), .WeightBits(WeightBits), .Group(Group != 0), .StartBits(3), .CountBits(2), .EventBits(1), .Weights(2)
  ) u_dut (
    .clk_i, .rst_ni, .valid_i, .ready_o(ready), .end_i, .before_i, .count_i, .value_i, .op_valid_o(op_valid), .op_end_o(op_end),
    .op_value_o(op_value), .op_entry_o(op_entry), .busy_o(busy), .load_i
  );

  // Insides; see sim/proving.py.
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[0] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[1] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[2] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[3] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[4] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[5] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[6] ;
  (* hierconn *) wire [EntryBits-1:0] \u_dut.u_entries.gen_slices[0].mem[7] ;
  (* hierconn *) wire [2:0] \u_dut.before_q ;
  (* hierconn *) wire [1:0] \u_dut.number_q ;
  (* hierconn *) wire [1:0] \u_dut.count_q ;
  (* hierconn *) wire [2:0] \u_dut.valid_q ;
  wire [8*EntryBits-1:0] words = {
    \u_dut.u_entries.gen_slices[0].mem[7] , \u_dut.u_entries.gen_slices[0].mem[6] , \u_dut.u_entries.gen_slices[0].mem[5] , \u_dut.u_entries.gen_slices[0].mem[4] ,
    \u_dut.u_entries.gen_slices[0].mem[3] , \u_dut.u_entries.gen_slices[0].mem[2] , \u_dut.u_entries.gen_slices[0].mem[1] , \u_dut.u_entries.gen_slices[0].mem[0]
  };
  wire [2:0] before_inside = \u_dut.before_q ;
  wire [1:0] number        = \u_dut.number_q ;
  wire [1:0] count_inside  = \u_dut.count_q ;
  wire [2:0] valids        = \u_dut.valid_q ;

  // What should leave, as a walk of its own: which operation begins in this cycle, two cycles before it leaves.
  wire        take = valid_i && ready;
  logic [2:0] place_q, place_1_q, place_2_q;  // where the entry of that operation stands
  logic [1:0] gate_q, gate_1_q, gate_2_q;    // which of a group's gates
  wire        entry_over = 32'(gate_q) == PerEntry - 1;
  logic [7:0] left_q;  // operations of the event that have not begun
  logic       ending_q, ending_1_q, ending_2_q, walk_1_q, walk_2_q, value_q, value_1_q, value_2_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {left_q, ending_q, ending_1_q, ending_2_q, walk_1_q, walk_2_q} <= '0;
    end else begin
      left_q   <= (take && !end_i) ? 8'(PerEntry) * 8'(count_i) : left_q - 8'(left_q != '0);
      ending_q <= take && end_i;
      {ending_2_q, ending_1_q} <= {ending_1_q, ending_q};
      {walk_2_q, walk_1_q}     <= {walk_1_q, left_q != '0};
    end
    if (take) value_q <= value_i;
    place_q <= take ? before_i + 3'd1 : place_q + 3'(entry_over);
    gate_q  <= (take || entry_over) ? 2'd0 : gate_q + 2'd1;
    {place_2_q, place_1_q} <= {place_1_q, place_q};
    {gate_2_q, gate_1_q}   <= {gate_1_q, gate_q};
    {value_2_q, value_1_q} <= {value_1_q, value_q};
  end

  // An entry is {row, field, weight}, or a group {row, recurrent, w_g, w_r, w_z}.
  wire [EntryBits-1:0] entry = words[place_2_q*EntryBits +: EntryBits];
  logic [OpBits-1:0]   wanted;
  if (Group != 0) begin : gen_group
    wire [RowBits-1:0] row = entry[EntryBits-1 -: RowBits];
    always_comb begin
      wanted = {row, 2'd3, entry[WeightBits-1:0]};
      if (gate_2_q == 2'd1) wanted = {row, 2'd0, entry[2*WeightBits-1:WeightBits]};
      if (gate_2_q == 2'd2) wanted = {row, entry[3*WeightBits] ? 2'd1 : 2'd2, entry[3*WeightBits-1:2*WeightBits]};
    end
  end else begin : gen_single
    assign wanted = entry;
  end

  always_comb begin
    assume (!load_i[60]);  // what cannot be written would be a constant
    assume (!valid_i || end_i || (count_i != '0 && 32'(3'(before_i + 1'b1)) + 32'(count_i) <= Entries));
    if (rst_ni) begin
      operations_of_the_column: assert (op_valid == walk_2_q);
      entry_of_the_column: assert (!op_valid || op_entry == wanted);
      value_goes_along: assert (!op_valid || op_value == value_2_q);
      ends_in_order:   assert (op_end == ending_2_q && !(op_end && op_valid));
      no_gap:          assert (ready == (left_q <= 8'd1));
      busy_until_gone: assert (busy == (left_q != '0 || walk_1_q || walk_2_q || ending_q || ending_1_q || ending_2_q));
      invariant_walk:  assert (valids[0] == (left_q != '0) && (left_q == '0 || 8'(PerEntry) * (8'(count_inside) - 8'(number) + 8'd1) == left_q + 8'(gate_q)));
      invariant_place: assert (left_q == '0 || (place_q == before_inside + 3'(number) && number != '0 && number <= count_inside && 32'(gate_q) < PerEntry));
    end
  end
endmodule
