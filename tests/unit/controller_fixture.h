// SPDX-License-Identifier: GPL-2.0-or-later
// A controller on a kernel that only remembers, with a real record in a directory of its own.
#pragma once

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/controller.h"
#include "fake_datapath.h"

namespace mailweir {

using namespace std::chrono_literals;

inline mw_addr address(const char* text) {
  return *parse_address(text);
}

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() {
    char path[] = "/tmp/mailweir-controller.XXXXXX";
    directory_ = ::mkdtemp(path);
    config_.node = "nat1";
    config_.mode = Mode::block;
    config_.networks.inside = {*parse_prefix("172.16.0.0/12"), *parse_prefix("2001:db8::/32")};
    open();
  }
  ~ControllerTest() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// As a restart of the daemon does: the kernel keeps what it has.
  std::vector<std::string> open() {
    controller_.reset();
    store_.reset();
    store_.emplace(std::move(*Store::open(directory_)));
    controller_ = std::make_unique<Controller>(config_, kernel_, clock_, &*store_);
    auto repaired = controller_->start();
    EXPECT_TRUE(repaired);
    return repaired ? *repaired : std::vector<std::string>{};
  }

  /// What the kernel would have counted of a source that met so many networks.
  mw_source met(int networks) {
    mw_source source{};
    const std::uint64_t now_ns = to_ns(clock_.now().boot);
    source.slice = static_cast<__u32>(now_ns / MW_SLICE_NS);
    source.first_ns = now_ns - 2'000'000'000;
    source.last_ns = now_ns;
    mw_slice& slice = source.slices[source.slice % 2];
    for (int i = 0; i < networks; ++i) slice.seen[i / 64] |= 1ULL << (i % 64);
    slice.contacts = slice.syns = static_cast<__u32>(networks);
    return source;
  }

  /// The outcome of a first contact, each with a network of its own.
  void outcome(const char* source, mw_event_kind kind, bool is_contact = true) {
    mw_event event{};
    event.source = event.client = address(source);
    event.destination = address("198.18.0.25");
    event.destination.bytes[13] = static_cast<__u8>(18 + last_server_ / 250);
    event.destination.bytes[14] = static_cast<__u8>(last_server_ % 250);
    ++last_server_;
    event.kind = kind;
    event.is_contact = is_contact ? 1 : 0;
    event.started_ns = to_ns(clock_.now().boot - 1s);
    controller_->on_kernel_event(event);
  }
  void outcomes(const char* source, mw_event_kind kind, int times) {
    for (int i = 0; i < times; ++i) outcome(source, kind);
  }

  /// A bot: 16 networks, and 8 first contacts without a message.
  void spams(const char* source) {
    kernel_.sources[address(source)] = met(16);
    outcomes(source, MW_EVENT_UNPRODUCTIVE, 8);
  }

  bool is_blocked(const char* source) const { return kernel_.blocklist.contains(address(source)); }

  std::string directory_;
  Config config_;
  FakeDatapath kernel_;
  FakeClock clock_;
  std::optional<Store> store_;
  std::unique_ptr<Controller> controller_;
  int last_server_ = 0;
  const Order by_root_{.by = "root", .reason = "complaint 4711"};
};

}  // namespace mailweir
