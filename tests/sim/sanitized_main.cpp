// The testbench of a folder, and then egru_run as another language calls it, in one program for the sanitizers.
// Arguments: layers, classes, neurons of all layers, tokens.
#define main testbench_main
#include "egru_tb.cpp"
#undef main

#include <cstdlib>
#include <iostream>

extern "C" const char* egru_run(const std::uint32_t* tokens, std::size_t steps, std::int32_t* logits, std::uint8_t* ends,
                                std::uint32_t* events, std::size_t capacity, std::uint32_t* counts, std::size_t* done,
                                std::uint32_t* token_errors, std::uint64_t* model_hash);

int main(int count, char** arguments) {
  if (count != 5) {
    return 2;
  }
  const auto number = [arguments](int place) { return static_cast<std::size_t>(std::atol(arguments[place])); };
  constexpr std::size_t shown = 40;
  std::vector<std::uint32_t> tokens(shown);
  for (std::size_t step = 0; step < shown; ++step) {
    tokens[step] = static_cast<std::uint32_t>((step * 7 + 3) % number(4)) | (step == 0 || step == 25 ? 0x10000U : 0U);
  }
  tokens[10] = 0xFFFF;
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
  const char* fault = egru_run(tokens.data(), shown, logits.data(), ends.data(), events.data(), events.size(), counts.data(), &done,
                               &token_errors, &hash);
  std::cout << (fault == nullptr ? "ran" : fault) << ' ' << done << ' ' << token_errors << ' ' << int(ends[0]) + ends[25] << std::endl;
  return fault != nullptr;
}
