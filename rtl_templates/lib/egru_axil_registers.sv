// AXI4-Lite register file of the accelerator. 32-bit registers, byte addresses; an access uses the word that holds its address.
//
//   0x000  ID          r    0x45475255, "EGRU"
//   0x004  VERSION     r    major << 16 | minor << 8 | patch
//   0x010  MODEL_HASH  r    256 bits, least significant word first, up to 0x02C; memory number 0. With Weights = 3: 0 until that has been loaded
//   0x030  CONTROL     rw   bit 0: soft reset of the core, a pulse (reads 0); bit 1: interrupt enable; bit 2: clear all counters, a pulse (reads 0)
//   0x034  STATUS      r    bit 0: busy: tokens are under way, or lanes walk events of the last step for one to come
//   0x038  ERRORS      r/w1c  sticky; bit 0: token out of range; bit 1: access to an unmapped address; bit 2: refused load
//   0x040  CYCLES      r    64 bits: cycles in which the core was busy; counts in CounterBits, as those below do, and begins anew after its last value
//   0x048  STEPS       r    64 bits: time steps finished; likewise
//   0x050  LAYERS      r    blocks of counters below: layers and the decoder
//   0x054  LANES       r    lanes of all layers and the decoder together
//   0x058  IRQ_STATUS  r/w1c  sticky; bit 0: a sequence has ended. irq_o = IRQ_STATUS[0] and CONTROL[1]
//   0x05C  TOKENS      r    number of tokens
//   0x060  CLASSES     r    logits per token
//   0x064  LOAD_ADDRESS rw  with Weights = 2 or 3: {memory number[31:20], parts of a word less 1[19:16], word[15:0]}: where LOAD_DATA begins
//   0x068  LOAD_DATA   w    with Weights = 2 or 3: the next 32 bits of the word, lowest first; after its last part the next word follows. Reads 0
//   0x100 + 0x80*i + 8*k  r  counter k of block i, 64 bits, zero-extended (the layers in their order, then the decoder)
//
// Of a 64-bit value, reading the low word takes a copy of the high word, which is what the high word's address returns: the pair is
// consistent when low and high are read in this order, with no other low word between.
// Every other address answers SLVERR, reads 0 and sets ERRORS[1]; counters k >= CountersPerBlock are unmapped. Writes to a read-only
// register are accepted and change nothing. Byte strobes are honoured: a byte that is not strobed keeps its value, clears nothing and
// starts nothing. If a sticky bit is set and cleared in the same cycle, it stays set.
// A load (a write of LOAD_ADDRESS or LOAD_DATA) while STATUS is busy, or without all four strobes, does nothing, answers SLVERR and sets ERRORS[2].
// One access of each kind at a time; a write waits for both its address and its data.
//
// A read answers 4 cycles after its address is taken. The low word of a counter (any even word from 0x100 on, mapped or not) answers after
// 18: its block and number are held on `counter_block_o` and `counter_index_o`, and `counter_data_i` must be that counter from the 17th
// cycle on in which they are held, see egru_layer_counters.
module egru_axil_registers #(
  parameter int unsigned  Blocks = 2,
  parameter int unsigned  CountersPerBlock = 9,
  parameter int unsigned  CounterBits = 40,
  parameter int unsigned  Lanes = 4,
  parameter logic [31:0]  Version = 32'h0000_0100,
  parameter int unsigned  Tokens = 16,
  parameter int unsigned  Classes = 16,
  parameter               HashFile = "",  // 8 words of 32 bits, see egru_rom
  parameter int unsigned  Weights = 0,    // see egru_rom
  localparam int unsigned BlockBits = (Blocks > 1) ? $clog2(Blocks) : 1
) (
  input  logic        clk_i,
  input  logic        rst_ni,

  input  logic [11:0] s_axil_awaddr,
  input  logic [2:0]  s_axil_awprot,
  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [31:0] s_axil_wdata,
  input  logic [3:0]  s_axil_wstrb,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  output logic [1:0]  s_axil_bresp,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  input  logic [11:0] s_axil_araddr,
  input  logic [2:0]  s_axil_arprot,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  output logic [31:0] s_axil_rdata,
  output logic [1:0]  s_axil_rresp,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,

  input  logic        busy_i,
  input  logic        step_i,          // pulse: a time step is finished
  input  logic        sequence_end_i,  // pulse: the last step of a sequence is finished
  input  logic        token_error_i,   // pulse: a token was out of range
  output logic [BlockBits-1:0]   counter_block_o,
  output logic [3:0]             counter_index_o,
  input  logic [CounterBits-1:0] counter_data_i,
  output logic        soft_reset_o,    // pulse
  output logic        counters_clear_o,  // pulse, for the counters that are kept elsewhere
  output logic [61:0] load_o,          // see egru_load_port
  output logic        irq_o
);
  localparam logic [31:0] Id = 32'h4547_5255;
  localparam logic [1:0]  Okay = 2'b00;
  localparam logic [1:0]  SlaveError = 2'b10;
  localparam logic [4:0]  CounterWait = 5'd16;  // cycles before counter_data_i follows the selection
  localparam logic [4:0]  PlainWait = 5'd2;  // before a word of the hash has come out of its memory

  // word addresses
  localparam logic [9:0] WordId       = 10'h000;
  localparam logic [9:0] WordVersion  = 10'h001;
  localparam logic [9:0] WordHash     = 10'h004;  // the first of 8
  localparam logic [9:0] WordControl  = 10'h00C;
  localparam logic [9:0] WordStatus   = 10'h00D;
  localparam logic [9:0] WordErrors   = 10'h00E;
  localparam logic [9:0] WordCyclesLo = 10'h010;
  localparam logic [9:0] WordCyclesHi = 10'h011;
  localparam logic [9:0] WordStepsLo  = 10'h012;
  localparam logic [9:0] WordStepsHi  = 10'h013;
  localparam logic [9:0] WordLayers   = 10'h014;
  localparam logic [9:0] WordLanes    = 10'h015;
  localparam logic [9:0] WordIrq      = 10'h016;
  localparam logic [9:0] WordTokens   = 10'h017;
  localparam logic [9:0] WordClasses  = 10'h018;
  localparam logic [9:0] WordLoadAddress = 10'h019;
  localparam logic [9:0] WordLoadData = 10'h01A;
  localparam logic [9:0] WordLast     = (Weights >= 2) ? WordLoadData : WordClasses;

  // Words 2, 3 and 15 below the counters are holes.
  function automatic logic is_mapped(input logic [9:0] word);
    is_mapped = (word[9:6] == '0) ? (word <= WordLast && word != 10'd2 && word != 10'd3 && word != 10'd15)
                                  : (32'(word[9:5]) < Blocks + 2 && 32'(word[4:1]) < CountersPerBlock);
  endfunction

  // ---- writes ---------------------------------------------------------------------------------------------------------------------------
  logic       write, write_mapped, write_control, load_refused, bvalid_q;
  logic [9:0] write_word;
  logic [1:0] bresp_q;

  assign write          = s_axil_awvalid && s_axil_wvalid && !bvalid_q;
  assign s_axil_awready = write;
  assign s_axil_wready  = write;
  assign s_axil_bvalid  = bvalid_q;
  assign s_axil_bresp   = bresp_q;
  assign write_word     = s_axil_awaddr[11:2];
  assign write_mapped   = is_mapped(write_word);
  // Every writable bit but those of the loads lives in the lowest byte.
  assign write_control  = write && s_axil_wstrb[0] && write_word == WordControl;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      bvalid_q <= 1'b0;
      bresp_q  <= Okay;
    end else if (write) begin
      bvalid_q <= 1'b1;
      bresp_q  <= (write_mapped && !load_refused) ? Okay : SlaveError;
    end else if (s_axil_bready) begin
      bvalid_q <= 1'b0;
    end
  end

  // ---- loading --------------------------------------------------------------------------------------------------------------------------
  logic [31:0] load_address;  // as it is read
  if (Weights >= 2) begin : gen_load
    logic        load, accepted, last;
    logic [11:0] memory_q;
    logic [3:0]  last_part_q, part_q;
    logic [15:0] word_q;

    assign load         = write && (write_word == WordLoadAddress || write_word == WordLoadData);
    assign accepted     = load && !busy_i && s_axil_wstrb == '1;
    assign load_refused = load && !accepted;
    assign last         = part_q == last_part_q;
    assign load_address = {memory_q, last_part_q, word_q};
    assign load_o       = {accepted && write_word == WordLoadData, last, memory_q, word_q, s_axil_wdata};
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        memory_q    <= '0;
        last_part_q <= '0;
        part_q      <= '0;
        word_q      <= '0;
      end else if (accepted && write_word == WordLoadAddress) begin
        {memory_q, last_part_q, word_q} <= s_axil_wdata;
        part_q <= '0;
      end else if (accepted) begin
        part_q <= last ? '0 : part_q + 4'd1;
        word_q <= word_q + 16'(last);
      end
    end
  end else begin : gen_no_load
    assign load_refused = 1'b0;
    assign load_address = '0;
    assign load_o       = '0;
  end

  // ---- control, sticky bits -------------------------------------------------------------------------------------------------------------
  logic       read, read_mapped;
  logic       soft_reset_q, clear_q, irq_enable_q, irq_status_q;
  logic [2:0] errors_q, errors_clear;
  logic       irq_clear;

  assign errors_clear = (write && s_axil_wstrb[0] && write_word == WordErrors) ? s_axil_wdata[2:0] : '0;
  assign irq_clear    = write && s_axil_wstrb[0] && write_word == WordIrq && s_axil_wdata[0];

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      soft_reset_q <= 1'b0;
      clear_q      <= 1'b0;
      irq_enable_q <= 1'b0;
      irq_status_q <= 1'b0;
      errors_q     <= '0;
    end else begin
      soft_reset_q <= write_control && s_axil_wdata[0];
      clear_q      <= write_control && s_axil_wdata[2];
      if (write_control) irq_enable_q <= s_axil_wdata[1];
      irq_status_q <= sequence_end_i || (irq_status_q && !irq_clear);
      errors_q[0]  <= token_error_i || (errors_q[0] && !errors_clear[0]);
      errors_q[1]  <= (write && !write_mapped) || (read && !read_mapped) || (errors_q[1] && !errors_clear[1]);
      errors_q[2]  <= load_refused || (errors_q[2] && !errors_clear[2]);
    end
  end

  assign soft_reset_o     = soft_reset_q;
  assign counters_clear_o = clear_q;
  assign irq_o            = irq_status_q && irq_enable_q;

  // ---- counters kept here ---------------------------------------------------------------------------------------------------------------
  logic [CounterBits-1:0] cycles_q, steps_q;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      cycles_q <= '0;
      steps_q  <= '0;
    end else if (clear_q) begin
      cycles_q <= '0;
      steps_q  <= '0;
    end else begin
      cycles_q <= cycles_q + CounterBits'(busy_i);
      steps_q  <= steps_q + CounterBits'(step_i);
    end
  end

  // ---- reads: the address is registered first, so the multiplexer has a cycle of its own, and selects a counter ------------------------
  logic        read_pending_q, rvalid_q, low_word;
  logic [4:0]  wait_q;
  logic [9:0]  read_word_q;
  logic [1:0]  rresp_q;
  logic [31:0] rdata_q, high_q, plain, hash_word;
  logic [60:0] hash_load;
  logic [63:0] wide;

  assign s_axil_arready  = !read_pending_q && !rvalid_q;
  assign s_axil_rvalid   = rvalid_q;
  assign s_axil_rdata    = rdata_q;
  assign s_axil_rresp    = rresp_q;
  assign read            = read_pending_q && !rvalid_q && wait_q == '0;
  assign read_mapped     = is_mapped(read_word_q);
  assign counter_block_o = BlockBits'(read_word_q[9:5] - 5'd2);
  assign counter_index_o = read_word_q[4:1];

  always_comb begin
    wide = 64'(counter_data_i);
    if (read_word_q == WordCyclesLo) wide = 64'(cycles_q);
    if (read_word_q == WordStepsLo)  wide = 64'(steps_q);
  end

  // With Weights = 3 the model is known, but single-port RAMs are empty at first: the hash stays out of sight until they have been loaded, and memory 0 last.
  localparam int unsigned HashWeights = (Weights == 3) ? 0 : Weights;
  logic hash_stands;
  if (Weights == 3) begin : gen_unloaded
    logic loaded_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni)         loaded_q <= 1'b0;
      else if (load_o[61]) loaded_q <= load_o[59:48] == '0;
    end
    assign hash_stands = loaded_q;
  end else begin : gen_stands
    assign hash_stands = 1'b1;
  end
  egru_load_port #(.Weights(HashWeights)) u_load (.clk_i, .rst_ni, .bus_i(load_o), .load_o(hash_load));
  egru_rom #(.Width(32), .Depth(8), .InitFile(HashFile), .Weights(HashWeights)) u_hash (
    .clk_i, .addr_i({read_word_q[3], read_word_q[1:0]}), .data_o(hash_word), .load_i(hash_load)
  );

  always_comb begin
    plain    = '0;
    low_word = 1'b0;
    case (read_word_q)
      WordId:      plain = Id;
      WordVersion: plain = Version;
      WordControl: plain = {30'd0, irq_enable_q, 1'b0};
      WordStatus:  plain = {31'd0, busy_i};
      WordErrors:  plain = {29'd0, errors_q};
      WordLayers:  plain = Blocks;
      WordLanes:   plain = Lanes;
      WordIrq:     plain = {31'd0, irq_status_q};
      WordTokens:  plain = Tokens;
      WordClasses: plain = Classes;
      WordLoadAddress: plain = load_address;
      WordCyclesHi, WordStepsHi: plain = high_q;
      WordCyclesLo, WordStepsLo: low_word = 1'b1;
      default: begin
        if (read_word_q >= WordHash && read_word_q < WordControl && hash_stands) plain = hash_word;
        if (read_word_q[9:6] != '0) begin
          low_word = !read_word_q[0];
          if (read_word_q[0]) plain = high_q;
        end
      end
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      read_pending_q <= 1'b0;
      wait_q         <= '0;
      read_word_q    <= '0;
      rvalid_q       <= 1'b0;
      rresp_q        <= Okay;
      rdata_q        <= '0;
      high_q         <= '0;
    end else begin
      if (s_axil_arvalid && s_axil_arready) begin
        read_pending_q <= 1'b1;
        wait_q         <= (s_axil_araddr[11:8] != '0 && !s_axil_araddr[2]) ? CounterWait : PlainWait;
        read_word_q    <= s_axil_araddr[11:2];
      end else if (wait_q != '0) begin
        wait_q <= wait_q - 5'd1;
      end
      if (read) begin
        read_pending_q <= 1'b0;
        rvalid_q       <= 1'b1;
        rresp_q        <= read_mapped ? Okay : SlaveError;
        rdata_q        <= !read_mapped ? '0 : low_word ? wide[31:0] : plain;
        if (read_mapped && low_word) high_q <= wide[63:32];
      end else if (s_axil_rready) begin
        rvalid_q <= 1'b0;
      end
    end
  end

  // Protection bits and the byte within a word carry nothing here; without loading the upper bytes hold no writable bit.
  logic unused;
  assign unused = ^{s_axil_awprot, s_axil_arprot, s_axil_awaddr[1:0], s_axil_araddr[1:0], s_axil_wdata[31:3], s_axil_wstrb[3:1]};

`ifndef SYNTHESIS
  localparam int unsigned MaxBlocks = 30;  // 0x100 + 0x80 * 30 = 0x1000
  localparam int unsigned MaxCounters = 16;
  initial begin
    if (Blocks < 1 || Blocks > MaxBlocks) $fatal(1, "egru_axil_registers: Blocks=%0d must be 1 to %0d", Blocks, MaxBlocks);
    if (CountersPerBlock < 1 || CountersPerBlock > MaxCounters) begin
      $fatal(1, "egru_axil_registers: CountersPerBlock=%0d must be 1 to %0d", CountersPerBlock, MaxCounters);
    end
    if (CounterBits < 1 || CounterBits > 64) $fatal(1, "egru_axil_registers: CounterBits=%0d must be 1 to 64", CounterBits);
  end

  // The far side keeps an offer until it is taken.
  logic        awvalid_q, arvalid_q;
  logic [11:0] awaddr_q, araddr_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      awvalid_q <= 1'b0;
      arvalid_q <= 1'b0;
      awaddr_q  <= '0;
      araddr_q  <= '0;
    end else begin
      awvalid_q <= s_axil_awvalid && !s_axil_awready;
      arvalid_q <= s_axil_arvalid && !s_axil_arready;
      awaddr_q  <= s_axil_awaddr;
      araddr_q  <= s_axil_araddr;
      assert (!awvalid_q || (s_axil_awvalid && s_axil_awaddr == awaddr_q)) else $error("egru_axil_registers: AW changed while it waited");
      assert (!arvalid_q || (s_axil_arvalid && s_axil_araddr == araddr_q)) else $error("egru_axil_registers: AR changed while it waited");
    end
  end
`endif
endmodule
