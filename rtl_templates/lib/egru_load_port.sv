// A block's end of the load bus: registers it once, and collects the parts of a word that is wider than the bus.
//
// `bus_i` is {valid, last, memory, word, data}: a part of 32 bits of word `word` of memory number `memory`, the lowest part first, `last` with the last one. `load_o` is
// {write, memory, word, data}, one cycle after the last part. A word of P parts stands in the upper 32 * P bits of `data`, so a narrow word needs no part before it; egru_rom takes it from there.
//
// Only with Weights = 2 or 3; otherwise the bus ends here and `load_o` is 0.
module egru_load_port #(
  parameter int unsigned Weights = 0,
  parameter int unsigned LoadBits = 32  // of the widest word, rounded up to whole parts
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic [61:0]          bus_i,
  output logic [28+LoadBits:0] load_o
);
  if (Weights >= 2) begin : gen_load
    logic                write_q;
    logic [27:0]         place_q;
    logic [LoadBits-1:0] data_q;

    always_ff @(posedge clk_i) begin
      if (bus_i[61]) begin
        place_q <= bus_i[59:32];
        data_q  <= LoadBits'({bus_i[31:0], data_q} >> 32);
      end
    end
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) write_q <= 1'b0;
      else         write_q <= bus_i[61] && bus_i[60];
    end
    assign load_o = {write_q, place_q, data_q};
  end else begin : gen_none
    logic unused;
    assign unused = ^{clk_i, rst_ni, bus_i};
    assign load_o = '0;
  end

`ifndef SYNTHESIS
  initial if (LoadBits % 32 != 0 || LoadBits == 0) $fatal(1, "egru_load_port: LoadBits=%0d must be a multiple of 32", LoadBits);
`endif
endmodule
