// Words of a feature stream become the events and end items that a block takes (docs/semantics.md, section 5).
//
// A word is {index, value}. A value of 0 ends a time step, and with `last_i` the sequence; any other is an event of channel `index`. `error_o`, in the
// cycle in which the word is taken: an index that is no channel, an end with an index, an event with `last_i`. Such an event is dropped or loses
// its `last_i`; such an end is one all the same.
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
  output logic                 begun_o,  // events of a step have been taken, and not its end
  output logic                 error_o
);
  logic [15-EventBits:0] index;
  logic                  in_range, taken;

  assign {index, value_o} = word_i;
  assign in_range = 32'(index) < Channels;
  assign end_o    = value_o == '0;
  assign last_o   = last_i && end_o;
  assign index_o  = end_o ? '0 : IndexBits'(index);
  assign valid_o  = valid_i && (end_o || in_range);
  assign ready_o  = ready_i || !(end_o || in_range);
  assign taken    = valid_i && ready_o;
  assign error_o  = taken && (end_o ? index != '0 : !in_range || last_i);

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)    begun_o <= 1'b0;
    else if (taken) begun_o <= !end_o;
  end

`ifndef SYNTHESIS
  initial begin
    if (Channels < 1 || Channels > 1 << IndexBits) $fatal(1, "egru_feature_words: Channels=%0d must be 1 to 2**IndexBits=%0d", Channels, 1 << IndexBits);
    if (IndexBits + EventBits > 15) $fatal(1, "egru_feature_words: IndexBits=%0d and EventBits=%0d must fit 15 bits", IndexBits, EventBits);
  end
`endif
endmodule
