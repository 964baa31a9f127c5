// CRC-32 of a stream of bytes (Ethernet, zlib: polynomial 0x04C11DB7 reflected, start and final inversion), one bit a cycle.
//
// `clear_i` begins anew. A byte is taken with `valid_i` and keeps the module busy for 8 cycles. The CRC goes on the line with its lowest
// byte first: `byte_o` is that byte, and a `valid_i` with `drop_i` throws it away, so that 8 cycles later the next one stands there.
// `good_o`: the bytes taken since `clear_i` end with the CRC of those before.
module egru_crc32 (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       clear_i,
  input  logic       valid_i,
  input  logic       drop_i,
  input  logic [7:0] data_i,
  output logic       busy_o,
  output logic [7:0] byte_o,
  output logic       good_o
);
  localparam logic [31:0] Polynomial = 32'hEDB8_8320;
  localparam logic [31:0] Residue    = 32'hDEBB_20E3;  // what any bytes and their CRC leave

  logic [31:0] crc_q;
  logic [3:0]  left_q;  // bits of the byte not yet divided

  assign busy_o = left_q != '0;
  assign byte_o = ~crc_q[7:0];
  assign good_o = crc_q == Residue;

  always_ff @(posedge clk_i) begin
    if (clear_i)      crc_q <= '1;
    else if (valid_i) crc_q[7:0] <= drop_i ? 8'h00 : crc_q[7:0] ^ data_i;
    else if (busy_o)  crc_q <= {1'b0, crc_q[31:1]} ^ (crc_q[0] ? Polynomial : '0);
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)      left_q <= '0;
    else if (clear_i) left_q <= '0;
    else if (valid_i) left_q <= 4'd8;
    else if (busy_o)  left_q <= left_q - 1'b1;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(valid_i && busy_o && !clear_i)) else $error("egru_crc32: a byte while the last one is still divided");
    end
  end
`endif
endmodule
