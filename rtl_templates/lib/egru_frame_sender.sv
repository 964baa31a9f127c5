// Sends a reply (docs/host_link.md): sync, header, sequence number, length, the payload out of a buffer, CRC.
//
// `start_i` begins; `kind_i`, `sequence_i` and `length_i` must stand until `done_o`, a pulse when the last byte has been taken. The payload
// is read at a cursor: `clear_o` sets it to 0, `next_o` moves it on, `count_i` says where it stands, and `data_i` is the byte there a few
// cycles after it was moved (a byte is sent at least 9 cycles after the one before). An egru_crc32 outside takes `byte_o` at `crc_valid_o`; sender and receiver share it.
module egru_frame_sender (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       start_i,
  input  logic [3:0] kind_i,
  input  logic [7:0] sequence_i,
  input  logic [7:0] length_i,
  output logic       done_o,
  output logic       clear_o,
  output logic       next_o,
  input  logic [7:0] count_i,
  input  logic [7:0] data_i,
  output logic       crc_clear_o,
  output logic       crc_valid_o,
  output logic       crc_drop_o,
  input  logic       crc_busy_i,
  input  logic [7:0] crc_byte_i,
  output logic       valid_o,
  input  logic       ready_i,
  output logic [7:0] byte_o
);
  localparam logic [7:0] Sync    = 8'h5E;
  localparam logic [3:0] Version = 4'd1;

  typedef enum logic [2:0] {StIdle, StSync, StHeader, StSequence, StLength, StPayload, StCrc} state_e;

  state_e     state_q, state_d;
  logic [1:0] crc_index_q;
  logic       taken, payload_over;

  assign payload_over = count_i == length_i;
  assign taken        = valid_o && ready_i;
  // A byte is divided long before the line asks for the next one; waiting also gives the buffer its time.
  assign valid_o      = state_q != StIdle && !crc_busy_i && !(state_q == StPayload && payload_over);
  assign clear_o      = start_i;
  assign next_o       = taken && state_q == StPayload;
  assign done_o       = taken && state_q == StCrc && crc_index_q == '1;

  assign crc_clear_o = start_i;
  assign crc_valid_o = taken && state_q != StSync;
  assign crc_drop_o  = state_q == StCrc;

  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle:     if (start_i) state_d = StSync;
      StSync:     if (taken) state_d = StHeader;
      StHeader:   if (taken) state_d = StSequence;
      StSequence: if (taken) state_d = StLength;
      StLength:   if (taken) state_d = StPayload;
      StPayload:  if (payload_over && !crc_busy_i) state_d = StCrc;
      StCrc:      if (done_o) state_d = StIdle;
      default:    state_d = StIdle;
    endcase
  end

  always_comb begin
    case (state_q)
      StHeader:   byte_o = {Version, kind_i};
      StSequence: byte_o = sequence_i;
      StLength:   byte_o = length_i;
      StPayload:  byte_o = data_i;
      StCrc:      byte_o = crc_byte_i;
      default:    byte_o = Sync;
    endcase
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q     <= StIdle;
      crc_index_q <= '0;
    end else begin
      state_q <= state_d;
      if (taken && state_q == StCrc) crc_index_q <= crc_index_q + 1'b1;
    end
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(start_i && state_q != StIdle)) else $error("egru_frame_sender: a reply while one is being sent");
    end
  end
`endif
endmodule
