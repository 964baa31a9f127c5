// The element-wise part of a layer, docs/semantics.md section 4, and the events that leave it.
//
//   z = sigmoid(a_z)   r = sigmoid(a_r)   g = tanh(a_gx + r a_gr)   (reset applied after the recurrent product)
//   c' = z c + (1 - z) g                  an event iff c' > theta   (strict: a tie is no event)
//   y = c' if event, else 0               c = c' - theta if event, else c'   (soft reset)
#ifndef EGRU_UPDATE_HPP
#define EGRU_UPDATE_HPP

#include <utility>

#include "axis.hpp"
#include "fixed_point.hpp"
#include "items.hpp"
#include "pragmas.hpp"

namespace egru {

constexpr int sigmoid_frac = 6;
constexpr int tanh_frac = 7;

// Place of a table's argument of Frac fraction bits; a table has 1024 entries, its argument 0 in the middle.
template <int Frac, int TableFrac, class Integer>
number<10> table_place(Integer value) {
  return number<10>(saturate<10>(rescale<Frac - TableFrac>(value)) + 512);
}

// A sum at the pre-activations' fraction bits.
template <class Unit>
int pre_activation(word<Unit::acc_bits> sum) {
  return saturate<Unit::preact_bits>(rescale<Unit::acc_frac - Unit::preact_frac>(int(signed_word<Unit::acc_bits>(sum))));
}

// Updates one neuron: takes its four sums, writes its state, sends its event.
template <class Unit, int Lane>
void update_neuron(typename Unit::step_item step, int row, signed_word<Unit::state_bits>* state, stream<Unit::acc_bits>& sums,
                   stream<Unit::own_item::bits>& events) {
  EGRU_PRAGMA(HLS inline)
  constexpr int preact_bits = Unit::preact_bits, gate_bits = Unit::gate_bits, state_bits = Unit::state_bits, event_bits = Unit::event_bits;
  constexpr int frac = Unit::preact_frac;
  const int slot = Lane * Unit::rows + row;
  const number<3 * preact_bits> input = Unit::input(step.token, slot);

  const int a_r = pre_activation<Unit>(sums.read()) + signed_of<preact_bits>(bits_of<preact_bits, preact_bits>(input));
  const int a_gr = pre_activation<Unit>(sums.read()) + signed_of<preact_bits>(Unit::reset_bias(slot));
  const int a_gx = pre_activation<Unit>(sums.read()) + signed_of<preact_bits>(bits_of<2 * preact_bits, preact_bits>(input));
  const int a_z = pre_activation<Unit>(sums.read()) + signed_of<preact_bits>(bits_of<0, preact_bits>(input));

  const int z = int(Unit::sigmoid(table_place<frac, sigmoid_frac>(a_z)));
  const int r = int(Unit::sigmoid(table_place<frac, sigmoid_frac>(a_r)));
  using gate_sum = signed_native<preact_bits + gate_bits + 2>;
  const gate_sum a_g = gate_sum(a_gx) * (1 << gate_bits) + gate_sum(r) * a_gr;
  const int g = signed_of<gate_bits + 1>(Unit::tanh(table_place<frac + gate_bits, tanh_frac>(a_g)));

  using product = signed_native<state_bits + gate_bits + 2>;  // the half that rounding adds fits, too
  const int candidate = g * (1 << (state_bits - 1 - gate_bits));
  const int before = step.first ? 0 : int(state[slot]);
  // Between the state before and the candidate, ends included: it fits state_bits.
  const int after = candidate + int(rescale<gate_bits>(product(z) * (before - candidate)));

  const int threshold = int(Unit::threshold(slot));
  const bool fired = after > threshold;
  state[slot] = signed_word<state_bits>(fired ? after - threshold : after);
  if (fired) {
    constexpr int event_max = (1 << event_bits) - 1;
    const int rounded = rescale<state_bits - 1 - event_bits>(after);
    const typename Unit::own_item event = {false, step.first, step.last, number<Unit::index_bits>(Unit::first_slot + slot),
                                           number<event_bits>(rounded > event_max ? event_max : rounded)};
    events.write(event.pack());
  }
}

// Updates the neurons of Unit::lanes lanes, a row of each at a time; an end item follows the events.
template <class Unit, class Lanes>
struct updater;

template <class Unit, int... Lane>
struct updater<Unit, std::integer_sequence<int, Lane...>> {
  template <class... Sums>
  static void run(stream<Unit::step_item::bits>& steps, stream<Unit::own_item::bits>& events, Sums&... sums) {
    static signed_word<Unit::state_bits> state[Unit::lanes * Unit::rows];
    EGRU_PRAGMA(HLS array_partition variable = state type = block factor = Unit::lanes)
    const typename Unit::step_item step = Unit::step_item::unpack(steps.read());
    for (int row = 0; row < Unit::rows; ++row) {
      EGRU_PRAGMA(HLS pipeline II = Unit::fields)
      EGRU_PRAGMA(HLS dependence variable = state type = inter dependent = false)
      (update_neuron<Unit, Lane>(step, row, state, sums, events), ...);
    }
    const typename Unit::own_item end = {true, step.first, step.last, 0, 0};
    events.write(end.pack());
  }
};

template <class Unit, class... Sums>
void update_rows(stream<Unit::step_item::bits>& steps, stream<Unit::own_item::bits>& events, Sums&... sums) {
  updater<Unit, std::make_integer_sequence<int, Unit::lanes>>::run(steps, events, sums...);
}

// Hands on the events of one update unit: back to the block (not after the last step of a sequence), to the next block, to the outside.
// Returns the end item.
template <class Block>
EGRU_INLINE typename Block::own_item forward_events(stream<Block::own_item::bits>& events, stream<Block::own_item::bits>& own,
                                                    stream<Block::own_item::bits>& next, output<32>& outside) {
  using own_item = typename Block::own_item;
  own_item item = own_item::unpack(events.read());
  while (!item.end) {
    EGRU_PRAGMA(HLS pipeline II = 1)
    EGRU_PRAGMA(HLS loop_tripcount min = 0 max = 1024)
    if (!item.last) {
      own.write(item.pack());
    }
    next.write(item.pack());
    put<32>(outside, word<32>(std::uint32_t(item.index) << 16 | std::uint32_t(item.value)), false);
    item = own_item::unpack(events.read());
  }
  return item;
}

// Hands on the events of all update units, one unit after the other, so that their order depends on nothing but the model.
template <class Block, class... Units>
void merge_events(stream<Block::own_item::bits>& own, stream<Block::own_item::bits>& next, output<32>& outside, Units&... units) {
  typename Block::own_item end = {true, false, false, 0, 0};
  ((end = forward_events<Block>(units, own, next, outside)), ...);
  if (!end.last) {
    own.write(end.pack());
  }
  next.write(end.pack());
  put<32>(outside, word<32>(0), true);
}

}  // namespace egru

#endif
