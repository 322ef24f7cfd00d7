// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/layout.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <string_view>

namespace mailweir {
namespace {

class Hasher {
 public:
  explicit Hasher(const btf* types) : types_(types) {}

  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0);
  }
  void add(std::uint64_t number) {
    for (int i = 0; i < 8; ++i) add_byte(static_cast<unsigned char>(number >> (8 * i)));
  }

  /// Map types hold neither pointers nor cycles, so that the depth is bounded by the nesting.
  void add_type(std::uint32_t id) {
    const btf_type* type = btf__type_by_id(types_, id);
    while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type)))
      type = btf__type_by_id(types_, type->type);
    if (type == nullptr) return;

    add(btf__name_by_offset(types_, type->name_off));
    add(std::uint64_t{btf_kind(type)});
    if (btf_is_array(type)) {
      add(std::uint64_t{btf_array(type)->nelems});
      add_type(btf_array(type)->type);
      return;
    }
    add(std::uint64_t{type->size});
    if (!btf_is_composite(type)) return;
    for (std::uint32_t i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      add(btf__name_by_offset(types_, member.name_off));
      add(std::uint64_t{btf_member_bit_offset(type, i)});
      add_type(member.type);
    }
  }

  [[nodiscard]] std::uint64_t value() const { return hash_; }

 private:
  void add_byte(unsigned char byte) { hash_ = (hash_ ^ byte) * 0x100000001b3ULL; }

  const btf* types_;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

}  // namespace

std::uint64_t layout_hash(const bpf_object* object) {
  Hasher hasher(bpf_object__btf(object));
  const bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (bpf_map__is_internal(map)) continue;
    hasher.add(bpf_map__name(map));
    hasher.add(std::uint64_t{bpf_map__type(map)});
    hasher.add_type(bpf_map__btf_key_type_id(map));
    hasher.add_type(bpf_map__btf_value_type_id(map));
  }
  return hasher.value();
}

}  // namespace mailweir
