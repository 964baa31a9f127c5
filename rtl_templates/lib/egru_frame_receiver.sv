// Finds requests in the bytes of the host (docs/host_link.md): sync, header, sequence number, length, payload, CRC.
//
// The payload goes to a buffer as it comes: `clear_o` at the start, then `store_o` with `byte_i` for each byte; `count_i` is how many bytes it holds. When the CRC was right,
// `valid_o` pulses and header, sequence number and length stand until the next sync byte; when it was wrong, or a byte was lost within
// the frame (`lost_i`), `dropped_o` pulses and the search for a sync byte goes on with the next byte.
// An egru_crc32 outside takes `byte_i` at `crc_valid_o`; sender and receiver share it.
// While `listen_i` is low every byte is ignored and a frame that has begun is forgotten without a word.
module egru_frame_receiver (
  input  logic       clk_i,
  input  logic       rst_ni,
  input  logic       listen_i,
  input  logic       valid_i,    // a byte; the next one not within 10 cycles
  input  logic       lost_i,     // pulse: there was a byte, but it could not be read
  input  logic [7:0] byte_i,
  output logic       crc_clear_o,
  output logic       crc_valid_o,
  input  logic       crc_busy_i,
  input  logic       crc_good_i,
  output logic       clear_o,
  output logic       store_o,
  input  logic [7:0] count_i,
  output logic       valid_o,
  output logic       dropped_o,
  output logic [3:0] version_o,
  output logic [3:0] kind_o,
  output logic [7:0] sequence_o,
  output logic [7:0] length_o
);
  localparam logic [7:0] Sync = 8'hE5;

  typedef enum logic [2:0] {StSearch, StHeader, StSequence, StLength, StPayload, StCrc, StCheck} state_e;

  state_e     state_q, state_d;
  logic [1:0] crc_index_q;
  logic       found;

  assign found       = state_q == StSearch && valid_i && byte_i == Sync;
  assign clear_o     = found;
  assign store_o     = valid_i && state_q == StPayload;
  assign crc_clear_o = state_q == StSearch;
  assign crc_valid_o = valid_i && state_q != StSearch;

  always_comb begin
    state_d   = state_q;
    valid_o   = 1'b0;
    dropped_o = 1'b0;
    case (state_q)
      StSearch:   if (found) state_d = StHeader;
      StHeader:   if (valid_i) state_d = StSequence;
      StSequence: if (valid_i) state_d = StLength;
      StLength:   if (valid_i) state_d = StPayload;
      StPayload:  if (count_i == length_o) state_d = StCrc;
      StCrc:      if (valid_i && crc_index_q == '1) state_d = StCheck;
      StCheck: begin
        if (!crc_busy_i) begin
          valid_o   = crc_good_i;
          dropped_o = !crc_good_i;
          state_d   = StSearch;
        end
      end
      default: state_d = StSearch;
    endcase
    if (lost_i && state_q != StSearch) begin
      valid_o   = 1'b0;
      dropped_o = 1'b1;
      state_d   = StSearch;
    end
    if (!listen_i) begin
      valid_o   = 1'b0;
      dropped_o = 1'b0;
      state_d   = StSearch;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= StSearch;
    end else begin
      state_q <= state_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (found) crc_index_q <= '0;
    else if (valid_i && state_q == StCrc) crc_index_q <= crc_index_q + 1'b1;
    if (valid_i && state_q == StHeader) {version_o, kind_o} <= byte_i;
    if (valid_i && state_q == StSequence) sequence_o <= byte_i;
    if (valid_i && state_q == StLength) length_o <= byte_i;
  end

`ifndef SYNTHESIS
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(valid_i && lost_i)) else $error("egru_frame_receiver: a byte that is both there and lost");
      assert (!(valid_i && state_q == StCheck)) else $error("egru_frame_receiver: a byte while the CRC is still divided");
    end
  end
`endif
endmodule
