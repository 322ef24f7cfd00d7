// SPDX-License-Identifier: GPL-2.0-or-later
// Result<T>: a value, or an Error in the operator's words. Nothing here logs.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace mailweir {

/// What was attempted, on what object, and why it failed.
struct Error {
  int code = 0;  ///< errno of the cause; 0 if no system call failed
  std::string message;

  /// Puts a context in front, where it adds a fact: "reload: <message>".
  [[nodiscard]] Error in(std::string_view context) && {
    return {code, std::string(context) + ": " + message};
  }
};

/// `code` as errno or as -errno; appends its text: "attach xdp to eth1: Device or resource busy".
[[nodiscard]] inline Error sys_error(int code, std::string_view what) {
  const int positive = code < 0 ? -code : code;
  return {positive, std::string(what) + ": " + std::strerror(positive)};
}

struct Ok {};

template <typename T = Ok>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}  // NOLINT: implicit, so that `return value;` works
  Result(Error error)
      : state_(std::move(error)) {}  // NOLINT: implicit, so that `return error;` works

  [[nodiscard]] explicit operator bool() const { return state_.index() == 0; }
  [[nodiscard]] T& operator*() & { return std::get<0>(state_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(state_); }
  /// By value, so that `for (x : *call())` does not outlive what it walks.
  [[nodiscard]] T operator*() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const Error& error() const& { return std::get<1>(state_); }
  [[nodiscard]] Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace mailweir
