// Parameters of model 40be8b3f7123 on its hardware configuration: sizes, widths, and how each process reads its memories.
#ifndef EGRU_MODEL_HPP
#define EGRU_MODEL_HPP

#include "egru_tables.hpp"
#include "lib/items.hpp"
#include "lib/pragmas.hpp"

namespace egru {

struct model {
  static constexpr int tokens = 3;
  static constexpr int token_bits = 2;
  static constexpr int classes = 3;
  static constexpr int layers = 2;
  static constexpr unsigned long long hash = 0xea5c682116965262;  // of the artifact, its last 64 bits
  using input_item = event_item<2, 8>;
};

// Layer: 2 lane(s) of 2 rows.
struct layer0 {
  static constexpr int lanes = 2;
  static constexpr int rows = 2;  // of a lane
  static constexpr int fields = 4;  // sums of a row
  static constexpr bool group = false;
  static constexpr int operations = group ? 3 : 1;  // of an entry
  static constexpr int own = 4;  // columns of own events, which come before those of input events
  static constexpr int event_bits = 8;
  static constexpr int weight_bits = 8;
  static constexpr int acc_bits = 16;
  static constexpr int key_bits = 3;
  static constexpr int column_bits = 2;
  static constexpr int start_bits = 3;
  static constexpr int count_bits = 2;
  static constexpr bool has_token = true;
  static constexpr int token_bits = 2;
  static constexpr int index_bits = 2;
  using input_item = event_item<2, event_bits>;
  using own_item = event_item<index_bits, event_bits>;
  using column_item = egru::column_item<start_bits, count_bits, event_bits>;
  using step_item = egru::step_item<token_bits>;
};

struct layer0_lane0 {
  static constexpr int entry_bits = 11;

  static number<entry_bits> entry(number<layer0::start_bits> place) {
    EGRU_PRAGMA(HLS bind_storage variable = layer0_lane0_entries_words type = rom_1p impl = bram)
    return layer0_lane0_entries_words[place];
  }
  static number<layer0::start_bits + layer0::count_bits> place(number<layer0::column_bits> column) {
    EGRU_PRAGMA(HLS bind_storage variable = layer0_lane0_places_words type = rom_1p)
    return layer0_lane0_places_words[column];
  }
};

struct layer0_lane1 {
  static constexpr int entry_bits = 11;

  static number<entry_bits> entry(number<layer0::start_bits> place) {
    EGRU_PRAGMA(HLS bind_storage variable = layer0_lane1_entries_words type = rom_1p impl = bram)
    return layer0_lane1_entries_words[place];
  }
  static number<layer0::start_bits + layer0::count_bits> place(number<layer0::column_bits> column) {
    EGRU_PRAGMA(HLS bind_storage variable = layer0_lane1_places_words type = rom_1p)
    return layer0_lane1_places_words[column];
  }
};

struct layer0_unit0 : layer0 {
  static constexpr int lanes = 2;  // of this unit
  static constexpr int first_slot = 0;
  static constexpr int acc_frac = 14;
  static constexpr int state_bits = 16;
  static constexpr int gate_bits = 12;
  static constexpr int preact_bits = 12;
  static constexpr int preact_frac = 8;

  static number<3 * preact_bits> input(number<token_bits> token, int slot) {
    EGRU_PRAGMA(HLS bind_storage variable = layer0_unit0_input_words type = rom_1p)
    return layer0_unit0_input_words[token * 4 + slot];
  }
  static number<preact_bits> reset_bias(int slot) { return layer0_unit0_reset_bias_words[slot]; }
  static number<state_bits - 1> threshold(int slot) { return layer0_unit0_threshold_words[slot]; }
  static number<gate_bits> sigmoid(number<10> place) { return sigmoid_words[place]; }
  static number<gate_bits + 1> tanh(number<10> place) { return tanh_words[place]; }
};

// Layer: 1 lane(s) of 3 rows.
struct layer1 {
  static constexpr int lanes = 1;
  static constexpr int rows = 3;  // of a lane
  static constexpr int fields = 4;  // sums of a row
  static constexpr bool group = false;
  static constexpr int operations = group ? 3 : 1;  // of an entry
  static constexpr int own = 3;  // columns of own events, which come before those of input events
  static constexpr int event_bits = 8;
  static constexpr int weight_bits = 8;
  static constexpr int acc_bits = 17;
  static constexpr int key_bits = 4;
  static constexpr int column_bits = 3;
  static constexpr int start_bits = 4;
  static constexpr int count_bits = 2;
  static constexpr bool has_token = false;
  static constexpr int token_bits = 1;
  static constexpr int index_bits = 2;
  using input_item = event_item<2, event_bits>;
  using own_item = event_item<index_bits, event_bits>;
  using column_item = egru::column_item<start_bits, count_bits, event_bits>;
  using step_item = egru::step_item<token_bits>;
};

struct layer1_lane0 {
  static constexpr int entry_bits = 12;

  static number<entry_bits> entry(number<layer1::start_bits> place) {
    EGRU_PRAGMA(HLS bind_storage variable = layer1_lane0_entries_words type = rom_1p impl = bram)
    return layer1_lane0_entries_words[place];
  }
  static number<layer1::start_bits + layer1::count_bits> place(number<layer1::column_bits> column) {
    EGRU_PRAGMA(HLS bind_storage variable = layer1_lane0_places_words type = rom_1p)
    return layer1_lane0_places_words[column];
  }
};

struct layer1_unit0 : layer1 {
  static constexpr int lanes = 1;  // of this unit
  static constexpr int first_slot = 0;
  static constexpr int acc_frac = 14;
  static constexpr int state_bits = 16;
  static constexpr int gate_bits = 12;
  static constexpr int preact_bits = 12;
  static constexpr int preact_frac = 8;

  static number<3 * preact_bits> input(number<token_bits> token, int slot) {
    EGRU_PRAGMA(HLS bind_storage variable = layer1_unit0_input_words type = rom_1p)
    static_cast<void>(token);  // only the first layer has one
    return layer1_unit0_input_words[slot];
  }
  static number<preact_bits> reset_bias(int slot) { return layer1_unit0_reset_bias_words[slot]; }
  static number<state_bits - 1> threshold(int slot) { return layer1_unit0_threshold_words[slot]; }
  static number<gate_bits> sigmoid(number<10> place) { return sigmoid_words[place]; }
  static number<gate_bits + 1> tanh(number<10> place) { return tanh_words[place]; }
};

// Decoder: 1 lane(s) of 3 rows.
struct decoder {
  static constexpr int lanes = 1;
  static constexpr int rows = 3;  // of a lane
  static constexpr int fields = 1;  // sums of a row
  static constexpr bool group = false;
  static constexpr int operations = group ? 3 : 1;  // of an entry
  static constexpr int own = 0;  // columns of own events, which come before those of input events
  static constexpr int event_bits = 8;
  static constexpr int weight_bits = 8;
  static constexpr int acc_bits = 16;
  static constexpr int key_bits = 2;
  static constexpr int column_bits = 2;
  static constexpr int start_bits = 1;
  static constexpr int count_bits = 1;
  static constexpr bool has_token = false;
  static constexpr int token_bits = 1;
  static constexpr int index_bits = 2;
  using input_item = event_item<2, event_bits>;
  using own_item = event_item<index_bits, event_bits>;
  using column_item = egru::column_item<start_bits, count_bits, event_bits>;
  using step_item = egru::step_item<token_bits>;
  static constexpr int classes = 3;

  static number<index_bits> slot(int place) {
    EGRU_PRAGMA(HLS bind_storage variable = decoder_slot_words type = rom_1p)
    return decoder_slot_words[place];
  }
  static number<acc_bits> bias(int place) {
    EGRU_PRAGMA(HLS bind_storage variable = decoder_bias_words type = rom_1p)
    return decoder_bias_words[place];
  }
};

struct decoder_lane0 {
  static constexpr int entry_bits = 10;

  static number<entry_bits> entry(number<decoder::start_bits> place) {
    EGRU_PRAGMA(HLS bind_storage variable = decoder_lane0_entries_words type = rom_1p impl = bram)
    return decoder_lane0_entries_words[place];
  }
  static number<decoder::start_bits + decoder::count_bits> place(number<decoder::column_bits> column) {
    EGRU_PRAGMA(HLS bind_storage variable = decoder_lane0_places_words type = rom_1p)
    return decoder_lane0_places_words[column];
  }
};

}  // namespace egru

#endif
