// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/value_copy.h"

#include <bpf/btf.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace mailweir {
namespace {

/// Behind typedefs and qualifiers.
const btf_type* resolve(const TypeRef& ref, std::uint32_t id) {
  const btf_type* type = btf__type_by_id(ref.types, id);
  while (type != nullptr && (btf_is_mod(type) || btf_is_typedef(type)))
    type = btf__type_by_id(ref.types, type->type);
  return type;
}

class Planner {
 public:
  Planner(TypeRef from, TypeRef to) : from_(from), to_(to) {}

  ValueCopy plan() {
    add(from_.id, 0, to_.id, 0, "");
    return std::move(copy_);
  }

 private:
  void add(std::uint32_t from_id, std::size_t from_at, std::uint32_t to_id, std::size_t to_at,
           const std::string& name) {
    const btf_type* from = resolve(from_, from_id);
    const btf_type* to = resolve(to_, to_id);
    if (from == nullptr || to == nullptr) return lose(name);
    if (btf_is_composite(from) && btf_is_composite(to))
      return add_members(from, from_at, to, to_at, name);
    if (btf_is_array(from) && btf_is_array(to))
      return add_elements(btf_array(from), from_at, btf_array(to), to_at, name);
    const bool are_scalars =
        (btf_is_int(from) || btf_is_any_enum(from)) && (btf_is_int(to) || btf_is_any_enum(to));
    // A wider integer takes the narrower one in its low bytes.
    if (!are_scalars || from->size > to->size) return lose(name);
    move(from_at, to_at, from->size);
  }

  void add_members(const btf_type* from, std::size_t from_at, const btf_type* to, std::size_t to_at,
                   const std::string& name) {
    const auto found = [](const TypeRef& ref, const btf_type* type, std::string_view wanted) {
      for (std::uint32_t i = 0; i < btf_vlen(type); ++i)
        if (wanted == btf__name_by_offset(ref.types, btf_members(type)[i].name_off))
          return static_cast<int>(i);
      return -1;
    };
    const std::string prefix = name.empty() ? "" : name + ".";
    for (std::uint32_t i = 0; i < btf_vlen(from); ++i) {
      const btf_member& member = btf_members(from)[i];
      const std::string member_name = btf__name_by_offset(from_.types, member.name_off);
      const int place = found(to_, to, member_name);
      if (place < 0) {
        lose(prefix + member_name);
        continue;
      }
      const auto at = static_cast<std::uint32_t>(place);
      add(member.type, from_at + btf_member_bit_offset(from, i) / 8, btf_members(to)[at].type,
          to_at + btf_member_bit_offset(to, at) / 8, prefix + member_name);
    }
    for (std::uint32_t i = 0; i < btf_vlen(to); ++i) {
      const char* member_name = btf__name_by_offset(to_.types, btf_members(to)[i].name_off);
      if (found(from_, from, member_name) < 0) note(copy_.fresh, prefix + member_name);
    }
  }

  void add_elements(const struct btf_array* from, std::size_t from_at, const struct btf_array* to,
                    std::size_t to_at, const std::string& name) {
    const __s64 from_bytes = btf__resolve_size(from_.types, from->type);
    const __s64 to_bytes = btf__resolve_size(to_.types, to->type);
    if (from_bytes <= 0 || to_bytes <= 0) return lose(name);
    if (from->nelems > to->nelems) lose(name + "[" + std::to_string(to->nelems) + "...]");
    const std::uint32_t common = std::min(from->nelems, to->nelems);
    for (std::uint32_t i = 0; i < common; ++i)
      add(from->type, from_at + i * static_cast<std::size_t>(from_bytes), to->type,
          to_at + i * static_cast<std::size_t>(to_bytes), name + "[]");
  }

  void move(std::size_t from, std::size_t to, std::size_t bytes) {
    if (!copy_.moves.empty()) {
      ValueCopy::Move& last = copy_.moves.back();
      if (last.from + last.bytes == from && last.to + last.bytes == to) {
        last.bytes += bytes;
        return;
      }
    }
    copy_.moves.push_back({from, to, bytes});
  }

  void lose(const std::string& name) { note(copy_.lost, name); }

  /// Of an array, once.
  static void note(std::vector<std::string>& list, const std::string& name) {
    if (std::ranges::find(list, name) == list.end()) list.push_back(name);
  }

  TypeRef from_;
  TypeRef to_;
  ValueCopy copy_;
};

}  // namespace

void ValueCopy::apply(const void* from, void* to) const {
  for (const Move& move : moves)
    std::memcpy(static_cast<char*>(to) + move.to, static_cast<const char*>(from) + move.from,
                move.bytes);
}

ValueCopy plan_copy(TypeRef from, TypeRef to) {
  return Planner(from, to).plan();
}

}  // namespace mailweir
