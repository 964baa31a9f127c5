// Read-only memory with an output register: `data_o` is `mem[addr_i]` of two clock edges ago.
//
// The second register stands outside the block RAM and hides its long clock-to-output time. Nothing may stand between the two, so a memory deeper than a block RAM is
// wide is cut into slices of bits, each one block RAM deep, rather than into banks of words with a multiplexer behind them.
//
// Contents come from `InitFile`.mem, hexadecimal, one word a line; those of slice s, when there are several, from `InitFile`_ss.mem, ss in hexadecimal
// (hls_gen.memory_image writes them; the rule for the width of a slice stands in both places).
module egru_rom #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16,
  parameter InitFile = "",  // untyped: a `string` parameter is not synthesisable in yosys
  localparam int unsigned AddrBits = (Depth > 1) ? $clog2(Depth) : 1
) (
  input  logic                clk_i,
  input  logic [AddrBits-1:0] addr_i,
  output logic [Width-1:0]    data_o
);
  // The widths that an 18-kbit block RAM has at these depths.
  localparam int unsigned SliceBits = (Depth <= 1024) ? Width : (Depth <= 2048) ? 9 : (Depth <= 4096) ? 4 : (Depth <= 8192) ? 2 : 1;
  localparam int unsigned Slices    = (Width + SliceBits - 1) / SliceBits;

  logic [Width-1:0] read_q;

  for (genvar s = 0; s < Slices; s++) begin : gen_slices
    localparam int unsigned Bits = (s == Slices - 1) ? Width - s * SliceBits : SliceBits;
    localparam logic [7:0]  High = 8'((s / 16 < 10) ? 48 + s / 16 : 87 + s / 16);  // ASCII
    localparam logic [7:0]  Low  = 8'((s % 16 < 10) ? 48 + s % 16 : 87 + s % 16);
    // Left alone, synthesis builds pointer memories from hundreds of LUTs.
    (* rom_style = (Depth > 32) ? "block" : "auto" *) logic [Bits-1:0] mem [Depth];
    if (Slices == 1) begin : gen_whole
      initial if (InitFile != "") $readmemh({InitFile, ".mem"}, mem);
    end else begin : gen_part
      initial if (InitFile != "") $readmemh({InitFile, "_", High, Low, ".mem"}, mem);
    end
    always_ff @(posedge clk_i) read_q[s*SliceBits +: Bits] <= mem[addr_i];
  end

  always_ff @(posedge clk_i) data_o <= read_q;

`ifndef SYNTHESIS
  initial if (Slices > 256) $fatal(1, "egru_rom: %0d slices exceed the file names", Slices);
`endif
endmodule
