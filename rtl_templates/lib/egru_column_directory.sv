// Looks up where an event's column begins, and how long it is, for all lanes at once, and carries the event along: two cycles from the bus to the lanes.
//
// A word of the directory holds one place {before, count} per lane, lane 0 lowest. The lanes take what comes: `stall_o` stops the bus in time, when one of them has no
// more than `Reserve` free places left (an item given in cycle n is counted in n+3, its lane says so in n+4, `stall_o` follows in n+5, so five more may be on their way).
module egru_column_directory #(
  parameter int unsigned Lanes = 4,
  parameter int unsigned Columns = 16,
  parameter int unsigned PlaceBits = 8,
  parameter int unsigned EventBits = 8,
  parameter DirectoryFile = "",
  parameter int unsigned Weights = 0,  // these three: see egru_rom
  parameter int unsigned Memory = 0,
  parameter int unsigned LoadBits = 32,
  localparam int unsigned ColumnBits = (Columns > 1) ? $clog2(Columns) : 1
) (
  input  logic                            clk_i,
  input  logic                            rst_ni,
  input  logic                            bus_valid_i,
  input  logic                            bus_end_i,
  input  logic [ColumnBits-1:0]           bus_column_i,
  input  logic [EventBits-1:0]            bus_value_i,
  output logic                            stall_o,
  output logic                            item_valid_o,
  output logic                            item_end_o,
  output logic [EventBits-1:0]            item_value_o,
  output logic [Lanes-1:0][PlaceBits-1:0] item_place_o,
  input  logic [Lanes-1:0]                nearly_full_i,
  input  logic [28+LoadBits:0]            load_i
);
  logic                 valid_1_q, end_1_q;
  logic [EventBits-1:0] value_1_q;

  egru_rom #(.Width(Lanes * PlaceBits), .Depth(Columns), .InitFile(DirectoryFile), .Weights(Weights), .Memory(Memory), .LoadBits(LoadBits)) u_places (
    .clk_i, .addr_i(bus_column_i), .data_o(item_place_o), .load_i
  );

  always_ff @(posedge clk_i) begin
    end_1_q      <= bus_end_i;
    value_1_q    <= bus_value_i;
    item_end_o   <= end_1_q;
    item_value_o <= value_1_q;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_1_q    <= 1'b0;
      item_valid_o <= 1'b0;
      stall_o      <= 1'b0;
    end else begin
      valid_1_q    <= bus_valid_i;
      item_valid_o <= valid_1_q;
      stall_o      <= |nearly_full_i;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni && bus_valid_i && !bus_end_i) begin
      assert (32'(bus_column_i) < Columns) else $error("egru_column_directory: there is no column %0d", bus_column_i);
    end
  end
`endif
endmodule
