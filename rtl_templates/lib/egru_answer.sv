// Reduces the logits of a step to its answer: the class with the largest logit, of several the lowest class, and that logit.
//
// A step has `Classes` words in class order. While `active_i` is high one word is taken every second cycle at most, and none from the last
// word of a step until its answer has been taken (`valid_o` and `ready_i`). While `active_i` is low words are taken and thrown away, and
// the next active word is class 0 again: words of a step that was given up cannot shift the answers of a later one.
// With `LogitStore` the logits of the last active step are kept: `stored_o` is that of class `stored_class_i` of the cycle before.
module egru_answer #(
  parameter int unsigned Classes = 32,
  parameter bit          LogitStore = 1'b1,
  localparam int unsigned ClassBits = (Classes > 1) ? $clog2(Classes) : 1
) (
  input  logic                 clk_i,
  input  logic                 rst_ni,
  input  logic                 active_i,
  input  logic [31:0]          s_axis_tdata,
  input  logic                 s_axis_tvalid,
  output logic                 s_axis_tready,
  input  logic                 s_axis_tlast,
  output logic                 valid_o,
  input  logic                 ready_i,
  output logic [ClassBits-1:0] class_o,
  output logic [31:0]          logit_o,
  input  logic [ClassBits-1:0] stored_class_i,
  output logic [31:0]          stored_o
);
  logic [31:0]          word_q, best_q;  // the comparison has a cycle of its own
  logic [ClassBits-1:0] class_q, best_class_q;
  logic                 word_valid_q, valid_q, last_class, larger;

  assign s_axis_tready = !active_i || !(word_valid_q || valid_q);
  assign last_class    = class_q == ClassBits'(Classes - 1);
  assign larger        = class_q == '0 || $signed(word_q) > $signed(best_q);
  assign valid_o       = valid_q;
  assign class_o       = best_class_q;
  assign logit_o       = best_q;

  always_ff @(posedge clk_i) begin
    if (s_axis_tready) word_q <= s_axis_tdata;
    if (word_valid_q && larger) begin
      best_q       <= word_q;
      best_class_q <= class_q;
    end
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      word_valid_q <= 1'b0;
      valid_q      <= 1'b0;
      class_q      <= '0;
    end else if (!active_i) begin
      word_valid_q <= 1'b0;
      valid_q      <= 1'b0;
      class_q      <= '0;
    end else begin
      word_valid_q <= s_axis_tvalid && s_axis_tready;
      valid_q      <= (word_valid_q && last_class) || (valid_q && !ready_i);
      if (word_valid_q) class_q <= last_class ? '0 : class_q + 1'b1;
    end
  end

  if (LogitStore) begin : gen_store
    // Nobody reads while a step is active.
    (* no_rw_check, ram_style = (Classes > 32) ? "block" : "auto" *) logic [31:0] mem [Classes];
    always_ff @(posedge clk_i) begin
      if (word_valid_q) mem[class_q] <= word_q;
      stored_o <= mem[stored_class_i];
    end
  end else begin : gen_no_store
    logic [ClassBits-1:0] class_unused;
    assign class_unused = stored_class_i;
    assign stored_o     = '0;
  end

`ifndef SYNTHESIS
  // The class of the word that is offered: a word is taken only when none is on its way to the comparison.
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (rst_ni) begin
      assert (!(active_i && s_axis_tvalid && s_axis_tready && s_axis_tlast && !last_class))
        else $error("egru_answer: the end of a sequence at class %0d of %0d", class_q, Classes);
    end
  end
`endif
endmodule
