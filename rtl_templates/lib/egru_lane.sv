// One lane: event queue, its own slice of every column, multiply-accumulate.
//
// Lanes take events from their queues at their own pace and meet only at the end of a step. `done_o` pulses when the step is summed; then the read port
// serves its sums while the lane goes on with the next step (see egru_accumulator).
//
// Every cycle of a lane is one of: `mac_o` (a useful MAC), `working_o` without `mac_o` (an event is on its way but gives no MAC this cycle), neither
// (nothing to do). The counters rest on it.
module egru_lane #(
  parameter int unsigned Inputs = 0,
  parameter int unsigned Columns = 16,
  parameter int unsigned Entries = 16,
  parameter int unsigned CountBits = 4,
  parameter int unsigned IndexBits = 4,
  parameter int unsigned EventBits = 8,
  parameter int unsigned WeightBits = 8,
  parameter int unsigned AccBits = 24,
  parameter int unsigned Rows = 8,
  parameter int unsigned Fields = 4,
  parameter int unsigned QueueDepth = 8,
  parameter PointerFile = "",
  parameter EntryFile = "",
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1,
  localparam int unsigned AddrBits = RowBits + ((Fields > 1) ? 2 : 0)
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  output logic                 ready_o,
  input  logic                 event_valid_i,
  output logic                 event_ready_o,
  input  logic                 event_end_i,
  input  logic                 event_recurrent_i,
  input  logic [IndexBits-1:0] event_index_i,
  input  logic [EventBits-1:0] event_value_i,
  output logic                 done_o,
  input  logic                 rd_valid_i,
  input  logic                 rd_advance_i,
  input  logic [AddrBits-1:0]  rd_addr_i,
  output logic [AccBits-1:0]   rd_data_o,
  output logic                 mac_o,
  output logic                 working_o
);
  localparam int unsigned EntryBits  = AddrBits + WeightBits;
  localparam int unsigned ItemBits   = 2 + IndexBits + EventBits;
  localparam int unsigned QueueCount = $clog2(QueueDepth + 1);

  logic                 queue_valid, queue_ready, item_end, item_recurrent;
  logic [IndexBits-1:0] item_index;
  logic [EventBits-1:0] item_value, op_value;
  logic                 op_valid, op_end, op_recurrent, reader_busy;
  logic [EntryBits-1:0] op_entry;
  logic [QueueCount-1:0] count_unused;

  egru_fifo #(.Width(ItemBits), .Depth(QueueDepth)) u_queue (
    .clk_i, .rst_ni,
    .valid_i(event_valid_i), .ready_o(event_ready_o),
    .data_i({event_end_i, event_recurrent_i, event_index_i, event_value_i}),
    .valid_o(queue_valid), .ready_i(queue_ready),
    .data_o({item_end, item_recurrent, item_index, item_value}), .count_o(count_unused)
  );

  egru_column_reader #(
    .Inputs(Inputs), .Columns(Columns), .Entries(Entries), .EntryBits(EntryBits), .CountBits(CountBits), .IndexBits(IndexBits),
    .EventBits(EventBits), .PointerFile(PointerFile), .EntryFile(EntryFile)
  ) u_columns (
    .clk_i, .rst_ni,
    .valid_i(queue_valid), .ready_o(queue_ready), .end_i(item_end), .recurrent_i(item_recurrent), .index_i(item_index), .value_i(item_value),
    .op_valid_o(op_valid), .op_end_o(op_end), .op_recurrent_o(op_recurrent), .op_value_o(op_value), .op_entry_o(op_entry), .busy_o(reader_busy)
  );

  egru_accumulator #(
    .Rows(Rows), .Fields(Fields), .WeightBits(WeightBits), .EventBits(EventBits), .AccBits(AccBits)
  ) u_accumulator (
    .clk_i, .rst_ni, .ready_o,
    .op_valid_i(op_valid), .op_end_i(op_end), .op_recurrent_i(op_recurrent), .op_value_i(op_value), .op_entry_i(op_entry),
    .done_o, .rd_valid_i, .rd_advance_i, .rd_addr_i, .rd_data_o
  );

  assign mac_o     = op_valid;
  assign working_o = queue_valid || reader_busy;
endmodule
