// egru_accumulator's sums are exact: where the true sum of a row never leaves the range of AccBits, no addition overflows and the reader gets that sum.
//
// hls_gen sizes AccBits so that no sum of the model can leave that range. Two addresses, all there are, are kept a second time with one more bit. A step ends after the reader has read
// all of the one before, and had its answers; after a reset both banks are emptied before the first operation.
module egru_accumulator_proof #(
  parameter int unsigned AccBits = 5
) (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       op_valid_i,
  input logic       op_end_i,
  input logic       op_address_i,
  input logic [1:0] op_weight_i,
  input logic [1:0] op_value_i,
  input logic       rd_both_i,
  input logic       rd_valid_i,
  input logic       rd_address_i
);
  localparam int unsigned WideBits = AccBits + 1;

  initial assume (!rst_ni);  // and at any time later

  logic                      done;
  logic signed [AccBits-1:0] data;
  egru_accumulator #(.Rows(2), .FieldBits(0), .WeightBits(2), .EventBits(2), .AccBits(AccBits)) u_dut (
    .clk_i, .rst_ni, .op_valid_i, .op_end_i, .op_value_i, .op_entry_i({op_address_i, op_weight_i}), .done_o(done), .rd_both_i, .rd_valid_i,
    .rd_addr_i(rd_address_i), .rd_data_o(data)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire \u_dut.bank_0_q ;
  (* hierconn *) wire \u_dut.bank_1_q ;
  (* hierconn *) wire \u_dut.rd_bank_q ;
  (* hierconn *) wire [1:0] \u_dut.write_1_q ;
  (* hierconn *) wire [1:0] \u_dut.write_2_q ;
  (* hierconn *) wire [1:0] \u_dut.fill_1_q ;
  (* hierconn *) wire [1:0] \u_dut.fill_2_q ;
  (* hierconn *) wire [1:0] \u_dut.access_1_q ;
  (* hierconn *) wire [1:0] \u_dut.access_2_q ;
  (* hierconn *) wire [3:0] \u_dut.product_1 ;
  (* hierconn *) wire [AccBits-1:0] \u_dut.product_2_q ;
  (* hierconn *) wire [AccBits:0] \u_dut.gen_banks[0].mem[0] ;
  (* hierconn *) wire [AccBits:0] \u_dut.gen_banks[0].mem[1] ;
  (* hierconn *) wire [AccBits:0] \u_dut.gen_banks[1].mem[0] ;
  (* hierconn *) wire [AccBits:0] \u_dut.gen_banks[1].mem[1] ;
  wire               growing   = \u_dut.bank_0_q ;
  wire               grew      = \u_dut.bank_1_q ;
  wire               read_bank = \u_dut.rd_bank_q ;
  wire [1:0]         write_1   = \u_dut.write_1_q ;
  wire [1:0]         write_2   = \u_dut.write_2_q ;
  wire [1:0]         fill_1    = \u_dut.fill_1_q ;
  wire [1:0]         fill_2    = \u_dut.fill_2_q ;
  wire [1:0]         access_1  = \u_dut.access_1_q ;
  wire [1:0]         access_2  = \u_dut.access_2_q ;
  wire [AccBits-1:0] product_1 = AccBits'($signed(\u_dut.product_1 ));
  wire [AccBits-1:0] product_2 = \u_dut.product_2_q ;
  wire [4*AccBits+3:0] words   = {
    \u_dut.gen_banks[1].mem[1] , \u_dut.gen_banks[1].mem[0] , \u_dut.gen_banks[0].mem[1] , \u_dut.gen_banks[0].mem[0]
  };

  // What each word of each bank is once everything that is under way has been written.
  logic [AccBits:0]        word;
  logic [3:0][AccBits-1:0] settled;
  always_comb begin
    for (int unsigned i = 0; i < 4; i++) begin
      word = words[(AccBits+1)*i +: AccBits+1];
      settled[i] = word[AccBits] ? word[AccBits-1:0] : '0;
      if (write_2[i/2] && access_2[i/2] == i[0]) settled[i] = fill_2[i/2] ? settled[i] + product_2 : '0;
      if (write_1[i/2] && access_1[i/2] == i[0]) settled[i] = fill_1[i/2] ? settled[i] + product_1 : '0;
    end
  end

  // The sums as they should be: those that grow, and those that wait for the reader. They change at once, where the module takes three cycles.
  logic signed [WideBits-1:0] growing_q [2];
  logic signed [WideBits-1:0] waiting_q [2];
  logic [1:0]                 unread_q;         // of the step that ended, and after a reset
  logic                       emptying_q;
  logic [1:0]                 end_q;            // an end one, two cycles ago: not yet to be read
  logic signed [WideBits-1:0] answer_1_q, answer_2_q, answer_3_q;
  logic [2:0]                 reading_q;
  wire  signed [WideBits-1:0] product = WideBits'($signed(op_weight_i) * $signed({1'b0, op_value_i}));
  wire  signed [WideBits-1:0] sum     = growing_q[op_address_i] + product;
  always_ff @(posedge clk_i) begin
    if (op_valid_i) growing_q[op_address_i] <= sum;
    answer_1_q <= (rd_valid_i && !rd_both_i) ? waiting_q[rd_address_i] : '0;
    {answer_3_q, answer_2_q} <= {answer_2_q, answer_1_q};
    if (op_end_i) begin
      waiting_q[0] <= growing_q[0];
      waiting_q[1] <= growing_q[1];
      growing_q[0] <= '0;
      growing_q[1] <= '0;
    end
    if (!rst_ni) begin
      growing_q[0] <= '0;
      growing_q[1] <= '0;
      emptying_q   <= 1'b1;
      unread_q     <= '1;
      end_q        <= '0;
      reading_q    <= '0;
    end else begin
      end_q     <= {end_q[0], op_end_i};
      reading_q <= {reading_q[1:0], rd_valid_i};
      if (rd_valid_i) unread_q[rd_address_i] <= 1'b0;
      if (op_end_i) unread_q <= '1;
      if (emptying_q && unread_q == '0 && reading_q == '0) emptying_q <= 1'b0;
    end
  end

  always_comb begin
    assume (rd_both_i == emptying_q);
    assume (!(op_valid_i && op_end_i) && !(emptying_q && (op_valid_i || op_end_i)));
    assume (!op_end_i || (unread_q == '0 && reading_q == '0));
    assume (!rd_valid_i || (unread_q[rd_address_i] && end_q == '0));
    assume (op_weight_i != 2'b10);  // weights are symmetric
    assume (!op_valid_i || sum == WideBits'($signed(sum[AccBits-1:0])));  // it stays in the range
    if (rst_ni) begin
      exact_sum: assert (!(reading_q[2] && !emptying_q) || WideBits'(data) == answer_3_q);
      silent:    assert (reading_q[2] || emptying_q || data == '0);
      ends:      assert (done == end_q[0]);
      invariant_emptied: assert (!emptying_q || ((unread_q[0] || (settled[0] == '0 && settled[2] == '0)) && (unread_q[1] || (settled[1] == '0 && settled[3] == '0))));
      invariant_growing: assert (emptying_q || (WideBits'($signed(settled[{growing, 1'b0}])) == growing_q[0] && WideBits'($signed(settled[{growing, 1'b1}])) == growing_q[1]));
      invariant_waiting: assert (emptying_q || (WideBits'($signed(settled[{!growing, 1'b0}])) == (unread_q[0] ? waiting_q[0] : '0) && WideBits'($signed(settled[{!growing, 1'b1}])) == (unread_q[1] ? waiting_q[1] : '0)));
      invariant_banks:   assert (end_q[0] ? grew != growing : read_bank != growing);
      invariant_nothing: assert (!emptying_q || (growing_q[0] == '0 && growing_q[1] == '0 && end_q == '0));
    end
  end
endmodule
