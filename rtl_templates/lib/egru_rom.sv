// Read-only memory with an output register: `data_o` is `mem[addr_i]` of two clock edges ago.
//
// The second register stands outside the block RAM and hides its long clock-to-output time. Contents come from `InitFile` (hexadecimal, one word a line).
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
  // Left alone, synthesis builds pointer memories from hundreds of LUTs.
  (* rom_style = (Depth > 32) ? "block" : "auto" *) logic [Width-1:0] mem [Depth];
  logic [Width-1:0] read_q;

  initial if (InitFile != "") $readmemh(InitFile, mem);

  always_ff @(posedge clk_i) begin
    read_q <= mem[addr_i];
    data_o <= read_q;
  end
endmodule
