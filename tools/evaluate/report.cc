// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/report.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

#include "evaluate/baselines.h"

namespace mailweir::evaluate {
namespace {

std::string of(std::uint64_t part, std::uint64_t all) {
  return all == 0 ? "-" : fmt::format("{}/{}", part, all);
}
std::string percent(const Interval& share) {
  return fmt::format("{:.2f} to {:.2f} %", share.low * 100, share.high * 100);
}
std::string three(const std::vector<double>& values, int digits) {
  if (values.empty()) return "-";
  return fmt::format("{:.{}f} / {:.{}f} / {:.{}f}", quantile(values, .5), digits,
                     quantile(values, .95), digits, quantile(values, 1), digits);
}
std::string per_thousand(std::uint64_t part, std::uint64_t all) {
  return all == 0
             ? "-"
             : fmt::format("{:.2f}", 1000.0 * static_cast<double>(part) / static_cast<double>(all));
}
std::string title(const ClassTraits& of) {
  return fmt::format("{}{}", of.name, of.is_guess ? " (G)" : "");
}

std::string bounds_table(const Findings& findings) {
  std::string text = "| | bound | found |\n|---|---|---|\n";
  for (const Bound& bound : bounds_of(findings))
    text +=
        fmt::format("| {} | {} | {} |\n", bound.holds ? "yes" : "**NO**", bound.says, bound.found);
  return text;
}

std::string class_row(const std::string& name, const ClassScore& score) {
  const bool mails = score.deliveries > 0;
  return fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", name,
                     of(score.blocked, score.sources), percent(score.share()), score.held,
                     mails ? "-" : three(score.leaks, 0), mails ? "-" : three(score.kilobytes, 1),
                     three(score.seconds, 1), mails ? of(score.lost, score.deliveries) : "-",
                     mails ? per_thousand(score.delayed, score.deliveries) : "-",
                     mails ? fmt::format("{:.0f} s", in_seconds(score.longest_delay)) : "-");
}

std::string class_table(const Scorecard& card) {
  std::string text =
      "| class | blocked | exact 95 % | braked | SYNs leaked: median / p95 / max | payload leaked, "
      "kB | seconds to the block | letters lost | delayed > 10 s, per 1,000 | longest |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  for (std::size_t i = 0; i < kClasses; ++i) {
    const ClassTraits& of_class = traits(static_cast<Class>(i));
    if (card.classes[i].sources > 0)
      text += class_row(of_class.kind == Class::mailing ? "list mailing, .9 and more productive (G)"
                                                        : title(of_class),
                        card.classes[i]);
    if (of_class.kind == Class::mailing && card.poor_mailings.sources > 0)
      text += class_row("list mailing, .8 and .7 productive (G)", card.poor_mailings);
  }
  return text;
}

std::string detector_row(const Scorecard& card) {
  const ClassScore fast = card.fast_bots();
  const ClassScore spam = card.spammers();
  const ClassScore honest = card.honest();
  return fmt::format("| {} | {} | {} | {} ({}) | {} ({}) | {:.3f} | {} | {} | {} |\n",
                     card.detector, of(fast.blocked, fast.sources), three(fast.leaks, 0),
                     of(spam.blocked, spam.sources), percent(spam.share()),
                     of(honest.blocked, honest.sources), percent(honest.share()),
                     card.precision_share(),
                     of(card.poor_mailings.blocked, card.poor_mailings.sources) + ", " +
                         of(card.classes[static_cast<std::size_t>(Class::no_ptr)].blocked,
                            card.classes[static_cast<std::size_t>(Class::no_ptr)].sources),
                     three(fast.seconds, 1), per_thousand(honest.lost, honest.connections));
}

std::string detector_table(const std::vector<const Scorecard*>& cards) {
  std::string text =
      "| detector | fast bots blocked | SYNs they leak: median / p95 / max | recall, all that spam "
      "| false blocks, honest source-days | precision | poor mailings, no PTR | seconds to the "
      "block | honest connections lost, per 1,000 |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const Scorecard* card : cards) text += detector_row(*card);
  return text;
}

std::string recall_table(const std::vector<const Scorecard*>& cards) {
  std::string text = "| blocked source-days |";
  std::string rule = "|---|";
  for (const Scorecard* card : cards) {
    text += " " + card->detector + " |";
    rule += "---|";
  }
  text += "\n" + rule + "\n";
  for (std::size_t i = 0; i < kClasses; ++i) {
    if (cards.front()->classes[i].sources == 0) continue;
    text += fmt::format("| {} |", title(traits(static_cast<Class>(i))));
    for (const Scorecard* card : cards)
      text += " " + of(card->classes[i].blocked, card->classes[i].sources) + " |";
    text += "\n";
  }
  return text;
}

std::string margin_table(const Findings& findings) {
  std::string text =
      "| productive share | mailing, 200 servers | mailing, 1,000 servers | bot, 4.46/s for 5 min "
      "| its leak: median / max |\n|---|---|---|---|---|\n";
  std::vector<double> shares = kMailingShares;
  shares.insert(shares.end(), kBotShares.begin(), kBotShares.end());
  std::ranges::sort(shares, std::greater());
  shares.erase(std::ranges::unique(shares).begin(), shares.end());
  const auto cell = [&](std::uint32_t servers, double share) {
    const auto found = findings.margins.find({servers, share});
    if (found == findings.margins.end()) return std::string("-");
    return fmt::format("{} ({})", of(found->second.blocked, found->second.sources),
                       percent(found->second.share()));
  };
  for (const double share : shares) {
    const auto bot = findings.margins.find({0, share});
    text += fmt::format("| {:.3g} | {} | {} | {} | {} |\n", share, cell(200, share),
                        cell(1000, share), cell(0, share),
                        bot == findings.margins.end()
                            ? "-"
                            : fmt::format("{:.0f} / {:.0f}", quantile(bot->second.leaks, .5),
                                          quantile(bot->second.leaks, 1)));
  }
  return text;
}

/// The lowest share that no mailing was blocked at, with all above it.
std::string break_even(const Findings& findings, std::uint32_t servers) {
  std::string never = "none";
  for (const double share : kMailingShares) {
    const auto found = findings.margins.find({servers, share});
    if (found == findings.margins.end() || found->second.blocked > 0) break;
    never = fmt::format("{:.3g}", share);
  }
  return never;
}

std::string trace_text(const Findings& findings) {
  if (!findings.traces) return "Not run: no recorded traffic was given (MAILWEIR_TRACES).\n";
  const Traces& traces = *findings.traces;
  std::string text = fmt::format(
      "The bot of 2010, {} seeds of the contact hash: blocked {} times, at SYN {} (median / p95 / "
      "max), of which {} reached a server, after {} s.\n\n"
      "| capture | sources | SYNs | frames | blocked | braked or limited |\n"
      "|---|---|---|---|---|---|\n",
      traces.bot.seeds, traces.bot.syns.size(), three(traces.bot.syns, 0),
      three(traces.bot.leaked, 0), three(traces.bot.seconds, 1));
  for (const OtherCapture& other : traces.others)
    if (!other.refused.empty())
      text += fmt::format("| {} | not taken by `mailweir replay`: {} | | | | |\n", other.name,
                          other.refused);
    else
      text += fmt::format("| {} | {} | {} | {} | {} | {} |\n", other.name, other.sources,
                          other.syns, other.frames, other.blocked, other.held);
  return text;
}

double median_leak(const Scorecard& card, Class kind) {
  return quantile(card.classes[static_cast<std::size_t>(kind)].leaks, .5);
}

/// What the bound's one number does not show.
std::string slow_text(const Findings& findings) {
  const auto line = [](const Scorecard& card) {
    return fmt::format("fast {:.0f}, burst {:.0f}, very fast {:.0f}, multi-port {:.0f}; all {:.0f}",
                       median_leak(card, Class::fast_bot), median_leak(card, Class::burst_bot),
                       median_leak(card, Class::very_fast_bot),
                       median_leak(card, Class::multi_port_bot),
                       quantile(card.fast_bots().leaks, .5));
  };
  return fmt::format(
      "\n**The median leak hangs on two things.** The bound is over the four classes together, and "
      "the multi-port bot, whose sessions are over before the next one begins, pulls it down: {}. "
      "And it hangs on when a bot comes back to a server, since a contact that is none counts for "
      "nothing. The capture's bot hardly does at first, and the day's bots are like it. With bots "
      "that come back from the second connection on as often as the capture's did over all: {}. "
      "The first version of the day had those, and was changed to what the capture shows after it "
      "had missed the bound.\n\n"
      "**The brake is no wall.** It asks whether a network is new, of a bitmap of 256 bits. Who "
      "goes on to hundreds of networks fills it, and from then on most new ones look known: of "
      "6,000 SYNs of the scanner that only sends SYNs {:.0f} pass (median), where 20 and one in 2 "
      "s "
      "would be 320. The scanner that completes handshakes is blocked: to a gateway it looks like "
      "a bot.\n",
      line(findings.mailweir), line(findings.early_repeats),
      median_leak(findings.mailweir, Class::syn_scanner));
}

std::string classes_text() {
  std::string text = "| class | what it does |\n|---|---|\n";
  for (std::size_t i = 0; i < kClasses; ++i) {
    const ClassTraits& of_class = traits(static_cast<Class>(i));
    text += fmt::format("| {} | {} |\n", title(of_class), of_class.does);
  }
  return text;
}

std::string method(const Findings& findings) {
  return fmt::format(
      "* A closed loop. The generator makes each client's own packets (headers, with true lengths) "
      "and gives them to the real XDP program and the real controller, on the day's own clock. A "
      "SYN that is dropped comes again after 1, 3, 7, 15, 31 s (bots: 3, 9 s, as captured), a "
      "letter that fails after 5, 10, 20, 40 min, then hourly. Who is a bot and what a server does "
      "is the generator's; it shares no code for outcomes with the detector.\n"
      "* 1 % of all packets is lost beyond the gateway, each way, and the uplink is down from "
      "12:00 "
      "to 12:05.\n"
      "* The silent 90 % of the clients send nothing and are in no count.\n"
      "* Of 840 servers in 1,108 connections the capture meets nearly none twice at first (25 of "
      "25, 92 of 100, 180 of 200): a bot draws from a list of 1,850, which gives that curve.\n"
      "* Bounded, for the sake of time: fast bots pour for two times 10 minutes, 75 minutes apart; "
      "heavy clients for two times 10 minutes; letters are cut at 16 kB; what a block drops is "
      "sent "
      "again 6 times. Bots are done by 21:00. The flood has days of its own, of 105 minutes, {} of "
      "them, with the default table of 65,536 sources; the others have one of 8,192, of which they "
      "fill less than an eighth.\n"
      "* No conntrack: a replay has none, so confirm = \"none\", and a neighbour can get a client "
      "blocked by forging (the two framed classes, kept apart). With conntrack it cannot; the "
      "end-to-end tests show that.\n"
      "* Not shown: IPv6, several machines behind one address, a bot that pads its sessions, what "
      "a real bot does when its connections fail.\n",
      findings.flood.days);
}

}  // namespace

std::string report(const Findings& findings, const std::string& command) {
  ClassScore honest = findings.mailweir.honest();
  honest.add(findings.flood.honest());
  std::vector<const Scorecard*> all{&findings.mailweir};
  for (const Scorecard& card : findings.baselines) all.push_back(&card);
  std::vector<const Scorecard*> ablations{&findings.with_few_seeds};
  for (const Scorecard& card : findings.ablations) ablations.push_back(&card);
  const auto [frames, runs] = std::pair(findings.packets, findings.runs);

  std::string text = fmt::format(
      "# Evaluation: what leaks, and who is wronged\n\nMade by `{}` (root; tools/evaluate): {} "
      "days of {} clients, {} days under a flood of {} forged sources, {} runs of the kernel "
      "program for {} packets. The same command makes the same tables again: days and contact hash "
      "are seeded. A class or a number with (G) is a guess; the others are from captures and "
      "papers.\n\n## The bounds\n\n",
      command, findings.seeds, findings.clients, findings.flood.days, findings.forged, runs,
      frames);
  text += bounds_table(findings);
  text += fmt::format(
      "\nZero false blocks in {} source-days only proves less than {:.1e} (95 %: 3/N), and that of "
      "clients like "
      "these: all honest classes are guesses (G). How yours mail, `mailweir simulate` tells.\n",
      honest.sources, honest.sources == 0 ? 1.0 : 3.0 / static_cast<double>(honest.sources));
  text += "\n## By class\n\n" + class_table(findings.mailweir);
  text +=
      "\nA letter is lost if a block dropped a packet of it, even if it arrived after, or if "
      "anything was dropped of it and the day ended first. A server without PTR is blocked as "
      "expected; allow it. In this run every block is a first one (1 h), since a replay has no "
      "record of earlier ones.\n";
  text += slow_text(findings);
  text += "\n## Against other rules\n\n" + detector_table(all);
  text +=
      "\nFast bots: fast, burst, very fast, multi-port. The other rules are told the truth about "
      "every connection when it is true, SYN-ACKs and outcomes included, and the SYN of their "
      "alarm leaks not: both favours them. Nothing is dropped on their days; from its alarm on a "
      "source counts as blocked for the rest of the day, and what it begins after that as lost. "
      "Of mailweir letters are counted, not connections after a block. Precision: of all blocked "
      "sources but scanners and framed ones, how many spam; a poor mailing and a server without "
      "PTR count as wrong.\n\n![leak against false blocks](evaluation/leak.svg)\n\n";
  text += recall_table(all);
  text += "\nThe rules:\n\n";
  for (const BaselineKind& kind : baseline_kinds())
    text += fmt::format("* **{}**: {}\n", kind.name, kind.rule);
  text += fmt::format("\n## What each part is worth\n\nThe first {} of the days.\n\n",
                      findings.ablation_seeds) +
          detector_table(ablations);
  const Scorecard& no_gate = findings.ablations.front();
  text += fmt::format(
      "\nThe gate saves nobody on these days ({} false blocks without it), and costs recall ({} of "
      "{} with it, {} without): slow bots pass below it. What it gives is a promise, not a number: "
      "a client of fewer servers is never blocked.",
      no_gate.honest().blocked, findings.with_few_seeds.spammers().blocked,
      no_gate.spammers().sources, no_gate.spammers().blocked);
  text +=
      " Contacts by address: every server stands alone in its /24, which is what a /32 would "
      "count. message_bytes: what the captures' bots send when refused (at most 120 B) and what a "
      "letter "
      "takes (574 B) leave a gap, and the made-up sessions keep it. Left out: no refund, which is "
      "not a setting.\n";
  text += fmt::format(
      "\n## Where it turns\n\n{} sources of each kind, blocked of tried (exact 95 %). Mailings of "
      "200 servers: none is blocked down to a productive share of {}; of 1,000: down to {}.\n\n",
      findings.trials, break_even(findings, 200), break_even(findings, 1000));
  text += margin_table(findings);
  text += "\n![blocked by productive share](evaluation/margins.svg)\n";
  text += "\n## Under a flood of forged sources\n\n" + class_table(findings.flood);
  text += "\n## Recorded traffic\n\n" + trace_text(findings);
  text += "\n## How it is done, and what it does not show\n\n" + method(findings);
  text += "\n" + classes_text();
  return text;
}

}  // namespace mailweir::evaluate
