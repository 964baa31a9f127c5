// The board top in Verilator behind a pseudo-terminal: bytes that a program writes to the terminal reach the receive pin bit by bit, bytes
// on the transmit pin reach the program. See sim/simulated_board.py, which builds and starts this.
//
// board_pins.h is written with every build: names of the ports, clocks per bit, levels of the other inputs. Standard output: the terminal's
// path, the simulated cycles per second, and at the end cycles and seconds. It ends on SIGTERM or SIGINT, when standard input ends (the
// program that started it is gone) and when the terminal has been closed.

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vegru_board.h"
#include "board_pins.h"
#include "verilated.h"

namespace {

constexpr int kClocksPerBit = EGRU_CLOCKS_PER_BIT;
constexpr int kBitsPerByte = 10;  // start, 8 data bits, stop
constexpr int kSliceCycles = kBitsPerByte * kClocksPerBit;  // between two looks at the terminal
constexpr long kMeasuredCycles = 50000;
// After so many cycles without a bit on the line the board is taken to be idle: it then goes on in short runs, far apart. A step that takes
// longer still comes to its end, and any byte wakes it.
constexpr long kQuietCycles = 3000000;
constexpr int kQuietPollMs = 100;

volatile std::sig_atomic_t stop_wanted = 0;
void on_signal(int) { stop_wanted = 1; }

[[noreturn]] void fail(const char* what) { throw std::runtime_error(std::string(what) + ": " + std::strerror(errno)); }

// The master's side of a pseudo-terminal in raw mode.
class Terminal {
 public:
  Terminal() : file_(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
    if (file_ < 0 || grantpt(file_) != 0 || unlockpt(file_) != 0) fail("pseudo-terminal");
    termios settings{};
    if (tcgetattr(file_, &settings) != 0) fail("pseudo-terminal");
    cfmakeraw(&settings);
    if (tcsetattr(file_, TCSANOW, &settings) != 0) fail("pseudo-terminal");
  }
  ~Terminal() { close(file_); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::string path() const { return ptsname(file_); }

  // Appends what has arrived, waiting up to `timeout_ms` for it; false when the terminal or standard input is closed.
  bool read(std::deque<unsigned char>& received, int timeout_ms) {
    pollfd files[2] = {{file_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (poll(files, 2, timeout_ms) < 0 && errno != EINTR) fail("poll");
    unsigned char bytes[256];
    if (files[1].revents != 0 && ::read(STDIN_FILENO, bytes, sizeof bytes) <= 0) return false;
    const ssize_t count = ::read(file_, bytes, sizeof bytes);
    if (count > 0) received.insert(received.end(), bytes, bytes + count);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));  // EIO: whoever had it open has closed it
  }

  // Bytes that nobody reads are lost, as on a cable.
  void write(const std::vector<unsigned char>& bytes) {
    if (::write(file_, bytes.data(), bytes.size()) < 0 && errno != EAGAIN && errno != EIO) fail("write");
  }

 private:
  int file_;
};

// Bytes to levels on the board's receive pin, one call a clock cycle.
class Sender {
 public:
  std::deque<unsigned char> waiting;

  bool level() {
    if (left_ == 0) {
      if (waiting.empty()) return true;
      frame_ = 1u << 9 | waiting.front() << 1;
      waiting.pop_front();
      left_ = kBitsPerByte * kClocksPerBit;
    }
    const int bit = (kBitsPerByte * kClocksPerBit - left_--) / kClocksPerBit;
    return frame_ >> bit & 1;
  }
  bool busy() const { return left_ > 0 || !waiting.empty(); }

 private:
  unsigned frame_ = 0;
  int left_ = 0;
};

// Levels on the board's transmit pin to bytes, one call a clock cycle.
class Receiver {
 public:
  std::vector<unsigned char> received;

  void sample(bool level) {
    if (wait_ < 0) {
      if (level) return;
      wait_ = kClocksPerBit + kClocksPerBit / 2 - 1;  // the middle of the first data bit
      bits_ = 0;
      byte_ = 0;
    } else if (wait_-- == 0) {
      if (bits_ == 8) {
        // A low stop bit is no byte; the pin is low too before the reset, where a register may hold anything.
        if (level) received.push_back(byte_);
        wait_ = -1;
      } else {
        byte_ |= static_cast<unsigned char>(level << bits_++);
        wait_ = kClocksPerBit - 1;
      }
    }
  }
  bool busy() const { return wait_ >= 0; }

 private:
  int wait_ = -1;
  int bits_ = 0;
  unsigned char byte_ = 0;
};

class Board {
 public:
  Board(int argc, char** argv) {
    context_.commandArgs(argc, argv);
    top_ = std::make_unique<Vegru_board>(&context_);
    top_->EGRU_CLOCK = 0;
    top_->EGRU_RX = 1;
    EGRU_OTHER_INPUTS
  }
  ~Board() { top_->final(); }

  // Runs `cycles` and returns whether something moved on the line.
  bool run(long cycles) {
    const auto start = std::chrono::steady_clock::now();
    bool moved = false;
    for (long cycle = 0; cycle < cycles; ++cycle) {
      top_->EGRU_RX = sender.level();
      top_->EGRU_CLOCK = 1;
      top_->eval();
      top_->EGRU_CLOCK = 0;
      top_->eval();
      receiver.sample(top_->EGRU_TX);
      moved = moved || sender.busy() || receiver.busy();
    }
    cycles_ += cycles;
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return moved;
  }
  // A failed assertion or $fatal in the design ends the simulation.
  bool finished() const { return context_.gotFinish(); }
  long cycles() const { return cycles_; }
  double seconds() const { return seconds_; }

  Sender sender;
  Receiver receiver;

 private:
  VerilatedContext context_;
  std::unique_ptr<Vegru_board> top_;
  long cycles_ = 0;
  double seconds_ = 0;
};

void serve(Board& board, Terminal& terminal) {
  long quiet = kQuietCycles;  // nobody has said anything yet
  while (!stop_wanted && !board.finished()) {
    if (!terminal.read(board.sender.waiting, quiet < kQuietCycles ? 0 : kQuietPollMs)) return;
    quiet = board.run(kSliceCycles) ? 0 : quiet + kSliceCycles;
    if (!board.receiver.received.empty()) {
      terminal.write(board.receiver.received);
      board.receiver.received.clear();
    }
  }
}

}  // namespace

int main(int argc, char** argv) try {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  Terminal terminal;
  Board board(argc, argv);
  board.run(kMeasuredCycles);  // leaves the reset
  board.receiver.received.clear();
  std::printf("%s\n%.0f\n", terminal.path().c_str(), board.cycles() / board.seconds());
  std::fflush(stdout);
  serve(board, terminal);
  std::printf("%ld %.3f\n", board.cycles(), board.seconds());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "simulated board: %s\n", error.what());
  return 1;
}
