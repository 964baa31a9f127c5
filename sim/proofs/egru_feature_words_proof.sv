// egru_feature_words makes one item of each word of a feature stream, drops those of no channel, and says which words are wrong.
//
// Words stand until they are taken.
module egru_feature_words_proof #(
  parameter int unsigned Channels = 5,
  parameter int unsigned IndexBits = 3,
  parameter int unsigned EventBits = 4
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic        valid_i,
  input logic        last_i,
  input logic [15:0] word_i,
  input logic        ready_i
);
  initial assume (!rst_ni);  // and at any time later

  logic                 ready, valid, is_end, last, begun, error;
  logic [IndexBits-1:0] index;
  logic [EventBits-1:0] value;
  egru_feature_words #(.Channels(Channels), .IndexBits(IndexBits), .EventBits(EventBits)) u_dut (
    .clk_i, .rst_ni, .valid_i, .ready_o(ready), .last_i, .word_i, .valid_o(valid), .ready_i,
    .end_o(is_end), .last_o(last), .index_o(index), .value_o(value), .begun_o(begun), .error_o(error)
  );

  wire [15:0] word_index = word_i >> EventBits;
  wire [15:0] word_value = word_i - (word_index << EventBits);
  wire        no_channel = word_value != '0 && 32'(word_index) >= Channels;
  wire        wrong      = (word_value == '0) ? word_index != '0 : 32'(word_index) >= Channels || last_i;

  logic                           waiting_q, stalled_q, under_way_q;
  logic [16:0]                    word_q;
  logic [IndexBits+EventBits+1:0] item_q;
  always_ff @(posedge clk_i) begin
    word_q <= {last_i, word_i};
    item_q <= {is_end, last, index, value};
    if (!rst_ni) begin
      {waiting_q, stalled_q, under_way_q} <= '0;
    end else begin
      waiting_q <= valid_i && !ready;
      stalled_q <= valid && !ready_i;
      if (valid_i && ready) under_way_q <= word_value != '0;
    end
  end

  always_comb begin
    assume (!waiting_q || (valid_i && {last_i, word_i} == word_q));
    if (rst_ni) begin
      event_of_its_word:    assert (!valid || word_value == '0 || (!is_end && !last && 16'(index) == word_index && 16'(value) == word_value));
      end_of_its_word:      assert (!valid || word_value != '0 || (is_end && last == last_i && index == '0 && value == '0));
      item_or_dropped:      assert (valid == (valid_i && !no_channel));
      once:                 assert (!valid_i || ready == (no_channel || (valid && ready_i)));
      stable_payload:       assert (!stalled_q || (valid && {is_end, last, index, value} == item_q));
      wrong_words_are_said: assert (error == (valid_i && ready && wrong));
      step_under_way:       assert (begun == under_way_q);
    end
  end
endmodule
