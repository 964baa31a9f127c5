// The testbench of a folder, and then egru_run as another language calls it, in one program for the sanitizers.
// Arguments: layers, classes, neurons of all layers, tokens or channels, bits of an event or, with tokens, 0.
#define main testbench_main
#include "egru_tb.cpp"
#undef main

#include <cstdlib>
#include <iostream>

extern "C" const char* egru_run(const std::uint32_t* words, std::size_t length, std::size_t steps, std::int32_t* logits,
                                std::uint8_t* ends, std::uint32_t* events, std::size_t capacity, std::uint32_t* counts,
                                std::size_t* done, std::uint32_t* token_errors, std::uint64_t* model_hash);

int main(int count, char** arguments) {
  if (count != 6) {
    return 2;
  }
  const auto number = [arguments](int place) { return static_cast<std::size_t>(std::atol(arguments[place])); };
  constexpr std::size_t shown = 40;
  std::vector<std::uint32_t> words;
  for (std::size_t step = 0; step < shown; ++step) {
    const std::uint32_t last = step == 0 || step == 25 ? 0x10000U : 0U;
    const std::uint32_t index = static_cast<std::uint32_t>((step * 7 + 3) % number(4));
    if (number(5) == 0) {
      words.push_back((step == 10 ? 0xFFFFU : index) | last);
    } else {
      words.push_back((index << number(5)) + 1U);
      if (step == 10) {
        words.push_back(0xFFFF);
      }
      words.push_back(last);
    }
  }
  std::vector<std::int32_t> logits(shown * number(2));
  std::vector<std::uint8_t> ends(shown);
  std::vector<std::uint32_t> events(shown * number(3));
  std::vector<std::uint32_t> counts(shown * number(1));
  std::size_t done = 0;
  std::uint32_t token_errors = 0;
  std::uint64_t hash = 0;
  if (testbench_main() != 0) {
    return 1;
  }
  const char* fault = egru_run(words.data(), words.size(), shown, logits.data(), ends.data(), events.data(), events.size(), counts.data(), &done,
                               &token_errors, &hash);
  std::cout << (fault == nullptr ? "ran" : fault) << ' ' << done << ' ' << token_errors << ' ' << int(ends[0]) + ends[25] << std::endl;
  return fault != nullptr;
}
