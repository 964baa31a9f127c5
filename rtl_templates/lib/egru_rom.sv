// Memory with contents and an output register: `data_o` is `mem[addr_i]` of two clock edges ago.
//
// The second register stands outside the block RAM and hides its long clock-to-output time. Nothing may stand between the two, so a memory deeper than a block RAM is
// wide is cut into slices of bits, each one block RAM deep, rather than into banks of words with a multiplexer behind them.
//
// Contents come from `InitFile`.mem, hexadecimal, one word a line; those of slice s, when there are several, from `InitFile`_ss.mem, ss in hexadecimal
// (hls_gen.memory_image writes them; the rule for the width of a slice stands in both places).
//
// Weights says whether the contents may change in the finished design (docs/weights.md):
//   0  never: synthesis makes of a memory what it likes best, and drops what is constant
//   1  in the bitstream: the memory is in block RAM whatever its depth. It has no fewer words than a block RAM, so that each column of bits can be told from all others
//   2  over `load_i`, {write, memory, word, data} from egru_load_port: in block RAM too; word `word` of the memory whose number is `Memory` is written. What is read meanwhile has no
//      meaning; the host resets the core after loading.
//   3  over `load_i` as well, and nobody knows them before: the memory is in single-port RAM, which cannot start with contents (iCE40 UP5K: SPRAM)
module egru_rom #(
  parameter int unsigned Width = 8,
  parameter int unsigned Depth = 16,
  parameter InitFile = "",  // untyped: a `string` parameter is not synthesisable in yosys
  parameter int unsigned Weights = 0,
  parameter int unsigned Memory = 0,
  parameter int unsigned LoadBits = 32,
  localparam int unsigned AddrBits = (Depth > 1) ? $clog2(Depth) : 1
) (
  input  logic                 clk_i,
  input  logic [AddrBits-1:0]  addr_i,
  output logic [Width-1:0]     data_o,
  input  logic [28+LoadBits:0] load_i
);
  // The widths that an 18-kbit block RAM has at these depths.
  localparam int unsigned SliceBits = (Depth <= 1024 || Weights == 3) ? Width : (Depth <= 2048) ? 9 : (Depth <= 4096) ? 4 : (Depth <= 8192) ? 2 : 1;
  localparam int unsigned Slices    = (Width + SliceBits - 1) / SliceBits;
  localparam int unsigned Words     = (Weights == 1) ? (Depth + 255) / 256 * 256 : Depth;
  localparam int unsigned WordBits  = (Words > 1) ? $clog2(Words) : 1;

  logic [Width-1:0] read_q, load_data;
  logic             load_write;
  if (Weights >= 2) begin : gen_load
    localparam int unsigned WholeBits = (Width + 31) / 32 * 32;
    assign load_write = load_i[28+LoadBits] && load_i[16+LoadBits +: 12] == 12'(Memory);
    assign load_data  = Width'(load_i[LoadBits-1 -: WholeBits]);
  end else begin : gen_no_load
    assign load_write = 1'b0;
    assign load_data  = '0;
  end

  for (genvar s = 0; s < Slices; s++) begin : gen_slices
    localparam int unsigned Bits = (s == Slices - 1) ? Width - s * SliceBits : SliceBits;
    localparam logic [7:0]  High = 8'((s / 16 < 10) ? 48 + s / 16 : 87 + s / 16);  // ASCII
    localparam logic [7:0]  Low  = 8'((s % 16 < 10) ? 48 + s % 16 : 87 + s % 16);
    // Left alone, synthesis builds pointer memories from hundreds of LUTs. Some tools look at one name of the attribute, some at the other when the memory is written.
    (* rom_style = (Weights == 3) ? "huge" : (Weights != 0 || Depth > 32) ? "block" : "auto",
       ram_style = (Weights == 3) ? "huge" : (Weights != 0 || Depth > 32) ? "block" : "auto", no_rw_check *)
    logic [Bits-1:0] mem [Words];
    if (Weights == 3) begin : gen_empty
    end else if (Slices == 1) begin : gen_whole
      initial if (InitFile != "") $readmemh({InitFile, ".mem"}, mem);
    end else begin : gen_part
      initial if (InitFile != "") $readmemh({InitFile, "_", High, Low, ".mem"}, mem);
    end
    if (Weights == 3) begin : gen_single_port
      logic [WordBits-1:0] word;
      assign word = load_write ? load_i[LoadBits +: WordBits] : WordBits'(addr_i);
      always_ff @(posedge clk_i) begin
        if (load_write) mem[word] <= load_data[s*SliceBits +: Bits];
        else            read_q[s*SliceBits +: Bits] <= mem[word];
      end
    end else begin : gen_read
      always_ff @(posedge clk_i) read_q[s*SliceBits +: Bits] <= mem[WordBits'(addr_i)];
    end
    if (Weights == 2) begin : gen_write
      always_ff @(posedge clk_i) if (load_write) mem[load_i[LoadBits +: WordBits]] <= load_data[s*SliceBits +: Bits];
    end
  end

  always_ff @(posedge clk_i) data_o <= read_q;

  // Without loading the bus is not looked at; with it, only as much as the memory is wide and deep.
  logic load_unused;
  assign load_unused = ^{load_i, load_write, load_data};

`ifndef SYNTHESIS
  initial begin
    if (Slices > 256) $fatal(1, "egru_rom: %0d slices exceed the file names", Slices);
    if (Weights >= 2 && (LoadBits < Width || LoadBits % 32 != 0)) $fatal(1, "egru_rom: LoadBits=%0d must be a multiple of 32 and hold Width=%0d", LoadBits, Width);
    if (Weights >= 2 && Depth > 65536) $fatal(1, "egru_rom: Depth=%0d exceeds the 16 bits of the load bus", Depth);
    if (Weights >= 2 && Memory > 4095) $fatal(1, "egru_rom: Memory=%0d exceeds the 12 bits of the load bus", Memory);
  end
`endif
endmodule
