// SPDX-License-Identifier: GPL-2.0-or-later
// Holds descriptors of all that must stay pinned. When bpffs is unmounted, or a hand removes a pin,
// nothing is let go, and it is pinned again as soon as that is possible.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/unique_fd.h"

namespace mailweir {

class PinKeeper {
 public:
  /// Holds what is pinned there now, in place of what was held for this path before. Nothing
  /// changes if there is no pin.
  void hold(const std::string& path);
  /// Lets go of it; the pin stays as it is.
  void release(const std::string& path) { held_.erase(path); }

  /// The descriptors, by path.
  [[nodiscard]] std::map<std::string, int> fds() const;

  /// Pins again what lost its pin. Returns one line for the operator if that fails, or if somebody
  /// else's object is pinned in its place; empty: all is as it should be.
  [[nodiscard]] std::string restore();

 private:
  struct Held {
    UniqueFd fd;
  };
  std::map<std::string, Held> held_;
};

}  // namespace mailweir
