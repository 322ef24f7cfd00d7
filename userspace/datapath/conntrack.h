// SPDX-License-Identifier: GPL-2.0-or-later
// Asks the kernel's connection tracking about one flow. Its entries are checked against sequence
// windows, so a forged conversation never becomes ASSURED.
#pragma once

#include <memory>

#include "datapath/datapath.h"

struct nfct_handle;

namespace mailweir {

class Conntrack {
 public:
  Conntrack();
  ~Conntrack();
  Conntrack(const Conntrack&) = delete;
  Conntrack& operator=(const Conntrack&) = delete;

  /// By the client's own tuple, in the network namespace where this was made. One netlink round
  /// trip; `unavailable` without privileges or without connection tracking in the kernel.
  [[nodiscard]] Confirmation confirm(const mw_event& outcome);

 private:
  nfct_handle* handle_;
  bool is_assured_ = false;  ///< what the last answer said
};

}  // namespace mailweir
