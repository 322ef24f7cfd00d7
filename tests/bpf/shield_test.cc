// SPDX-License-Identifier: GPL-2.0-or-later
// The shield: SYNs toward the clients, to the ports that are closed for them.
#include "program_fixture.h"

namespace mailweir {
namespace {

class ShieldTest : public PathTest {
 protected:
  void SetUp() override {
    PathTest::SetUp();
    rules_ = default_rules();
    rules_.shielded_ports = {25, 445};
  }
  [[nodiscard]] Packet toward(int client, int other, std::uint16_t port) const {
    return path().ip(path().client(client), path().client(other)).tcp(port);
  }
  /// Adds a flag to what holds for a client's address, as destination.
  void mark(int client, std::uint16_t flag) {
    const mw_addr whole = *parse_address(path().client(client));
    rules_.hosts[whole] = {static_cast<__u16>(MW_SCOPE_INSIDE | flag), 0};
  }
  Ruleset rules_;
};
INSTANTIATE_TEST_SUITE_P(, ShieldTest, ::testing::ValuesIn(all_paths()), path_name);

TEST_P(ShieldTest, ASynFromClientToClientIsDroppedInEveryMode) {
  for (const mw_mode mode : {MW_MODE_OBSERVE, MW_MODE_THROTTLE, MW_MODE_BLOCK}) {
    rules_.mode = mode;
    apply(rules_);
    EXPECT_EQ(drop("shielded"), sent(toward(7, 8, 25).syn()));
    EXPECT_EQ(drop("shielded"), sent(toward(7, 8, 445).syn()));
  }
  EXPECT_FALSE(source(path().key(7))) << "it is no evidence of spam";
}

TEST_P(ShieldTest, NothingElseIs) {
  apply(rules_);
  EXPECT_EQ(uncounted(), sent(toward(7, 8, 80).syn())) << "another port";
  EXPECT_EQ(uncounted(), sent(toward(7, 8, 445).flags(tcp_flag::kSyn | tcp_flag::kAck)))
      << "an answer";
  EXPECT_EQ(uncounted(), sent(toward(7, 8, 445).ack()));
  EXPECT_EQ(pass("flow"), sent(toward(7, 8, 25).ack()));
  EXPECT_EQ(pass("passed"), sent(syn(7, 1, 25))) << "a server outside";
  EXPECT_EQ(uncounted(), sent(syn(7, 1, 445))) << "a server outside";
  rules_.shielded_ports = {};
  apply(rules_);
  EXPECT_EQ(uncounted(), sent(toward(7, 8, 445).syn())) << "no shield";
  EXPECT_EQ(pass("passed"), sent(toward(7, 8, 25).syn())) << "no shield";
}

TEST_P(ShieldTest, AClientWithAServerOfItsOwnIsExempt) {
  mark(8, MW_SCOPE_EXPOSED);
  apply(rules_);
  EXPECT_EQ(uncounted(), sent(toward(7, 8, 445).syn()));
  EXPECT_EQ(pass("passed"), sent(toward(7, 8, 25).syn()));
  EXPECT_EQ(drop("shielded"), sent(toward(7, 9, 445).syn())) << "another client";
  EXPECT_EQ(drop("shielded"), sent(toward(9, 7, 445).syn())) << "other clients";
}

TEST_P(ShieldTest, WhoIsExemptMayConnect) {
  rules_.hosts[path().key(8)] = {MW_SCOPE_INSIDE | MW_SCOPE_EXPOSED, 0};
  apply(rules_);
  EXPECT_EQ(uncounted(), sent(toward(8, 9, 445).syn()));
  EXPECT_EQ(drop("shielded"), sent(toward(9, 7, 445).syn()));
}

TEST_P(ShieldTest, TheAllowlistBeatsIt) {
  rules_.hosts[path().key(7)] = {MW_SCOPE_INSIDE | MW_SCOPE_ALLOWED, 0};
  apply(rules_);
  EXPECT_EQ(pass("would shielded"), sent(toward(7, 8, 445).syn()));
  EXPECT_EQ(pass("passed"), sent(toward(7, 8, 25).syn()));
  EXPECT_EQ(drop("shielded"), sent(toward(9, 8, 445).syn()));
}

TEST_P(ShieldTest, WithoutAControllerItOnlyObserves) {
  rules_.dead_man = 1h;
  apply(rules_);
  beat();
  EXPECT_EQ(drop("shielded"), sent(toward(7, 8, 445).syn()));
  advance(1h + 1ns);
  EXPECT_EQ(pass("would shielded"), sent(toward(7, 8, 445).syn()));
}

}  // namespace
}  // namespace mailweir
