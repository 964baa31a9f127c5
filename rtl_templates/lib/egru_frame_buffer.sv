// Memory of the host link: the request's payload and the reply's, 256 bytes each, in one block RAM behind a cursor for writing and one for reading.
//
// `wr_reply_i` and `rd_reply_i` choose the half that a cursor stands in; the cursor itself is the same for both. A cursor is set to 0 by
// its `clear` and moves on with each byte written (`wr_valid_i`) or done with (`rd_next_i`); `*_count_o` is where it stands. A payload has
// at most 255 bytes, so a cursor never passes the end of its half. The cursor for writing moves a cycle late.
// `rd_data_o` is the byte under the cursor if that has neither moved nor changed its half in the last two cycles.
module egru_frame_buffer (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       wr_reply_i,
  input  logic       wr_clear_i,
  input  logic       wr_valid_i,
  input  logic [7:0] wr_data_i,
  output logic [7:0] wr_count_o,
  input  logic       rd_reply_i,
  input  logic       rd_clear_i,
  input  logic       rd_next_i,
  output logic [7:0] rd_data_o,
  output logic [7:0] rd_count_o
);
  // Nobody reads a byte in the cycle in which it is written. Left alone, synthesis for ECP5 builds this from 64 distributed RAMs.
  (* no_rw_check, ram_style = "block" *) logic [7:0] mem [512];

  logic       wr_reply_q, wr_clear_q, wr_valid_q;  // much is selected from on the way to the block RAM
  logic [7:0] wr_data_q, read_q;

  always_ff @(posedge clk_i) begin
    wr_reply_q <= wr_reply_i;
    wr_data_q  <= wr_data_i;
    if (wr_valid_q) mem[{wr_reply_q, wr_count_o}] <= wr_data_q;
    read_q     <= mem[{rd_reply_i, rd_count_o}];
    rd_data_o  <= read_q;  // hides the block RAM's long clock-to-output time
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      wr_clear_q <= 1'b0;
      wr_valid_q <= 1'b0;
      wr_count_o <= '0;
      rd_count_o <= '0;
    end else begin
      wr_clear_q <= wr_clear_i;
      wr_valid_q <= wr_valid_i;
      if (wr_clear_q)      wr_count_o <= '0;
      else if (wr_valid_q) wr_count_o <= wr_count_o + 1'b1;
      if (rd_clear_i)      rd_count_o <= '0;
      else if (rd_next_i)  rd_count_o <= rd_count_o + 1'b1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(wr_valid_i && wr_clear_i)) else $error("egru_frame_buffer: a byte while the cursor is cleared");
      assert (!(rd_next_i && rd_clear_i)) else $error("egru_frame_buffer: on to the next byte while the cursor is cleared");
      assert (!(wr_valid_q && wr_count_o == '1)) else $error("egru_frame_buffer: byte 256 of a payload");
    end
  end
`endif
endmodule
