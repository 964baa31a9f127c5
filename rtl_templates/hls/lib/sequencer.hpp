// The front of a block: tokens, or words of a feature stream, become steps; events, with the place of their column in every lane, go into the
// lanes' queues.
#ifndef EGRU_SEQUENCER_HPP
#define EGRU_SEQUENCER_HPP

#include "axis.hpp"
#include "items.hpp"
#include "pragmas.hpp"

namespace egru {

// Turns a token of the AXI4-Stream input into a step of layer 0. A token out of range is taken as token 0 and counted.
template <class Model>
void accept_token(hls::stream<beat<16>>& s_axis, stream<Model::input_item::bits>& inputs, ap_uint<32>& token_errors,
                  ap_uint<64>& model_hash) {
  static bool first = true;
  static ap_uint<32> errors = 0;
  EGRU_PRAGMA(HLS reset variable = first)
  EGRU_PRAGMA(HLS reset variable = errors)
  const beat<16> token = s_axis.read();
  const bool legal = token.data < Model::tokens;
  if (!legal) {
    ++errors;
  }
  token_errors = errors;
  model_hash = Model::hash;
  const bool last = token.last == 1;
  const typename Model::input_item item = {true, first, last, number<Model::token_bits>(legal ? token.data.to_uint() : 0U), 0};
  inputs.write(item.pack());
  first = last;
}

// Turns the words of one time step of a feature stream, up to its end, into input events of layer 0 and the end of the step (docs/host_link.md,
// "Words of a feature stream"). A word is {index, value}, the value in its low bits; a value of 0 ends the step, and with TLAST the sequence.
// Counted are an event of no channel, which is dropped; an event with TLAST, which loses it; an end with an index, which is an end all the same.
template <class Model>
void accept_features(hls::stream<beat<16>>& s_axis, stream<Model::input_item::bits>& inputs, ap_uint<32>& token_errors,
                     ap_uint<64>& model_hash) {
  static bool first = true;
  static ap_uint<32> errors = 0;
  EGRU_PRAGMA(HLS reset variable = first)
  EGRU_PRAGMA(HLS reset variable = errors)
  bool more = true;
  while (more) {
    EGRU_PRAGMA(HLS pipeline II = 1)
    EGRU_PRAGMA(HLS loop_tripcount min = 1 max = 1024)
    const beat<16> taken = s_axis.read();
    const std::uint32_t word = taken.data.to_uint();
    const std::uint32_t index = word >> Model::event_bits;
    const number<Model::event_bits> value = bits_of<0, Model::event_bits>(word);
    const bool end = value == 0;
    const bool last = end && taken.last == 1;
    const bool known = index < Model::channels;
    const bool legal = end ? index == 0 : known && taken.last == 0;
    if (!legal) {
      ++errors;
    }
    if (end || known) {
      const typename Model::input_item item = {end, first, last, number<Model::channel_bits>(end ? 0U : index), value};
      inputs.write(item.pack());
    }
    if (end) {
      first = last;
    }
    more = !end;
  }
  token_errors = errors;
  model_hash = Model::hash;
}

// Hands a word to every stream.
template <class Word, class... Streams>
void send(Word word, Streams&... streams) {
  (streams.write(word), ...);
}

// One step of a block: its own events of the step before, then its input events, then an end item; the lanes walk meanwhile.
// The first input item says whether a sequence begins: then there are no own events, and the lanes are told to forget what a reset in the
// middle of a step left behind. So nothing but the streams has to be empty after a reset.
template <class Block, class... Lanes>
struct sequencer {
  using input_item = typename Block::input_item;
  using own_item = typename Block::own_item;
  using column_item = typename Block::column_item;
  using step_word = word<Block::step_item::bits>;

  // Returns what the update units need to know of the step.
  template <class... Queues>
  static step_word run(stream<own_item::bits>& own, stream<input_item::bits>& input, Queues&... queues) {
    const input_item begin = input_item::unpack(input.read());
    if (begin.first) {
      (order(forget_sums, queues), ...);
    } else {
      own_events(own, queues...);
    }
    return input_events(begin, input, queues...);
  }

  // The same for a block without events of its own; by another name, because a queue may be as wide as the input.
  template <class... Queues>
  static step_word run_without_own(stream<input_item::bits>& input, Queues&... queues) {
    const input_item begin = input_item::unpack(input.read());
    if (begin.first) {
      (order(forget_sums, queues), ...);
    }
    return input_events(begin, input, queues...);
  }

 private:
  EGRU_INLINE static void order(int what, stream<column_item::bits>& queue) {
    const column_item item = {number<2>(what), 0, 0, 0};
    queue.write(item.pack());
  }

  // Offers a column to one lane: a column without entries there never enters its queue.
  template <class Lane>
  EGRU_INLINE static void offer(number<Block::column_bits> column, number<Block::event_bits> value, stream<column_item::bits>& queue) {
    const number<Block::start_bits + Block::count_bits> place = Lane::place(column);
    const number<Block::count_bits> count = bits_of<0, Block::count_bits>(place);
    if (count != 0) {
      const column_item item = {number<2>(walk_column), bits_of<Block::count_bits, Block::start_bits>(place), count, value};
      queue.write(item.pack());
    }
  }

  template <class... Queues>
  static void own_events(stream<own_item::bits>& own, Queues&... queues) {
    own_item item = own_item::unpack(own.read());
    while (!item.end) {
      EGRU_PRAGMA(HLS pipeline II = 1)
      EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 1024)
      (offer<Lanes>(number<Block::column_bits>(item.index), item.value, queues), ...);
      item = own_item::unpack(own.read());
    }
  }

  template <class... Queues>
  static step_word input_events(input_item item, stream<input_item::bits>& input, Queues&... queues) {
    while (!item.end) {
      EGRU_PRAGMA(HLS pipeline II = 1)
      EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 1024)
      (offer<Lanes>(number<Block::column_bits>(item.index + Block::own), item.value, queues), ...);
      item = input_item::unpack(input.read());
    }
    (order(end_step, queues), ...);
    const number<Block::token_bits> none = 0;  // only layer 0 has a token
    const typename Block::step_item step = {item.first, item.last, Block::has_token ? number<Block::token_bits>(item.index) : none};
    return step.pack();
  }
};

}  // namespace egru

#endif
