// AXI4-Stream of the top function: data and TLAST.
#ifndef EGRU_AXIS_HPP
#define EGRU_AXIS_HPP

#include "items.hpp"
#include "pragmas.hpp"

#if !defined(__BAMBU__) && __has_include(<ap_axi_sdata.h>)
#define EGRU_VENDOR_AXIS 1
#include <ap_axi_sdata.h>
#endif

namespace egru {

#ifdef EGRU_VENDOR_AXIS
template <int Bits>
using beat = hls::axis<ap_uint<Bits>, 0, 0, 0>;  // Vitis HLS makes TDATA, TKEEP, TSTRB and TLAST of it
#else
template <int Bits>
struct beat {
  ap_uint<Bits> data;
  ap_uint<1> last;
};
#endif

#ifdef __BAMBU__
// Bambu's streams carry words: {last, data}.
template <int Bits>
using output = stream<Bits + 1>;

template <int Bits>
EGRU_INLINE void put(output<Bits>& stream, word<Bits> data, bool last) {
  stream.write(word<Bits + 1>((word<Bits + 1>(last ? 1 : 0) << Bits) | word<Bits + 1>(data)));
}
#else
template <int Bits>
using output = hls::stream<beat<Bits>>;

template <int Bits>
EGRU_INLINE void put(output<Bits>& stream, word<Bits> data, bool last) {
  beat<Bits> item;
  item.data = data;
  item.last = last ? 1 : 0;
#ifdef EGRU_VENDOR_AXIS
  item.keep = -1;
  item.strb = -1;
#endif
  stream.write(item);
}
#endif

}  // namespace egru

#endif
