// Multiply-accumulate of one lane: acc[row][field] += weight * value, one operation a cycle, exact.
//
// Two banks take turns: while the sums of step t are read (and emptied as they are read), the sums of step t+1 grow in the other bank. An end
// operation swaps them; the sums of the ended step may be read from the cycle after `done_o` on. The reader must have read all of a bank, and had its
// answers, before the next end operation arrives.
//
// A word is {full, sum}. Emptying clears only the bit `full`, so the sum needs no gate in front of the memory; an empty word reads as 0.
//
// An entry is {row, field, weight}; with FieldBits = 2 the fields are 0 r, 1 gr, 2 gx, 3 z, in the order in which the update needs them: R's part of g is
// kept apart from W's, because the reset gate multiplies it later. With FieldBits = 0 (decoder) a row has one sum.
//
// Read port: an address given with `rd_valid_i` answers on `rd_data_o` three cycles later; in every other cycle `rd_data_o` is 0, so several lanes can be joined by OR.
// While `rd_both_i` is high a read empties both banks: after reset the reader goes once through all rows like that, and no operation may arrive.
module egru_accumulator #(
  parameter int unsigned Rows = 8,
  parameter int unsigned FieldBits = 2,
  parameter int unsigned WeightBits = 8,
  parameter int unsigned EventBits = 8,
  parameter int unsigned AccBits = 24,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1,
  localparam int unsigned AddrBits = RowBits + FieldBits,
  localparam int unsigned OpBits = AddrBits + WeightBits
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      op_valid_i,
  input  logic                      op_end_i,
  input  logic [EventBits-1:0]      op_value_i,
  input  logic [OpBits-1:0]         op_entry_i,
  output logic                      done_o,
  input  logic                      rd_both_i,
  input  logic                      rd_valid_i,
  input  logic [AddrBits-1:0]       rd_addr_i,
  output logic signed [AccBits-1:0] rd_data_o
);
  localparam int unsigned Depth = ((Rows > 1) ? Rows : 2) << FieldBits;  // at least one row bit

  // Stage 0: decode, start the read. Stage 1: read, multiply. Stage 2: choose the base, add and write. Stage 3: the sum just written.
  logic [AddrBits-1:0]                    addr_0, addr_1_q, addr_2_q;
  logic                                   valid_1_q, valid_2_q, end_1_q;
  logic                                   bank_0_q, bank_1_q, rd_bank_q;
  logic                                   repeat_1_q, repeat_2_1_q;
  logic signed [WeightBits-1:0]           weight_1_q;
  logic [EventBits-1:0]                   value_1_q;
  logic signed [WeightBits+EventBits-1:0] product_1;
  logic signed [AccBits-1:0]              product_2_q, base_2, sum_2, sum_3_q;

  assign addr_0 = op_entry_i[OpBits-1 -: AddrBits];

  // A bank belongs to the operations until their end, then to the reader. Either writes two cycles after it has read.
  logic [1:0]                    mine;     // the operations'
  logic [1:0][AddrBits-1:0]      access_0, access_1_q, access_2_q;
  logic [1:0]                    write_1_q, write_2_q, fill_1_q, fill_2_q;
  logic [1:0]                    full_q;
  logic [1:0][AccBits-1:0]       read_q;

  for (genvar b = 0; b < 2; b++) begin : gen_banks
    // A read that meets a write of the same address is mended by the bypass below, so its value does not matter here.
    (* no_rw_check *) logic [AccBits:0] mem [Depth];
    assign mine[b]     = bank_0_q == b[0] && !rd_both_i;
    assign access_0[b] = mine[b] ? addr_0 : rd_addr_i;
    always_ff @(posedge clk_i) begin
      access_1_q[b] <= access_0[b];
      access_2_q[b] <= access_1_q[b];
      if (write_2_q[b]) mem[access_2_q[b]] <= {fill_2_q[b], sum_2};
      {full_q[b], read_q[b]} <= mem[access_0[b]];
    end
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        write_1_q[b] <= 1'b0;
        write_2_q[b] <= 1'b0;
        fill_1_q[b]  <= 1'b0;
        fill_2_q[b]  <= 1'b0;
      end else begin
        write_1_q[b] <= mine[b] ? op_valid_i : rd_valid_i;
        write_2_q[b] <= write_1_q[b];
        fill_1_q[b]  <= mine[b];
        fill_2_q[b]  <= fill_1_q[b];
      end
    end
  end

  // Nothing stands between the block RAMs and their registers. Two choices are cheaper than multiplexers: a bank that is not asked, or is empty, is masked, and
  // the registers of the bypass are 0 when they are not used. The sum of one operation ago is being made in stage 1, that of two ago is complete.
  logic [1:0][AccBits-1:0] stored_2_q;
  logic [1:0]              full_2_q, asked_2_q, answers_2_q, base_from, answer_from;
  logic [AccBits-1:0]      repeated_2_q, repeated_2_2_q;
  logic                    rd_valid_1_q;
  for (genvar b = 0; b < 2; b++) begin : gen_choice
    assign base_from[b]   = asked_2_q[b] && full_2_q[b];
    assign answer_from[b] = answers_2_q[b] && full_2_q[b];
    always_ff @(posedge clk_i) begin
      {full_2_q[b], stored_2_q[b]} <= {full_q[b], read_q[b]};
      asked_2_q[b]                 <= bank_1_q == b[0] && !repeat_1_q && !repeat_2_1_q;
      answers_2_q[b]               <= rd_valid_1_q && rd_bank_q == b[0];
    end
  end

  assign product_1 = weight_1_q * $signed({1'b0, value_1_q});
  assign base_2    = (stored_2_q[0] & {AccBits{base_from[0]}}) | (stored_2_q[1] & {AccBits{base_from[1]}}) | repeated_2_q | repeated_2_2_q;
  assign sum_2     = base_2 + product_2_q;
  always_ff @(posedge clk_i) rd_data_o <= (stored_2_q[0] & {AccBits{answer_from[0]}}) | (stored_2_q[1] & {AccBits{answer_from[1]}});

  always_ff @(posedge clk_i) begin
    addr_1_q    <= addr_0;
    addr_2_q    <= addr_1_q;
    weight_1_q  <= op_entry_i[WeightBits-1:0];
    value_1_q   <= op_value_i;
    product_2_q <= AccBits'(product_1);
    sum_3_q     <= sum_2;
    repeated_2_q <= sum_2;
    if (!repeat_1_q) repeated_2_q <= '0;
    repeated_2_2_q <= sum_3_q;
    if (!repeat_2_1_q) repeated_2_2_q <= '0;
  end

  assign done_o = end_1_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      bank_0_q     <= 1'b0;
      bank_1_q     <= 1'b0;
      rd_bank_q    <= 1'b1;
      valid_1_q    <= 1'b0;
      valid_2_q    <= 1'b0;
      end_1_q      <= 1'b0;
      repeat_1_q   <= 1'b0;
      repeat_2_1_q <= 1'b0;
      rd_valid_1_q <= 1'b0;
    end else begin
      if (op_end_i) bank_0_q <= !bank_0_q;
      bank_1_q     <= bank_0_q;
      if (end_1_q) rd_bank_q <= bank_1_q;
      valid_1_q    <= op_valid_i;
      valid_2_q    <= valid_1_q;
      end_1_q      <= op_end_i;
      repeat_1_q   <= valid_1_q && addr_1_q == addr_0;
      // The last one wins; an end between the two means that they belong to different banks.
      repeat_2_1_q <= valid_2_q && addr_2_q == addr_0 && !end_1_q && !(valid_1_q && addr_1_q == addr_0);
      rd_valid_1_q <= rd_valid_i;
    end
  end

`ifndef SYNTHESIS
  initial begin
    if (AccBits < WeightBits + EventBits) $fatal(1, "egru_accumulator: AccBits=%0d cannot hold one product", AccBits);
    if (FieldBits != 0 && FieldBits != 2) $fatal(1, "egru_accumulator: FieldBits=%0d must be 0 or 2", FieldBits);
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(op_valid_i && op_end_i)) else $error("egru_accumulator: an operation cannot be both a weight and an end");
      assert (!(rd_both_i && (op_valid_i || op_end_i))) else $error("egru_accumulator: operation while both banks are emptied");
      assert (!(rd_valid_i && !rd_both_i && bank_0_q == rd_bank_q)) else $error("egru_accumulator: read of a bank that has not ended");
      assert (!valid_2_q || (base_2[AccBits-1] != product_2_q[AccBits-1]) || (sum_2[AccBits-1] == base_2[AccBits-1]))
        else $error("egru_accumulator: AccBits=%0d overflowed", AccBits);
    end
  end
`endif
endmodule
