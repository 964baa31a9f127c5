// The one rounding mode of docs/semantics.md, round half up (towards plus infinity), and saturation; no other file rounds.
#ifndef EGRU_FIXED_POINT_HPP
#define EGRU_FIXED_POINT_HPP

namespace egru {

// floor(value * 2^-Shift + 1/2), so 0.5 becomes 1 and -0.5 becomes 0; a negative Shift is exact.
template <int Shift, class Integer>
Integer rescale(Integer value) {
  if constexpr (Shift > 0) {
    return Integer((value + (Integer(1) << (Shift - 1))) >> Shift);
  } else {
    return Integer(value * (Integer(1) << -Shift));
  }
}

// The nearest value of Bits bits, two's complement.
template <int Bits, class Integer>
int saturate(Integer value) {
  constexpr int high = (1 << (Bits - 1)) - 1;
  constexpr int low = -high - 1;
  return value > high ? high : value < low ? low : int(value);
}

}  // namespace egru

#endif
