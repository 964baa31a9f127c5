// Functional coverage of egru_feature_words.
module egru_feature_words_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic valid,
  input logic ready,
  input logic ready_sink,
  input logic last,
  input logic ends,
  input logic index,
  input logic item,
  input logic begun
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  event_taken:           cover property (valid && ready && item && !ends && !last);
  end_of_a_step:         cover property (valid && ready && ends && !last && begun);
  end_of_a_silent_step:  cover property (valid && ready && ends && !last && !begun);
  end_of_a_sequence:     cover property (valid && ready && ends && last);
  no_such_channel:       cover property (valid && ready && !item);
  event_with_last:       cover property (valid && ready && item && !ends && last);
  end_with_an_index:     cover property (valid && ready && ends && index);
  item_stalled:          cover property (valid && !ready);
  dropped_while_stalled: cover property (valid && !item && !ready_sink);
  reset_in_a_step:       cover property (disable iff (1'b0) $past(begun) && $past(rst_ni) && !rst_ni);
endmodule

bind egru_feature_words egru_feature_words_coverage u_coverage (
  .clk_i, .rst_ni, .valid(valid_i), .ready(ready_o), .ready_sink(ready_i), .last(last_i), .ends(end_o), .index(index != '0), .item, .begun(begun_o)
);
