// The rounding rule in hardware: y_o = sat(rescale(x_i)), docs/semantics.md section 2.
//
// Drops `Shift` fraction bits, rounding half up (ties towards plus infinity), or adds -`Shift` of them when `Shift` is negative; then saturates to
// a signed number of `OutBits`. Combinational. No other module rounds.
module egru_rescale #(
  parameter int unsigned InBits = 16,
  parameter int unsigned OutBits = 8,
  parameter int Shift = 4
) (
  input  logic signed [InBits-1:0]  x_i,
  output logic signed [OutBits-1:0] y_o
);
  // One bit more than the input: rounding up may carry.
  localparam int unsigned WideBits = (Shift >= 0) ? InBits + 1 : InBits + 32'(-Shift);

  logic signed [WideBits-1:0] scaled;

  if (Shift > 0) begin : gen_round
    // floor((x + half) / 2^Shift) is floor(x / 2^Shift) plus the first bit dropped: an adder shorter by Shift bits.
    localparam int unsigned LongBits = ((32'(Shift) > InBits) ? 32'(Shift) : InBits) + 1;
    logic signed [LongBits-1:0] long_x;
    logic signed [WideBits-1:0] floor_x, dropped;
    assign long_x  = LongBits'(x_i);
    assign floor_x = WideBits'(long_x >>> Shift);
    assign dropped = WideBits'($signed({1'b0, long_x[Shift-1]}));
    assign scaled  = floor_x + dropped;
  end else begin : gen_widen
    assign scaled = WideBits'(x_i) <<< -Shift;
  end

  if (WideBits > OutBits) begin : gen_saturate
    logic overflow;
    assign overflow = scaled[WideBits-1:OutBits-1] != {(WideBits - OutBits + 1){scaled[WideBits-1]}};
    assign y_o = overflow ? {scaled[WideBits-1], {(OutBits - 1){!scaled[WideBits-1]}}} : scaled[OutBits-1:0];
  end else begin : gen_extend
    assign y_o = OutBits'(scaled);
  end
endmodule
