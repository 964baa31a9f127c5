// What travels in the streams, as words: a word is the same in every tool, and Bambu's streams carry nothing else.
#ifndef EGRU_ITEMS_HPP
#define EGRU_ITEMS_HPP

#include <ap_int.h>
#include <hls_stream.h>

#include <cstdint>
#include <type_traits>

namespace egru {

// A word of a stream or of a memory, unsigned or two's complement, of exactly Bits bits everywhere. Bambu makes little memories of what its
// ap_int is built of; clang's own integers of any width it takes as they are.
#if !defined(__BAMBU__)
template <int Bits>
using word = ap_uint<Bits>;
template <int Bits>
using signed_word = ap_int<Bits>;
#elif __clang_major__ < 14
template <int Bits>
using word = unsigned _ExtInt(Bits);
template <int Bits>
using signed_word = _ExtInt(Bits);
#else
template <int Bits>
using word = unsigned _BitInt(Bits);
template <int Bits>
using signed_word = _BitInt(Bits);
#endif

// An unsigned number of Bits bits that never leaves its range, of at most 64: a word of a table, an address, a count. Exact for Vitis HLS; Bambu
// finds the width itself. In C simulation it is native: g++ needs half a minute to compile a table of 40,000 ap_uint, and a step would take ten
// times as long. A small model can be simulated as it is synthesised, with EGRU_EXACT_WIDTHS.
#if (defined(__SYNTHESIS__) && !defined(__BAMBU__)) || defined(EGRU_EXACT_WIDTHS)
template <int Bits>
using number = ap_uint<Bits>;
#else
template <int Bits>
using number = std::conditional_t<
    (Bits <= 8), std::uint8_t,
    std::conditional_t<(Bits <= 16), std::uint16_t, std::conditional_t<(Bits <= 32), std::uint32_t, std::uint64_t>>>;
#endif

}  // namespace egru

#ifdef EGRU_CHECKED_STREAMS
#include "checked_stream.hpp"
#else
namespace egru {

template <int Bits>
using stream = hls::stream<word<Bits>>;

}  // namespace egru
#endif

namespace egru {

// A native integer of at least Bits bits; no wider than it has to be, because compilers for hardware do not always find that out.
template <int Bits>
using native = std::conditional_t<(Bits <= 32), std::uint32_t, std::uint64_t>;
#ifdef __BAMBU__
template <int Bits>
using signed_native = std::int64_t;  // with 32 bits Bambu 2024.10 makes an update unit that differs from the reference
#else
template <int Bits>
using signed_native = std::conditional_t<(Bits <= 32), std::int32_t, std::int64_t>;
#endif

// Bits [Low + Bits - 1 : Low] of a word.
template <int Low, int Bits, class Word>
number<Bits> bits_of(Word word) {
  using raw = native<8 * int(sizeof(Word))>;
  return number<Bits>((raw(word) >> Low) & (~raw(0) >> (8 * int(sizeof(raw)) - Bits)));
}

// The value of two's complement in Bits bits.
template <int Bits, class Word>
int signed_of(Word word) {
  constexpr int half = 1 << (Bits - 1);
  return (int(word) ^ half) - half;
}

// An event of the neuron with this physical index, or (end) the end of a step. Layer 0 takes its token as the index of an end item.
// first and last: the step begins, or ends, a sequence.
template <int IndexBits, int EventBits>
struct event_item {
  static constexpr int bits = IndexBits + EventBits + 3;

  bool end;
  bool first;
  bool last;
  number<IndexBits> index;
  number<EventBits> value;

  static event_item unpack(word<bits> packed) {
    const native<bits> all = native<bits>(packed);
    return {bits_of<bits - 1, 1>(all) != 0, bits_of<bits - 2, 1>(all) != 0, bits_of<bits - 3, 1>(all) != 0,
            bits_of<EventBits, IndexBits>(all), bits_of<0, EventBits>(all)};
  }

  word<bits> pack() const {
    return word<bits>((native<bits>(end) << (bits - 1)) | (native<bits>(first) << (bits - 2)) | (native<bits>(last) << (bits - 3)) |
                         (native<bits>(index) << EventBits) | native<bits>(value));
  }
};

// What a lane is told: to walk a column; that the step is over; to forget all sums.
constexpr int walk_column = 0;
constexpr int end_step = 1;
constexpr int forget_sums = 2;

// What waits in front of a lane: an order, and the place of a column of at least one entry.
template <int StartBits, int CountBits, int EventBits>
struct column_item {
  static constexpr int bits = 2 + StartBits + CountBits + EventBits;

  number<2> order;
  number<StartBits> start;
  number<CountBits> count;
  number<EventBits> value;

  static column_item unpack(word<bits> packed) {
    const native<bits> all = native<bits>(packed);
    return {bits_of<bits - 2, 2>(all), bits_of<EventBits + CountBits, StartBits>(all), bits_of<EventBits, CountBits>(all),
            bits_of<0, EventBits>(all)};
  }

  word<bits> pack() const {
    return word<bits>((native<bits>(order) << (bits - 2)) | (native<bits>(start) << (EventBits + CountBits)) |
                         (native<bits>(count) << EventBits) | native<bits>(value));
  }
};

// What an update unit and the read-out need to know of a step.
template <int TokenBits>
struct step_item {
  static constexpr int bits = TokenBits + 2;

  bool first;
  bool last;
  number<TokenBits> token;

  static step_item unpack(word<bits> packed) {
    const native<bits> all = native<bits>(packed);
    return {bits_of<bits - 1, 1>(all) != 0, bits_of<bits - 2, 1>(all) != 0, bits_of<0, TokenBits>(all)};
  }

  word<bits> pack() const {
    return word<bits>((native<bits>(first) << (bits - 1)) | (native<bits>(last) << (bits - 2)) | native<bits>(token));
  }
};

}  // namespace egru

#endif
