// Reads the finished sums of one lane, row by row, and offers each row's four sums as one record.
//
// `start_i` begins a pass over all rows; the pass is over when the last record is taken. The record's own registers are those in which its sums are
// collected: a record that is not taken at once stops the reads. Four cycles a row when it is.
module egru_row_reader #(
  parameter int unsigned Rows = 8,
  parameter int unsigned AccBits = 24,
  localparam int unsigned RowBits = (Rows > 1) ? $clog2(Rows) : 1
) (
  input  logic                    clk_i,
  input  logic                    rst_ni,
  input  logic                    start_i,
  output logic                    rd_valid_o,
  output logic                    rd_advance_o,
  output logic [RowBits+1:0]      rd_addr_o,
  input  logic [AccBits-1:0]      rd_data_i,
  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [RowBits-1:0]      row_o,
  output logic [3:0][AccBits-1:0] acc_o
);
  localparam logic [RowBits-1:0] LastRow = RowBits'(Rows - 1);

  logic               running_q, valid_1_q, valid_2_q, valid_q;
  logic [RowBits+1:0] addr_q, addr_1_q, addr_2_q;

  assign rd_advance_o = !valid_q || ready_i;
  assign rd_valid_o   = running_q;
  assign rd_addr_o    = addr_q;
  assign valid_o      = valid_q;

  always_ff @(posedge clk_i) begin
    if (rd_advance_o) begin
      addr_1_q <= addr_q;
      addr_2_q <= addr_1_q;
      if (valid_2_q) begin
        acc_o <= {rd_data_i, acc_o[3:1]};
        row_o <= addr_2_q[RowBits+1:2];
      end
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      running_q <= 1'b0;
      addr_q    <= '0;
      valid_1_q <= 1'b0;
      valid_2_q <= 1'b0;
      valid_q   <= 1'b0;
    end else begin
      if (start_i) begin
        running_q <= 1'b1;
        addr_q    <= '0;
      end else if (running_q && rd_advance_o) begin
        addr_q    <= addr_q + 1'b1;
        running_q <= addr_q != {LastRow, 2'd3};
      end
      if (rd_advance_o) begin
        valid_1_q <= running_q;
        valid_2_q <= valid_1_q;
        valid_q   <= valid_2_q && addr_2_q[1:0] == 2'd3;
      end
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(start_i && (running_q || valid_1_q || valid_2_q))) else $error("egru_row_reader: started during a pass");
    end
  end
`endif
endmodule
