// A lane: the non-zero weights of its rows, column by column, one a cycle; it waits for nobody but at the end of a step.
#ifndef EGRU_LANE_HPP
#define EGRU_LANE_HPP

#include "items.hpp"
#include "pragmas.hpp"

namespace egru {

// A weight and the sum that it adds to, key {row, field}.
template <class Block>
struct placed_weight {
  number<Block::key_bits> key;
  int weight;
};

// Reads an entry {row, field, weight}, or in groups of gates one of the three operations of {row, recurrent, w_g, w_r, w_z}: r, g, z.
template <class Block, class Entry>
placed_weight<Block> decode(Entry entry, number<2> operation) {
  constexpr int weight_bits = Block::weight_bits;
  if constexpr (Block::group) {
    const number<weight_bits> w_z = bits_of<0, weight_bits>(entry);
    const number<weight_bits> w_r = bits_of<weight_bits, weight_bits>(entry);
    const number<weight_bits> w_g = bits_of<2 * weight_bits, weight_bits>(entry);
    const bool recurrent = bits_of<3 * weight_bits, 1>(entry) != 0;
    const int row = int(bits_of<3 * weight_bits + 1, Block::key_bits - 2>(entry));
    const int field = operation == 0 ? 0 : operation == 2 ? 3 : recurrent ? 1 : 2;
    return {number<Block::key_bits>(row << 2 | field), signed_of<weight_bits>(operation == 0 ? w_r : operation == 1 ? w_g : w_z)};
  } else {
    return {bits_of<weight_bits, Block::key_bits>(entry), signed_of<weight_bits>(bits_of<0, weight_bits>(entry))};
  }
}

// Walks the columns in the queue until the end of the step, then sends every sum, row by row in the order of the fields
// (r, gr, gx, z in an engine), and leaves zeros behind.
template <class Block, class Lane>
void walk_columns(stream<Block::column_item::bits>& queue, stream<Block::acc_bits>& sums_out) {
  using column_item = typename Block::column_item;
  constexpr int keys = Block::rows * Block::fields;
  static signed_word<Block::acc_bits> sums[keys];

  column_item item = column_item::unpack(queue.read());
  if (item.order == forget_sums) {
    for (int key = 0; key < keys; ++key) {
      EGRU_PRAGMA(HLS pipeline II = 1)
      sums[key] = 0;
    }
    item = column_item::unpack(queue.read());
  }

  // The sum written last is kept beside the memory, which shows it one iteration late.
  number<Block::key_bits> last_key = 0;
  int last_sum = 0;
  number<2> operation = 0;
  while (item.order == walk_column) {
    EGRU_PRAGMA(HLS pipeline II = 1)
    EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 65536)
    EGRU_PRAGMA(HLS dependence variable = sums type = inter direction = RAW distance = 2 dependent = true)
    const placed_weight<Block> found = decode<Block>(Lane::entry(item.start), operation);
    const int before = found.key == last_key ? last_sum : int(sums[found.key]);
    last_key = found.key;
    last_sum = before + found.weight * int(item.value);
    sums[found.key] = signed_word<Block::acc_bits>(last_sum);
    if (operation != Block::operations - 1) {
      ++operation;
    } else {
      operation = 0;
      if (item.count != 1) {
        item.start = number<Block::start_bits>(item.start + 1);
        item.count = number<Block::count_bits>(item.count - 1);
      } else {
        item = column_item::unpack(queue.read());
      }
    }
  }

  for (int key = 0; key < keys; ++key) {
    EGRU_PRAGMA(HLS pipeline II = 1)
    sums_out.write(word<Block::acc_bits>(sums[key]));
    sums[key] = 0;
  }
}

}  // namespace egru

#endif
