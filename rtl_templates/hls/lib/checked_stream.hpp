// The streams of a C simulation with EGRU_CHECKED_STREAMS (no HLS compiler sees this file). In hardware a read of an empty stream waits, for
// ever if nobody writes. In C simulation one process runs after the other, and the vendor's stream hands out a default word and goes on with
// it; here that ends the simulation.
#ifndef EGRU_CHECKED_STREAM_HPP
#define EGRU_CHECKED_STREAM_HPP

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace egru {

inline std::size_t waiting_words = 0;  // in all streams together

template <int Bits>
class stream {
  std::vector<word<Bits>> words;
  std::size_t next = 0;  // to be read

 public:
  word<Bits> read() {
    if (next == words.size()) {
      throw std::runtime_error("a stream of " + std::to_string(Bits) + "-bit words was read while it was empty");
    }
    --waiting_words;
    const word<Bits> found = words[next++];
    if (next == words.size()) {
      words.clear();
      next = 0;
    }
    return found;
  }

  void write(const word<Bits>& item) {
    ++waiting_words;
    words.push_back(item);
  }
};

}  // namespace egru

#endif
