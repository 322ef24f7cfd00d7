// SPDX-License-Identifier: GPL-2.0-or-later
// The layout hash: two maps of one size whose fields were swapped look alike to the kernel.
#pragma once

#include <cstdint>

struct bpf_object;

namespace mailweir {

/// FNV-1a over names, sizes, member names, member offsets and enumerators of all map key and value
/// types, taken from the object's BTF. Equal hashes: each side reads what the other wrote.
[[nodiscard]] std::uint64_t layout_hash(const bpf_object* object);

}  // namespace mailweir
