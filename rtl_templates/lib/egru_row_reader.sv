// Reads the finished sums of one lane, row by row, and offers each row's four sums as one record.
//
// `start_i` begins a pass over all rows; the pass is over when the last record is taken. Four cycles a row unless the record is not taken.
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

  logic                    running_q, valid_1_q, valid_2_q, valid_q, complete;
  logic [RowBits+1:0]      addr_q, addr_1_q, addr_2_q;
  logic [2:0][AccBits-1:0] collected_q;

  // The pipeline waits only when a finished row would overwrite one that has not been taken.
  assign complete     = valid_2_q && addr_2_q[1:0] == 2'd3;
  assign rd_advance_o = !(complete && valid_q && !ready_i);
  assign rd_valid_o   = running_q;
  assign rd_addr_o    = addr_q;
  assign valid_o      = valid_q;

  always_ff @(posedge clk_i) begin
    if (rd_advance_o) begin
      addr_1_q <= addr_q;
      addr_2_q <= addr_1_q;
      if (valid_2_q) collected_q <= {rd_data_i, collected_q[2:1]};
      if (complete) begin
        acc_o <= {rd_data_i, collected_q};
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
      end
      if (complete && rd_advance_o) valid_q <= 1'b1;
      else if (ready_i) valid_q <= 1'b0;
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
