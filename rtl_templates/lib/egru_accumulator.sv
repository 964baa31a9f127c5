// Multiply-accumulate of one lane: acc[row][field] += weight * value, one operation a cycle, exact.
//
// Two banks take turns: while the sums of step t are read (and cleared as they are read), the sums of step t+1 grow in the other bank. An end
// operation swaps them; `done_o` pulses when every sum of the ended step is in place. The reader must have read all of a bank before the next
// end operation arrives. Both banks are cleared after reset, `ready_o` says when.
//
// Fields: with Fields = 4 an entry is {row, gate, weight}, gates z = 0, r = 1, g = 2, and the fields are acc_z, acc_r, acc_gx, acc_gr: a recurrent
// g entry goes to field 3, because the reset gate multiplies it later. With Fields = 1 (decoder) an entry is {row, weight}.
//
// Read port: an address given with `rd_valid_i` answers on `rd_data_o` after two cycles of `rd_advance_i`; holding `rd_advance_i` low freezes both stages.
module egru_accumulator #(
  parameter int unsigned Rows = 8,
  parameter int unsigned Fields = 4,
  parameter int unsigned WeightBits = 8,
  parameter int unsigned EventBits = 8,
  parameter int unsigned AccBits = 24,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1,
  localparam int unsigned GateBits = (Fields > 1) ? 2 : 0,
  localparam int unsigned EntryBits = RowBits + GateBits + WeightBits,
  localparam int unsigned AddrBits = RowBits + GateBits
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  output logic                      ready_o,
  input  logic                      op_valid_i,
  input  logic                      op_end_i,
  input  logic                      op_recurrent_i,
  input  logic [EventBits-1:0]      op_value_i,
  input  logic [EntryBits-1:0]      op_entry_i,
  output logic                      done_o,
  input  logic                      rd_valid_i,
  input  logic                      rd_advance_i,
  input  logic [AddrBits-1:0]       rd_addr_i,
  output logic signed [AccBits-1:0] rd_data_o
);
  localparam int unsigned Depth = ((Rows > 1) ? Rows : 2) << GateBits;  // at least one row bit
  localparam logic [AddrBits-1:0] LastAddr = AddrBits'(Depth - 1);

  // Stage 0: decode, start the read. Stage 1: multiply. Stage 2: add and write. Stage 3: the sum just written.
  logic [AddrBits-1:0]                addr_0, addr_1_q, addr_2_q, addr_3_q;
  logic                               valid_1_q, valid_2_q, valid_3_q, end_1_q, end_2_q;
  logic                               bank_0_q, bank_1_q, bank_2_q, bank_3_q, rd_bank_q;
  logic signed [WeightBits-1:0]       weight_1_q;
  logic [EventBits-1:0]               value_1_q;
  logic signed [WeightBits+EventBits-1:0] product;
  logic signed [AccBits-1:0]          product_2_q, base_2_q, base, sum_2, sum_3_q;
  logic                               repeat_2_q;

  if (Fields > 1) begin : gen_fields
    logic [GateBits-1:0] gate;
    assign gate   = op_entry_i[WeightBits +: GateBits];
    assign addr_0 = {op_entry_i[EntryBits-1 -: RowBits], gate[1], gate[1] ? op_recurrent_i : gate[0]};
  end else begin : gen_single
    logic recurrent_unused;
    assign recurrent_unused = op_recurrent_i;
    assign addr_0 = op_entry_i[EntryBits-1 -: RowBits];
  end

  // Clearing after reset.
  logic                clearing_q;
  logic [AddrBits-1:0] clear_addr_q;
  assign ready_o = !clearing_q;

  // Read port, with clear-on-read one cycle behind.
  logic                rd_clear_q;
  logic [AddrBits-1:0] rd_clear_addr_q;

  // A bank belongs to the operations until their end, then to the reader.
  logic [1:0]               write_en;
  logic [1:0][AddrBits-1:0] write_addr, read_addr;
  logic [1:0]               read_en;
  logic [1:0][AccBits-1:0]  write_data, read_q;

  always_comb begin
    for (int unsigned b = 0; b < 2; b++) begin
      if (clearing_q) begin
        write_en[b]   = 1'b1;
        write_addr[b] = clear_addr_q;
        write_data[b] = '0;
      end else if (valid_2_q && bank_2_q == b[0]) begin
        write_en[b]   = 1'b1;
        write_addr[b] = addr_2_q;
        write_data[b] = sum_2;
      end else begin
        write_en[b]   = rd_clear_q && rd_bank_q == b[0];
        write_addr[b] = rd_clear_addr_q;
        write_data[b] = '0;
      end
      read_addr[b] = (bank_0_q == b[0]) ? addr_0 : rd_addr_i;
      read_en[b]   = (bank_0_q == b[0]) ? op_valid_i : rd_advance_i;
    end
  end

  for (genvar b = 0; b < 2; b++) begin : gen_banks
    // A read that meets a write of the same address is mended by the bypass below, so its value does not matter here.
    (* no_rw_check *) logic [AccBits-1:0] mem [Depth];
    always_ff @(posedge clk_i) begin
      if (write_en[b]) mem[write_addr[b]] <= write_data[b];
      if (read_en[b]) read_q[b] <= mem[read_addr[b]];
    end
  end

  assign product = weight_1_q * $signed({1'b0, value_1_q});
  // The operation one before is in stage 3 when this one adds; the one before that was there when this one multiplied.
  assign base  = repeat_2_q ? sum_3_q : base_2_q;
  assign sum_2 = base + product_2_q;

  always_ff @(posedge clk_i) begin
    addr_1_q    <= addr_0;
    weight_1_q  <= op_entry_i[WeightBits-1:0];
    value_1_q   <= op_value_i;
    addr_2_q    <= addr_1_q;
    product_2_q <= AccBits'(product);
    base_2_q    <= (valid_3_q && addr_3_q == addr_1_q && bank_3_q == bank_1_q) ? sum_3_q : read_q[bank_1_q];
    repeat_2_q  <= valid_2_q && addr_2_q == addr_1_q && bank_2_q == bank_1_q;
    addr_3_q    <= addr_2_q;
    sum_3_q     <= sum_2;
    if (rd_advance_i) rd_data_o <= read_q[rd_bank_q];
    rd_clear_addr_q <= rd_addr_i;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      clearing_q   <= 1'b1;
      clear_addr_q <= '0;
      bank_0_q     <= 1'b0;
      bank_1_q     <= 1'b0;
      bank_2_q     <= 1'b0;
      bank_3_q     <= 1'b0;
      rd_bank_q    <= 1'b1;
      valid_1_q    <= 1'b0;
      valid_2_q    <= 1'b0;
      valid_3_q    <= 1'b0;
      end_1_q      <= 1'b0;
      end_2_q      <= 1'b0;
      done_o       <= 1'b0;
      rd_clear_q   <= 1'b0;
    end else begin
      if (clearing_q) begin
        clear_addr_q <= clear_addr_q + 1'b1;
        clearing_q   <= clear_addr_q != LastAddr;
      end
      if (op_end_i) bank_0_q <= !bank_0_q;
      bank_1_q   <= bank_0_q;
      bank_2_q   <= bank_1_q;
      bank_3_q   <= bank_2_q;
      valid_1_q  <= op_valid_i;
      valid_2_q  <= valid_1_q;
      valid_3_q  <= valid_2_q;
      end_1_q    <= op_end_i;
      end_2_q    <= end_1_q;
      done_o     <= end_2_q;
      if (end_2_q) rd_bank_q <= bank_2_q;
      rd_clear_q <= rd_valid_i && rd_advance_i;
    end
  end

`ifndef SYNTHESIS
  initial begin
    if (AccBits < WeightBits + EventBits) $fatal(1, "egru_accumulator: AccBits=%0d cannot hold one product", AccBits);
    if (Fields != 1 && Fields != 4) $fatal(1, "egru_accumulator: Fields=%0d must be 1 or 4", Fields);
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(op_valid_i && op_end_i)) else $error("egru_accumulator: an operation cannot be both a weight and an end");
      assert (!(clearing_q && (op_valid_i || op_end_i))) else $error("egru_accumulator: operation before ready_o");
      assert (!(rd_valid_i && bank_0_q == rd_bank_q)) else $error("egru_accumulator: read of a bank that has not ended");
      assert (!(valid_2_q && rd_clear_q && bank_2_q == rd_bank_q)) else $error("egru_accumulator: bank written and cleared at once");
      assert (!valid_2_q || (base[AccBits-1] != product_2_q[AccBits-1]) || (sum_2[AccBits-1] == base[AccBits-1]))
        else $error("egru_accumulator: AccBits=%0d overflowed", AccBits);
    end
  end
`endif
endmodule
