// SPDX-License-Identifier: GPL-2.0-or-later
// What a server does with one connection, and what the client says in it: the truth of the
// synthetic day. What a gateway makes of it is not known here.
#pragma once

#include <cstdint>
#include <vector>

#include "evaluate/random.h"

namespace mailweir::evaluate {

enum class Fate : std::uint8_t {
  silent,    ///< no answer to the SYN
  reset,     ///< a RST in answer to it
  mute,      ///< the handshake, then not a byte
  rejected,  ///< for good
  put_off,   ///< for now: greylisting
  accepted,  ///< a message was taken
};

/// One packet of the client, and what came before it.
struct Step {
  Time wait{0};             ///< since the packet before
  std::uint32_t heard = 0;  ///< bytes of the server meanwhile
  std::uint32_t sent = 0;   ///< bytes in it
  bool taken = false;       ///< what was heard says that the message is taken
};

struct Session {
  Fate fate = Fate::silent;
  Time answer_after{0};  ///< SYN-ACK or RST
  std::vector<Step> steps;
  Time close_after{0};  ///< FIN, since the last step

  [[nodiscard]] bool is_answered() const { return fate != Fate::silent && fate != Fate::reset; }
};

/// A spam bot's session as in the capture of 2010: median, p90 of the answer, of the duration and
/// of what it sends. With a message it sends 4.4 kB, refused 0 to 120 B.
[[nodiscard]] Session bot_session(Random& random, Fate fate);

/// A mail client's or mail server's. `body`: bytes of the letter.
struct Letter {
  std::uint32_t body = 6000;
  bool tls = false;
};
[[nodiscard]] Session mail_session(Random& random, Fate fate, const Letter& letter);

/// As people send; at least 574 B with the dialogue, the smallest in the captures, and cut at 16
/// kB: beyond, only the number of packets would grow.
[[nodiscard]] Letter draw_letter(Random& random);

/// A port scanner's that completes the handshake and leaves.
[[nodiscard]] Session connect_scan(Random& random, bool is_answered);

}  // namespace mailweir::evaluate
