// One lane: event queue, its own slice of every column, multiply-accumulate.
//
// An item comes with the place {before, count} of the event's column in this lane's entries, looked up for all lanes at once. Columns without weights here never enter
// the queue. The lane takes events from it at its own pace and meets the others only at the end of a step. After `done_o` the read port
// serves the step's sums while the lane goes on with the next step (see egru_accumulator).
//
// `nearly_full_o` leaves `Reserve` free places: for the items that are on their way when the bus stops.
//
// Every cycle of a lane is one of: `mac_o` (a useful MAC), `working_o` without `mac_o` (an event is on its way but gives no MAC this cycle), neither
// (nothing to do). The counters rest on it.
module egru_lane #(
  parameter int unsigned Entries = 16,
  parameter int unsigned StartBits = 4,
  parameter int unsigned CountBits = 4,
  parameter int unsigned EventBits = 8,
  parameter int unsigned WeightBits = 8,
  parameter int unsigned AccBits = 24,
  parameter int unsigned Rows = 8,
  parameter int unsigned FieldBits = 2,
  parameter bit          Group = 1'b0,
  parameter int unsigned QueueDepth = 16,
  parameter int unsigned Reserve = 5,
  parameter EntryFile = "",
  parameter int unsigned Weights = 0,  // these three: see egru_rom
  parameter int unsigned Memory = 0,
  parameter int unsigned LoadBits = 32,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1,
  localparam int unsigned AddrBits = RowBits + FieldBits
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 item_valid_i,
  input  logic                 item_end_i,
  input  logic [EventBits-1:0] item_value_i,
  input  logic [StartBits-1:0] item_before_i,
  input  logic [CountBits-1:0] item_count_i,
  output logic                 nearly_full_o,
  output logic                 done_o,
  input  logic                 rd_both_i,
  input  logic                 rd_valid_i,
  input  logic [AddrBits-1:0]  rd_addr_i,
  output logic [AccBits-1:0]   rd_data_o,
  output logic                 mac_o,
  output logic                 working_o,
  input  logic [28+LoadBits:0] load_i
);
  localparam int unsigned OpBits     = AddrBits + WeightBits;
  localparam int unsigned QueueCount = $clog2(QueueDepth + 1);

  logic                  push, queue_ready, queue_valid, walker_ready, item_end;
  logic [StartBits-1:0]  item_before;
  logic [CountBits-1:0]  item_count;
  logic [EventBits-1:0]  item_value, op_value;
  logic                  op_valid, op_end, walker_busy;
  logic [OpBits-1:0]     op_entry;
  logic [QueueCount-1:0] waiting;

  assign push          = item_valid_i && (item_end_i || item_count_i != '0);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) nearly_full_o <= 1'b0;
    else         nearly_full_o <= waiting >= QueueCount'(QueueDepth - Reserve);
  end

  egru_fifo #(.Width(1 + EventBits + StartBits + CountBits), .Depth(QueueDepth)) u_queue (
    .clk_i, .rst_ni,
    .valid_i(push), .ready_o(queue_ready), .data_i({item_end_i, item_value_i, item_before_i, item_count_i}),
    .valid_o(queue_valid), .ready_i(walker_ready), .data_o({item_end, item_value, item_before, item_count}), .count_o(waiting)
  );

  egru_column_walker #(
    .Entries(Entries), .RowBits(RowBits), .FieldBits(FieldBits), .WeightBits(WeightBits), .Group(Group), .StartBits(StartBits),
    .CountBits(CountBits), .EventBits(EventBits), .EntryFile(EntryFile), .Weights(Weights), .Memory(Memory), .LoadBits(LoadBits)
  ) u_columns (
    .clk_i, .rst_ni,
    .valid_i(queue_valid), .ready_o(walker_ready), .end_i(item_end), .before_i(item_before), .count_i(item_count), .value_i(item_value),
    .op_valid_o(op_valid), .op_end_o(op_end), .op_value_o(op_value), .op_entry_o(op_entry), .busy_o(walker_busy), .load_i
  );

  egru_accumulator #(
    .Rows(Rows), .FieldBits(FieldBits), .WeightBits(WeightBits), .EventBits(EventBits), .AccBits(AccBits)
  ) u_accumulator (
    .clk_i, .rst_ni,
    .op_valid_i(op_valid), .op_end_i(op_end), .op_value_i(op_value), .op_entry_i(op_entry), .done_o,
    .rd_both_i, .rd_valid_i, .rd_addr_i, .rd_data_o
  );

  if (Group) begin : gen_group_work
    // A group may hold a weight of 0; walking it is no useful MAC.
    assign mac_o = op_valid && op_entry[WeightBits-1:0] != '0;
  end else begin : gen_work
    assign mac_o = op_valid;
  end
  assign working_o = queue_valid || walker_busy;

`ifndef SYNTHESIS
  initial if (QueueDepth <= Reserve) $fatal(1, "egru_lane: QueueDepth=%0d must exceed Reserve=%0d", QueueDepth, Reserve);
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!push || queue_ready) else $error("egru_lane: an item came to a full queue");
    end
  end
`endif
endmodule
