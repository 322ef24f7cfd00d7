// SPDX-License-Identifier: GPL-2.0-or-later
// Map values from one layout to another, member by member, by name: both layouts as BTF tells them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

struct btf;

namespace mailweir {

struct TypeRef {
  const btf* types = nullptr;
  std::uint32_t id = 0;
};

/// What of the old value goes where in the new one.
struct ValueCopy {
  struct Move {
    std::size_t from = 0, to = 0, bytes = 0;
  };
  std::vector<Move> moves;         ///< adjacent ones are one
  std::vector<std::string> lost;   ///< old members that have no place in the new layout
  std::vector<std::string> fresh;  ///< new members that the old layout lacks: they begin at zero

  /// `to` must be zeroed, and both at least as large as their types.
  void apply(const void* from, void* to) const;
};

/// A member is taken over if its name and kind are the same and it is not narrower than before;
/// an array, element by element.
[[nodiscard]] ValueCopy plan_copy(TypeRef from, TypeRef to);

}  // namespace mailweir
