// egru_load_port writes a word once, a cycle after its last part, with all its parts in place.
//
// Nothing is asked of the neighbours.
module egru_load_port_proof #(
  parameter int unsigned LoadBits = 96,
  localparam int unsigned Parts = LoadBits / 32
) (
  input logic        clk_i,
  input logic        rst_ni,
  input logic [61:0] bus_i
);
  initial assume (!rst_ni);  // and at any time later

  logic [28+LoadBits:0] load;
  egru_load_port #(.Weights(2), .LoadBits(LoadBits)) u_dut (.clk_i, .rst_ni, .bus_i, .load_o(load));

  logic        last_q;
  logic [27:0] place_q;
  logic [31:0] parts_q [Parts];
  logic [7:0]  seen_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      {last_q, seen_q} <= '0;
    end else begin
      last_q <= bus_i[61] && bus_i[60];
      if (bus_i[61]) begin
        place_q    <= bus_i[59:32];
        parts_q[0] <= bus_i[31:0];
        for (int unsigned i = 1; i < Parts; i++) parts_q[i] <= parts_q[i-1];
        if (32'(seen_q) < Parts) seen_q <= seen_q + 1'b1;
      end
    end
  end

  logic in_place;
  always_comb begin
    in_place = seen_q == '0 || load[27+LoadBits:LoadBits] == place_q;
    for (int unsigned i = 0; i < Parts; i++) begin
      if (i < 32'(seen_q)) in_place &= load[LoadBits-1-32*i -: 32] == parts_q[i];
    end
  end

  always_comb begin
    if (rst_ni) begin
      one_write_per_word: assert (load[28+LoadBits] == last_q);
      parts_in_place: assert (in_place);
      invariant_seen: assert (32'(seen_q) <= Parts);
    end
  end
endmodule
