// egru_crc32 divides a byte in eight cycles, as the polynomial says, and throws a byte away without a trace of it.
//
// A byte comes only when the one before is divided.
module egru_crc32_proof (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       clear_i,
  input logic       valid_i,
  input logic       drop_i,
  input logic [7:0] data_i
);
  initial assume (!rst_ni);  // and at any time later

  logic       busy, good;
  logic [7:0] out;
  egru_crc32 u_dut (.clk_i, .rst_ni, .clear_i, .valid_i, .drop_i, .data_i, .busy_o(busy), .byte_o(out), .good_o(good));

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [31:0] \u_dut.crc_q ;
  (* hierconn *) wire [3:0] \u_dut.left_q ;
  wire [31:0] crc  = \u_dut.crc_q ;
  wire [3:0]  left = \u_dut.left_q ;

  // `bits` steps of the division
  function automatic logic [31:0] divided(input logic [31:0] value, input logic [3:0] bits);
    divided = value;
    for (int unsigned i = 0; i < 8; i++) if (i < 32'(bits)) divided = {1'b0, divided[31:1]} ^ (divided[0] ? 32'hEDB8_8320 : 32'd0);
  endfunction

  // What the register is once nothing is left to be divided. Before the first clear it is anything.
  logic        cleared_q;
  logic [31:0] whole_q;
  logic [3:0]  left_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {cleared_q, left_q} <= '0;
    end else begin
      if (clear_i)      {cleared_q, whole_q} <= {1'b1, 32'hFFFF_FFFF};
      else if (valid_i) whole_q <= drop_i ? whole_q >> 8 : divided(whole_q ^ 32'(data_i), 4'd8);
      left_q <= clear_i ? 4'd0 : valid_i ? 4'd8 : left_q - 4'(left_q != '0);
    end
  end

  always_comb begin
    assume (!(valid_i && busy && !clear_i));
    if (rst_ni) begin
      eight_cycles: assert (busy == (left_q != '0));
      crc_of_the_bytes: assert (!cleared_q || busy || {out, good} == {~whole_q[7:0], whole_q == 32'hDEBB_20E3});
      invariant_left: assert (left == left_q && left_q <= 4'd8);
      invariant_rest: assert (!cleared_q || divided(crc, left) == whole_q);
    end
  end
endmodule
