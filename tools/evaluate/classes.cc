// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/classes.h"

#include <algorithm>
#include <array>

namespace mailweir::evaluate {
namespace {

constexpr std::array<ClassTraits, kClasses> kTraits{{
    {Class::plain, "plain client", Label::honest, true, true,
     "one server (10 %: two or three), 3 to 7 letters in 18 h, at least 574 B, 2 % failures"},
    {Class::heavy, "heavy, single server", Label::honest, true, true,
     "30 to 95 letters a minute to one server, in two busy times of 10 minutes"},
    {Class::outage, "outage client", Label::honest, true, true,
     "one dead server, retried every 5 to 60 s for 2 to 6 h"},
    {Class::mail_server, "own mail server", Label::honest, true, true,
     "20 to 200 servers, .90 productive, 10 to 30 % greylist for 5 to 15 min; 30 % of its letters "
     "go to 2 to 12 servers at once"},
    {Class::mailing, "list mailing", Label::honest, false, true,
     "200 or 1,000 new servers at 2 to 5/s, productive .95 .9 .8 .7 in turn"},
    {Class::no_ptr, "server without PTR", Label::expected, false, true,
     "as a mail server with 200 servers, .30 productive"},
    {Class::framed_answering, "framed, servers answer", Label::framed, false, true,
     "mails every 20 minutes; a neighbour forges SYN, ACK, FIN in its name, to 20 servers"},
    {Class::framed_silent, "framed, servers silent", Label::framed, false, true,
     "the same, toward servers that do not answer"},
    {Class::syn_scanner, "scanner, SYN only", Label::scanner, false, true,
     "10 SYNs/s to new networks for 10 min, 90 % silent; a RST where one answers"},
    {Class::connect_scanner, "scanner, connects", Label::scanner, false, true,
     "the same, and completes the handshake where one answers"},
    {Class::fast_bot, "fast bot", Label::bot, true, false,
     "4.46/s, gaps of median 92 ms and p90 284 ms, at most 13/s, 840 servers in 1,108 connections, "
     "answered .949, "
     "productive .114; 10 minutes, and again 75 minutes later"},
    {Class::burst_bot, "burst bot", Label::bot, true, false,
     "12 SYNs in 90 ms, then as the fast bot"},
    {Class::very_fast_bot, "very fast bot", Label::bot, true, false, "as the fast bot, 6.9/s"},
    {Class::multi_port_bot, "multi-port bot", Label::bot, true, false,
     "18.4/min over 25, 465, 587 = 28, 30, 42 %; port 25 productive .02; 60 minutes"},
    {Class::slow_bot_10, "slow bot, 10 s", Label::bot, false, true,
     "one new server every 10 s, for 3 h; outcomes as the fast bot"},
    {Class::slow_bot_60, "slow bot, 60 s", Label::bot, false, true, "every 60 s, for 12 h"},
    {Class::slow_bot_300, "slow bot, 300 s", Label::bot, false, true, "every 300 s, for 20 h"},
    {Class::padding_bot, "adversary, productive .3 to .6", Label::attacker, false, true,
     "as the fast bot, with so many messages that are taken"},
    {Class::aligned_bot, "adversary, aligned networks", Label::attacker, false, true,
     "as the fast bot, to networks X.Y.0.0/24 only: hopes for collisions of a hash whose seed it "
     "does not know"},
    {Class::churn_bot, "fast bot under forged flood", Label::attacker, false, true,
     "as the fast bot, 10 minutes, while another forges SYNs of a million sources"},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < kTraits.size(); ++i)
    if (static_cast<std::size_t>(kTraits[i].kind) != i) return false;
  return true;
}
static_assert(in_order(), "indexed by Class");

}  // namespace

const ClassTraits& traits(Class kind) {
  return kTraits[static_cast<std::size_t>(kind)];
}

std::size_t SourceDay::leaked(std::optional<Time> blocked) const {
  if (!blocked) return passed.size();
  return static_cast<std::size_t>(std::ranges::upper_bound(passed, *blocked) - passed.begin());
}

}  // namespace mailweir::evaluate
