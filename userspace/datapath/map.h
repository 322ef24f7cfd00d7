// SPDX-License-Identifier: GPL-2.0-or-later
// A map is typed once: Map<K, V> checks its sizes against abi.h and then needs no casts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "datapath/handles.h"

namespace mailweir {

/// Borrows the descriptor; the skeleton or a UniqueFd owns it.
template <typename K, typename V>
class Map {
 public:
  Map() = default;

  [[nodiscard]] static Result<Map> wrap(int fd) {
    auto found = map_info(fd);
    if (!found) return std::move(found).error();
    if (found->key_size != sizeof(K) || found->value_size != sizeof(V))
      return Error{EINVAL, "map " + std::string(found->name) + ": layout differs from abi.h"};
    return Map(fd, found->name, found->max_entries);
  }

  [[nodiscard]] std::uint32_t capacity() const { return capacity_; }

  [[nodiscard]] Result<> put(const K& key, const V& value) const {
    if (bpf_map_update_elem(fd_, &key, &value, BPF_ANY) == 0) return Ok{};
    // A trie says ENOSPC.
    if (errno == E2BIG || errno == ENOSPC)
      return Error{E2BIG, name_ + " full (" + std::to_string(capacity_) + ")"};
    return sys_error(errno, "write map " + name_);
  }

  /// No error if there is none.
  [[nodiscard]] Result<> remove(const K& key) const {
    if (bpf_map_delete_elem(fd_, &key) == 0 || errno == ENOENT) return Ok{};
    return sys_error(errno, "delete from map " + name_);
  }

  [[nodiscard]] Result<std::optional<V>> get(const K& key) const {
    V value{};
    if (bpf_map_lookup_elem(fd_, &key, &value) == 0) return std::optional<V>(value);
    if (errno == ENOENT) return std::optional<V>();
    return sys_error(errno, "read map " + name_);
  }

  /// The slow way, for maps without batch operations and for small ones.
  [[nodiscard]] Result<std::vector<K>> keys() const {
    std::vector<K> found;
    K key{};
    K next{};
    const K* at = nullptr;
    // A key that is deleted while we stand on it makes the kernel begin anew: bounded by capacity.
    while (found.size() <= capacity_ && bpf_map_get_next_key(fd_, at, &next) == 0) {
      key = next;
      at = &key;
      found.push_back(key);
    }
    return found;
  }

  /// Batch by batch.
  [[nodiscard]] Result<> each(const std::function<void(const K&, const V&)>& visit,
                              std::uint32_t batch = 4096) const {
    Batch room(batch);
    std::optional<std::uint32_t> cursor;
    do {
      auto next = read(cursor, room, visit);
      if (!next) return std::move(next).error();
      cursor = *next;
    } while (cursor);
    return Ok{};
  }

  /// About `most` entries from `cursor` on. Returns where to go on; nothing at the end.
  [[nodiscard]] Result<std::optional<std::uint32_t>> some(
      std::optional<std::uint32_t> cursor, std::uint32_t most,
      const std::function<void(const K&, const V&)>& visit) const {
    Batch room(most);
    return read(cursor, room, visit);
  }

 private:
  struct Batch {
    explicit Batch(std::uint32_t size) : keys(size), values(size) {}
    std::vector<K> keys;
    std::vector<V> values;
  };

  /// A batch smaller than a bucket stops with ENOSPC: it is grown, and read again.
  [[nodiscard]] Result<std::optional<std::uint32_t>> read(
      std::optional<std::uint32_t> cursor, Batch& room,
      const std::function<void(const K&, const V&)>& visit) const {
    for (;;) {
      __u32 from = cursor.value_or(0);
      __u32 next = 0;
      auto count = static_cast<__u32>(room.keys.size());
      const int failed =
          bpf_map_lookup_batch(fd_, cursor ? &from : nullptr, &next, room.keys.data(),
                               room.values.data(), &count, nullptr);
      const int cause = errno;
      if (failed != 0 && cause == ENOSPC) {
        room = Batch(static_cast<std::uint32_t>(room.keys.size()) * 2);
        continue;
      }
      if (failed != 0 && cause != ENOENT) return sys_error(cause, "read map " + name_);
      for (__u32 i = 0; i < count; ++i) visit(room.keys[i], room.values[i]);
      return failed != 0 ? std::optional<std::uint32_t>() : std::optional<std::uint32_t>(next);
    }
  }

  Map(int fd, std::string name, std::uint32_t capacity)
      : fd_(fd), name_(std::move(name)), capacity_(capacity) {}

  int fd_ = -1;
  std::string name_;
  std::uint32_t capacity_ = 0;
};

/// A per-CPU map of structs of __u64 only, read as their sum.
template <typename K, typename V>
class PerCpuMap {
 public:
  PerCpuMap() = default;

  [[nodiscard]] static Result<PerCpuMap> wrap(int fd) {
    static_assert(sizeof(V) % sizeof(__u64) == 0);
    auto found = map_info(fd);
    if (!found) return std::move(found).error();
    if (found->key_size != sizeof(K) || found->value_size != sizeof(V))
      return Error{EINVAL, "map " + std::string(found->name) + ": layout differs from abi.h"};
    const int cpus = libbpf_num_possible_cpus();
    if (cpus < 0) return sys_error(cpus, "count the CPUs");
    return PerCpuMap(fd, found->name, static_cast<std::size_t>(cpus));
  }

  /// Zeros if there is none.
  [[nodiscard]] Result<V> sum(const K& key) const {
    std::vector<V> values(cpus_);
    if (bpf_map_lookup_elem(fd_, &key, values.data()) != 0) {
      if (errno == ENOENT) return V{};
      return sys_error(errno, "read map " + name_);
    }
    V total{};
    auto* to = reinterpret_cast<__u64*>(&total);
    for (const V& value : values) {
      const auto* from = reinterpret_cast<const __u64*>(&value);
      for (std::size_t i = 0; i < sizeof(V) / sizeof(__u64); ++i) to[i] += from[i];
    }
    return total;
  }

  [[nodiscard]] Result<> remove(const K& key) const {
    if (bpf_map_delete_elem(fd_, &key) == 0 || errno == ENOENT) return Ok{};
    return sys_error(errno, "delete from map " + name_);
  }

  [[nodiscard]] std::vector<K> keys() const {
    std::vector<K> found;
    K key{};
    K next{};
    for (const K* at = nullptr; bpf_map_get_next_key(fd_, at, &next) == 0; at = &key) {
      key = next;
      found.push_back(key);
    }
    return found;
  }

 private:
  PerCpuMap(int fd, std::string name, std::size_t cpus)
      : fd_(fd), name_(std::move(name)), cpus_(cpus) {}

  int fd_ = -1;
  std::string name_;
  std::size_t cpus_ = 0;
};

}  // namespace mailweir
