// Functional coverage of egru_rescale, which has no clock.
module egru_rescale_coverage #(
  parameter int unsigned WideBits = 17,
  parameter int unsigned OutBits = 8
) (
  input logic signed [WideBits-1:0] scaled,
  input logic tie,
  input logic negative
);
  localparam longint Largest = (64'sd1 <<< (OutBits - 1)) - 64'sd1;

  always_comb begin
    saturates_above:   cover (64'(scaled) > Largest);
    saturates_below:   cover (64'(scaled) < -Largest - 64'sd1);
    largest_unchanged: cover (64'(scaled) == Largest);
    least_unchanged:   cover (64'(scaled) == -Largest - 64'sd1);
    positive_tie:      cover (tie && !negative);
    negative_tie:      cover (tie && negative);
  end
endmodule

bind egru_rescale egru_rescale_coverage #(.WideBits(WideBits), .OutBits(OutBits)) u_coverage (
  .scaled, .tie(Shift > 0 && (x_i << (32'(InBits) - Shift)) == {1'b1, {(InBits - 1){1'b0}}}), .negative(x_i[InBits-1])
);
