// egru_frame_buffer keeps each byte at its place in its half, and gives the byte under the cursor once the cursor has rested.
//
// One byte, any of the first four of either half, is followed; the memory does not look at the place. No payload has a byte 256, and no cursor is moved and cleared at once.
module egru_frame_buffer_proof (
  input logic       clk_i,
  input logic       rst_ni,
  input logic       wr_reply_i,
  input logic       wr_clear_i,
  input logic       wr_valid_i,
  input logic [7:0] wr_data_i,
  input logic       rd_reply_i,
  input logic       rd_clear_i,
  input logic       rd_next_i
);
  initial assume (!rst_ni);  // and at any time later

  logic [7:0] wr_count, rd_count, rd_data;
  egru_frame_buffer u_dut (
    .clk_i, .rst_ni, .wr_reply_i, .wr_clear_i, .wr_valid_i, .wr_data_i, .wr_count_o(wr_count), .rd_reply_i, .rd_clear_i, .rd_next_i, .rd_data_o(rd_data),
    .rd_count_o(rd_count)
  );

  // Insides, which the induction needs; see sim/proving.py.
  (* hierconn *) wire [7:0] \u_dut.mem[0] ;
  (* hierconn *) wire [7:0] \u_dut.mem[1] ;
  (* hierconn *) wire [7:0] \u_dut.mem[2] ;
  (* hierconn *) wire [7:0] \u_dut.mem[3] ;
  (* hierconn *) wire [7:0] \u_dut.mem[256] ;
  (* hierconn *) wire [7:0] \u_dut.mem[257] ;
  (* hierconn *) wire [7:0] \u_dut.mem[258] ;
  (* hierconn *) wire [7:0] \u_dut.mem[259] ;
  (* hierconn *) wire [7:0] \u_dut.read_q ;
  (* hierconn *) wire [7:0] \u_dut.wr_data_q ;
  (* hierconn *) wire \u_dut.wr_clear_q ;
  (* hierconn *) wire \u_dut.wr_valid_q ;
  (* hierconn *) wire \u_dut.wr_reply_q ;
  wire [63:0] words = {
    \u_dut.mem[259] , \u_dut.mem[258] , \u_dut.mem[257] , \u_dut.mem[256] , \u_dut.mem[3] , \u_dut.mem[2] , \u_dut.mem[1] , \u_dut.mem[0]
  };
  wire [7:0] read       = \u_dut.read_q ;
  wire [7:0] late_data  = \u_dut.wr_data_q ;
  wire       late_clear = \u_dut.wr_clear_q ;
  wire       late_valid = \u_dut.wr_valid_q ;
  wire       late_half  = \u_dut.wr_reply_q ;

  (* anyconst *) logic       half;
  (* anyconst *) logic [1:0] place;
  wire [8:0] watched = {half, 6'd0, place};
  wire       hit     = wr_valid_i && {wr_reply_i, placed_q} == watched;

  logic [7:0] placed_q, cursor_q, byte_q;     // bytes since the cursor was cleared, at once; the watched byte
  logic       written_q;
  logic [1:0] rest_q, age_q;                  // cycles for which the cursor has rested, since the watched byte was written; up to 3
  logic       half_q, late_hit_q;
  logic [7:0] placed_1_q;                     // a cycle late
  always_ff @(posedge clk_i) begin
    half_q <= rd_reply_i;
    if (!rst_ni) begin
      {placed_q, placed_1_q, cursor_q, written_q, rest_q, age_q, late_hit_q} <= '0;
    end else begin
      placed_q   <= wr_clear_i ? '0 : placed_q + 8'(wr_valid_i);
      placed_1_q <= placed_q;
      cursor_q   <= rd_clear_i ? '0 : cursor_q + 8'(rd_next_i);
      late_hit_q <= hit;
      if (hit) {written_q, byte_q, age_q} <= {1'b1, wr_data_i, 2'd0};
      else     age_q <= age_q + 2'(age_q != '1);
      rest_q <= (rd_clear_i || rd_next_i) ? 2'd0 : (rd_reply_i != half_q) ? 2'd1 : rest_q + 2'(rest_q != '1);
    end
  end

  wire       here   = {rd_reply_i, cursor_q} == watched && written_q && age_q == '1;
  wire [1:0] rested = (rd_reply_i != half_q) ? 2'd0 : rest_q;  // up to this cycle
  wire [7:0] stored = words[{half, place}*8 +: 8];

  always_comb begin
    assume (!(wr_valid_i && wr_clear_i) && !(rd_next_i && rd_clear_i));
    assume (!(wr_valid_i && placed_q == '1) && !(rd_next_i && cursor_q == '1));
    if (rst_ni) begin
      cursor_for_writing: assert (wr_count == placed_1_q);
      cursor_for_reading: assert (rd_count == cursor_q);
      byte_under_cursor:  assert (!(here && rested >= 2'd2) || rd_data == byte_q);
      invariant_stored:   assert (!(written_q && !late_hit_q) || stored == byte_q);
      invariant_late:     assert (late_hit_q == (late_valid && {late_half, placed_1_q} == watched) && (!late_hit_q || (late_data == byte_q && written_q && age_q == '0)));
      invariant_placed:   assert (placed_q == (late_clear ? 8'd0 : placed_1_q + 8'(late_valid)) && !(late_clear && late_valid) && !(late_valid && placed_1_q == '1));
      invariant_read:     assert (!({half_q, cursor_q} == watched && written_q && age_q >= 2'd2 && rest_q >= 2'd1) || read == byte_q);
      invariant_data:     assert (!({half_q, cursor_q} == watched && written_q && age_q == 2'd3 && rest_q >= 2'd2) || rd_data == byte_q);
    end
  end
endmodule
