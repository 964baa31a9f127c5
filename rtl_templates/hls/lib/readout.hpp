// The decoder's end: sums plus bias, in the order of the classes.
#ifndef EGRU_READOUT_HPP
#define EGRU_READOUT_HPP

#include <utility>

#include "axis.hpp"
#include "items.hpp"
#include "pragmas.hpp"

namespace egru {

template <class Block, class Lanes>
struct reader;

template <class Block, int... Lane>
struct reader<Block, std::integer_sequence<int, Lane...>> {
  template <class... Sums>
  static void run(stream<Block::step_item::bits>& steps, output<32>& logits, Sums&... sums) {
    signed_word<Block::acc_bits> found[Block::lanes * Block::rows];
    EGRU_PRAGMA(HLS array_partition variable = found type = block factor = Block::lanes)
    const typename Block::step_item step = Block::step_item::unpack(steps.read());
    for (int row = 0; row < Block::rows; ++row) {
      EGRU_PRAGMA(HLS pipeline II = 1)
      ((found[Lane * Block::rows + row] = signed_word<Block::acc_bits>(sums.read())), ...);
    }
    for (int place = 0; place < Block::classes; ++place) {
      EGRU_PRAGMA(HLS pipeline II = 1)
      const int logit = int(found[Block::slot(place)]) + signed_of<Block::acc_bits>(Block::bias(place));
      put<32>(logits, word<32>(logit), step.last && place == Block::classes - 1);
    }
  }
};

// Sends one logit for each class, sign-extended; TLAST on the last logit of a sequence.
template <class Block, class... Sums>
void read_out(stream<Block::step_item::bits>& steps, output<32>& logits, Sums&... sums) {
  reader<Block, std::make_integer_sequence<int, Block::lanes>>::run(steps, logits, sums...);
}

}  // namespace egru

#endif
