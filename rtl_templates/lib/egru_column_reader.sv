// Column source in block RAM: turns events into the stream of non-zero weights of their columns.
//
// One event of index i and value v becomes one operation {entry, v} for each entry of column i of this lane, one operation a cycle; an end-of-step item
// becomes one end operation, after every operation of the events before it. Columns of no entries cost no operation. Input columns
// come first in the pointer memory, then the recurrent ones; a pointer word is {start, count}. While one column is walked the pointers of the next
// ones are fetched, so short columns follow each other without a gap.
//
// This is the seam for another column source: one that reads bursts from external memory keeps these ports.
module egru_column_reader #(
  parameter int unsigned Inputs = 0,           // input columns; recurrent column j is column Inputs + j
  parameter int unsigned Columns = 16,
  parameter int unsigned Entries = 16,
  parameter int unsigned EntryBits = 18,
  parameter int unsigned CountBits = 4,
  parameter int unsigned IndexBits = 4,
  parameter int unsigned EventBits = 8,
  parameter PointerFile = "",
  parameter EntryFile = ""
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic                 end_i,
  input  logic                 recurrent_i,
  input  logic [IndexBits-1:0] index_i,
  input  logic [EventBits-1:0] value_i,
  output logic                 op_valid_o,
  output logic                 op_end_o,
  output logic                 op_recurrent_o,
  output logic [EventBits-1:0] op_value_o,
  output logic [EntryBits-1:0] op_entry_o,
  output logic                 busy_o
);
  localparam int unsigned ColumnBits = (Columns > 1) ? $clog2(Columns) : 1;
  localparam int unsigned StartBits  = (Entries > 1) ? $clog2(Entries) : 1;
  // Four cycles pass from taking an event to giving its place back.
  localparam int unsigned Credits    = 4;
  localparam int unsigned CreditBits = $clog2(Credits + 1);
  localparam int unsigned WordBits   = StartBits + CountBits + 2 + EventBits;  // of column_t

  typedef struct packed {
    logic                 is_end;
    logic                 recurrent;
    logic [EventBits-1:0] value;
  } source_t;

  typedef struct packed {
    logic [StartBits-1:0] start;
    logic [CountBits-1:0] count;
    source_t              source;
  } column_t;

  // Pointer fetch: an event is taken only when a place for its column is free, so nothing behind stalls.
  logic [CreditBits-1:0]          taken_q;
  logic [ColumnBits-1:0]          column;
  logic [StartBits+CountBits-1:0] pointer;
  logic                           take, fetch_valid_q, pointer_valid_q, drop, store;
  source_t                        fetch_source_q, pointer_source_q;
  column_t                        fetched, next;
  logic                           next_valid, next_ready;

  assign ready_o = taken_q != CreditBits'(Credits);
  assign take    = valid_i && ready_o;
  assign column  = recurrent_i ? ColumnBits'(index_i) + ColumnBits'(Inputs) : ColumnBits'(index_i);

  egru_rom #(.Width(StartBits + CountBits), .Depth(Columns), .InitFile(PointerFile)) u_pointers (
    .clk_i, .addr_i(column), .data_o(pointer)
  );

  assign fetched.start  = pointer[CountBits +: StartBits];
  assign fetched.count  = pointer_source_q.is_end ? '0 : pointer[CountBits-1:0];
  assign fetched.source = pointer_source_q;
  assign store          = pointer_valid_q && (pointer_source_q.is_end || pointer[CountBits-1:0] != '0);
  assign drop           = pointer_valid_q && !store;

  always_ff @(posedge clk_i) begin
    fetch_source_q   <= {end_i, recurrent_i, value_i};
    pointer_source_q <= fetch_source_q;
  end

  logic store_ready_unused;
  logic [CreditBits-1:0] stored_unused;
  egru_fifo #(.Width(WordBits), .Depth(Credits)) u_next (
    .clk_i, .rst_ni,
    .valid_i(store), .ready_o(store_ready_unused), .data_i(fetched),
    .valid_o(next_valid), .ready_i(next_ready), .data_o(next), .count_o(stored_unused)
  );

  // Walker: one entry a cycle; the next column is loaded in the cycle of the last entry of this one.
  logic [CountBits-1:0] left_q;
  logic [StartBits-1:0] addr_q;
  logic                 end_q;
  source_t              walk_q, read_source_q, entry_source_q;
  logic                 read_valid_q, entry_valid_q;

  assign next_ready = left_q == '0 || left_q == CountBits'(1);

  always_ff @(posedge clk_i) begin
    if (next_valid && next_ready) begin
      addr_q <= next.start;
      walk_q <= next.source;
    end else begin
      addr_q <= addr_q + 1'b1;
    end
    read_source_q  <= walk_q;
    entry_source_q <= read_source_q;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      taken_q         <= '0;
      fetch_valid_q   <= 1'b0;
      pointer_valid_q <= 1'b0;
      left_q          <= '0;
      end_q           <= 1'b0;
      read_valid_q    <= 1'b0;
      entry_valid_q   <= 1'b0;
    end else begin
      taken_q         <= taken_q + CreditBits'(take) - CreditBits'(drop) - CreditBits'(next_valid && next_ready);
      fetch_valid_q   <= take;
      pointer_valid_q <= fetch_valid_q;
      if (next_valid && next_ready) begin
        left_q <= next.count;
        end_q  <= next.source.is_end;
      end else begin
        left_q <= (left_q == '0) ? '0 : left_q - 1'b1;
        end_q  <= 1'b0;
      end
      read_valid_q  <= left_q != '0 || end_q;
      entry_valid_q <= read_valid_q;
    end
  end

  egru_rom #(.Width(EntryBits), .Depth(Entries), .InitFile(EntryFile)) u_entries (
    .clk_i, .addr_i(addr_q), .data_o(op_entry_o)
  );

  assign op_valid_o     = entry_valid_q && !entry_source_q.is_end;
  assign op_end_o       = entry_valid_q && entry_source_q.is_end;
  assign op_recurrent_o = entry_source_q.recurrent;
  assign op_value_o     = entry_source_q.value;
  assign busy_o         = taken_q != '0 || left_q != '0 || end_q || read_valid_q || entry_valid_q;

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!store || store_ready_unused) else $error("egru_column_reader: fetched a column without a place for it");
      assert (!(take && !end_i) || 32'(index_i) + (recurrent_i ? Inputs : 0) < Columns)
        else $error("egru_column_reader: event index %0d has no column", index_i);
    end
  end
`endif
endmodule
