// Column source in block RAM: turns events with the places of their columns into the stream of the columns' non-zero weights.
//
// One event becomes an operation for each of its `count_i` entries, one a cycle: those at `before_i` + 1, + 2, … (modulo the address range), each with the event's value. An end-of-step item becomes one end
// operation, after every operation of the events before it; its place has no meaning. The next event is taken in the cycle of the last operation of this one, so columns follow
// each other without a gap.
//
// An entry is {row, field, weight}; `op_entry_o` is the same. With Group = 1 an entry holds the weights of a neuron's three gates, {row, recurrent, w_g, w_r, w_z}, and
// becomes three operations, for z, r and g; `count_i` counts the entries.
//
// This is the seam for another column source: one that reads bursts from external memory keeps these ports.
module egru_column_walker #(
  parameter int unsigned Entries = 16,
  parameter int unsigned RowBits = 4,
  parameter int unsigned FieldBits = 2,
  parameter int unsigned WeightBits = 8,
  parameter bit          Group = 1'b0,
  parameter int unsigned StartBits = 4,
  parameter int unsigned CountBits = 4,
  parameter int unsigned EventBits = 8,
  parameter EntryFile = "",
  parameter int unsigned Weights = 0,  // these three: see egru_rom
  parameter int unsigned Memory = 0,
  parameter int unsigned LoadBits = 32,
  localparam int unsigned OpBits = RowBits + FieldBits + WeightBits
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic                 end_i,
  input  logic [StartBits-1:0] before_i,
  input  logic [CountBits-1:0] count_i,
  input  logic [EventBits-1:0] value_i,
  output logic                 op_valid_o,
  output logic                 op_end_o,
  output logic [EventBits-1:0] op_value_o,
  output logic [OpBits-1:0]    op_entry_o,
  output logic                 busy_o,
  input  logic [28+LoadBits:0] load_i
);
  localparam int unsigned EntryBits = Group ? RowBits + 1 + 3 * WeightBits : OpBits;
  localparam int unsigned AddrBits  = (Entries > 1) ? $clog2(Entries) : 1;

  // The counter starts at 1 and is all that changes during a column: place and count are only loaded.
  logic [CountBits-1:0]      count_q, number_q;
  logic [StartBits-1:0]      before_q;
  logic                      take, entry_done;
  logic [2:0]                valid_q, end_q;  // walking, memory read, operation
  logic [2:0][EventBits-1:0] value_q;
  logic [EntryBits-1:0]      entry;

  assign ready_o = !valid_q[0] || (number_q == count_q && entry_done);
  assign take    = valid_i && ready_o;

  always_ff @(posedge clk_i) begin
    if (take) begin
      before_q   <= before_i;
      count_q    <= count_i;
      value_q[0] <= value_i;
    end
    if (take)            number_q <= CountBits'(1);
    else if (entry_done) number_q <= number_q + 1'b1;
    value_q[2:1] <= value_q[1:0];
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= '0;
      end_q   <= '0;
    end else begin
      valid_q <= {valid_q[1:0], take ? !end_i : !ready_o};
      end_q   <= {end_q[1:0], take && end_i};
    end
  end

  egru_rom #(.Width(EntryBits), .Depth(Entries), .InitFile(EntryFile), .Weights(Weights), .Memory(Memory), .LoadBits(LoadBits)) u_entries (
    .clk_i, .addr_i(AddrBits'(before_q + StartBits'(number_q))), .data_o(entry), .load_i
  );

  if (Group) begin : gen_group
    // The gate in turn goes with the operation through the memory's two cycles.
    logic [1:0] gate_0_q, gate_1_q, gate_2_q;
    assign entry_done = gate_0_q == 2'd2;
    always_ff @(posedge clk_i) begin
      gate_0_q <= (take || entry_done) ? 2'd0 : gate_0_q + 2'd1;
      gate_1_q <= gate_0_q;
      gate_2_q <= gate_1_q;
    end
    logic [WeightBits-1:0] weight;
    logic [1:0]            field;
    always_comb begin
      unique case (gate_2_q)
        2'd0:    {field, weight} = {2'd3, entry[WeightBits-1:0]};
        2'd1:    {field, weight} = {2'd0, entry[2*WeightBits-1:WeightBits]};
        default: {field, weight} = {entry[3*WeightBits] ? 2'd1 : 2'd2, entry[3*WeightBits-1:2*WeightBits]};
      endcase
    end
    assign op_entry_o = {entry[EntryBits-1 -: RowBits], field, weight};
  end else begin : gen_single
    assign entry_done = 1'b1;
    assign op_entry_o = entry;
  end

  assign op_valid_o = valid_q[2];
  assign op_end_o   = end_q[2];
  assign op_value_o = value_q[2];
  assign busy_o     = valid_q != '0 || end_q != '0;

`ifndef SYNTHESIS
  initial if (Group && FieldBits != 2) $fatal(1, "egru_column_walker: FieldBits=%0d must be 2 in groups of gates", FieldBits);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni && take) begin
      assert (end_i || count_i != '0) else $error("egru_column_walker: an event without operations");
      assert (end_i || 32'(StartBits'(before_i + 1'b1)) + 32'(count_i) <= Entries)
        else $error("egru_column_walker: column of %0d entries behind %0d exceeds the memory", count_i, before_i);
    end
  end
`endif
endmodule
