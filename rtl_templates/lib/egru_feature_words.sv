// Words of a feature stream become the events and end items that a block takes.
//
// A word is {index, value}, the value in its low EventBits bits (docs/host_link.md, "Words of a feature stream"). A value of 0 ends a time step, and
// with `last_i` the sequence; any other is an event of channel `index`. Wrong is an event of no channel, which is dropped; an event with `last_i`,
// which loses it; an end with an index, which is an end all the same. `error_o` says so in the cycle in which the word is taken.
//
// An item is offered in the cycle of its word: nothing is held here.
module egru_feature_words #(
  parameter int unsigned Channels = 13,
  parameter int unsigned IndexBits = 4,
  parameter int unsigned EventBits = 8
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 valid_i,
  output logic                 ready_o,
  input  logic                 last_i,
  input  logic [15:0]          word_i,
  output logic                 valid_o,
  input  logic                 ready_i,
  output logic                 end_o,
  output logic                 last_o,
  output logic [IndexBits-1:0] index_o,
  output logic [EventBits-1:0] value_o,
  output logic                 begun_o,  // words of a step have been taken, and not its end
  output logic                 error_o
);
  logic [15-EventBits:0] index;
  logic                  item, taken;

  assign {index, value_o} = word_i;
  assign end_o   = value_o == '0;
  assign last_o  = last_i && end_o;
  assign index_o = end_o ? '0 : IndexBits'(index);
  assign item    = end_o || 32'(index) < Channels;
  assign valid_o = valid_i && item;
  assign ready_o = ready_i || !item;
  assign taken   = valid_i && ready_o;
  assign error_o = taken && (end_o ? index != '0 : last_i || !item);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)    begun_o <= 1'b0;
    else if (taken) begun_o <= !end_o;
  end

`ifndef SYNTHESIS
  initial begin
    if (Channels < 1 || Channels > 1 << IndexBits) begin
      $fatal(1, "egru_feature_words: Channels=%0d must be 1 to 2**IndexBits=%0d", Channels, 1 << IndexBits);
    end
    if (EventBits < 1 || IndexBits + EventBits > 15) begin
      $fatal(1, "egru_feature_words: IndexBits=%0d and EventBits=%0d must fit the 15 bits of a word", IndexBits, EventBits);
    end
  end
`endif
endmodule
