// Functional coverage of egru_load_port.
module egru_load_port_coverage (
  input logic clk_i,
  input logic rst_ni,
  input logic part,
  input logic last
);
  default clocking @(posedge clk_i);
  endclocking
  default disable iff (!rst_ni);

  logic parts_q;  // some of the word have come
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni)           parts_q <= 1'b0;
    else if (part || last) parts_q <= part;
  end

  word_of_one_part:      cover property (last && !parts_q);
  word_of_several_parts: cover property (last && parts_q);
endmodule

bind egru_load_port egru_load_port_coverage u_coverage (
  .clk_i, .rst_ni, .part(bus_i[61] && !bus_i[60]), .last(bus_i[61] && bus_i[60])
);
