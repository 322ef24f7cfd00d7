// SPDX-License-Identifier: GPL-2.0-or-later
#include "evaluate/picture.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cmath>

namespace mailweir::evaluate {
namespace {

constexpr double kWidth = 760, kHeight = 440, kLeft = 70, kRight = 170, kTop = 30, kBottom = 60;

std::string head(const std::string& across, const std::string& up) {
  const double bottom = kHeight - kBottom;
  return fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' font-family='sans-serif' "
      "font-size='12'>\n<rect width='{0}' height='{1}' fill='white'/>\n"
      "<path d='M{2} {3}V{4}H{5}' fill='none' stroke='black'/>\n"
      "<text x='{6}' y='{7}' text-anchor='middle'>{8}</text>\n"
      "<text transform='translate(16 {9}) rotate(-90)' text-anchor='middle'>{10}</text>\n",
      kWidth, kHeight, kLeft, kTop, bottom, kWidth - kRight, (kLeft + kWidth - kRight) / 2,
      kHeight - 14, across, (kTop + bottom) / 2, up);
}

double across(double part) {
  return kLeft + part * (kWidth - kRight - kLeft);
}
double up(double part) {
  return kHeight - kBottom - part * (kHeight - kBottom - kTop);
}

std::string tick_across(double part, const std::string& text) {
  return fmt::format(
      "<path d='M{0:.1f} {1}v5' stroke='black'/><text x='{0:.1f}' y='{2}' "
      "text-anchor='middle'>{3}</text>\n",
      across(part), kHeight - kBottom, kHeight - kBottom + 18, text);
}
std::string tick_up(double part, const std::string& text) {
  return fmt::format(
      "<path d='M{0} {1:.1f}h-5' stroke='black'/><text x='{2}' y='{3:.1f}' "
      "text-anchor='end'>{4}</text>\n",
      kLeft, up(part), kLeft - 8, up(part) + 4, text);
}

/// Per 1,000; what is less than 0.1 stands at the left edge.
double false_part(const Scorecard& card) {
  const ClassScore honest = card.honest();
  const double share = honest.sources == 0 ? 0
                                           : 1000.0 * static_cast<double>(honest.blocked) /
                                                 static_cast<double>(honest.sources);
  return (std::log10(std::max(share, 0.1)) + 1) / 3.0;
}
double leak_part(const Scorecard& card) {
  return std::log10(std::max(quantile(card.fast_bots().leaks, .5), 1.0)) / 4;
}

struct Spot {
  double x, y;
  std::string name, colour;
};

/// Labels that would lie on each other are pushed down.
std::string spots(std::vector<Spot> all) {
  std::ranges::sort(all, {}, [](const Spot& spot) { return std::pair(spot.y, spot.x); });
  std::string svg;
  double last = -100;
  for (const Spot& spot : all) {
    const double label = std::max(spot.y + 4, last + 13);
    last = label;
    svg += fmt::format(
        "<circle cx='{0:.1f}' cy='{1:.1f}' r='5' fill='{2}'/><path d='M{0:.1f} {1:.1f}L{3} "
        "{4:.1f}' stroke='{2}' stroke-width='.5'/><text x='{5}' y='{6:.1f}' "
        "fill='{2}'>{7}</text>\n",
        spot.x, spot.y, spot.colour, kWidth - kRight + 8, label - 4, kWidth - kRight + 12, label,
        spot.name);
  }
  return svg;
}

}  // namespace

std::string leak_picture(const Findings& findings) {
  std::string svg = head("false blocks of 1,000 honest source-days (none: left edge)",
                         "SYNs leaked before the block, median of the fast bots");
  for (const auto& [part, text] :
       {std::pair{0.0, "0"}, {1.0 / 3, "1"}, {2.0 / 3, "10"}, {1.0, "100"}})
    svg += tick_across(part, text);
  for (int power = 0; power <= 4; ++power)
    svg += tick_up(power / 4.0, fmt::format("{:.0f}", std::pow(10, power)));
  std::vector<Spot> all;
  const auto add = [&all](const Scorecard& card, const std::string& colour) {
    all.push_back({across(false_part(card)), up(leak_part(card)), card.detector, colour});
  };
  for (const Scorecard& card : findings.baselines) add(card, "#777777");
  for (const Scorecard& card : findings.ablations) add(card, "#2277bb");
  add(findings.mailweir, "#cc2222");
  return svg + spots(std::move(all)) + "</svg>\n";
}

std::string margin_picture(const Findings& findings) {
  std::string svg = head("productive share of first contacts", "share of sources that is blocked");
  for (int tenth = 1; tenth <= 10; tenth += 1)
    svg +=
        tick_across((tenth - 1) / 9.0, tenth == 10 ? std::string("1") : fmt::format(".{}", tenth));
  for (int fifth = 0; fifth <= 5; ++fifth)
    svg += tick_up(fifth / 5.0, fmt::format("{} %", fifth * 20));
  const std::vector<std::pair<std::uint32_t, std::string>> kinds{
      {0, "#cc2222"}, {200, "#2277bb"}, {1000, "#228833"}};
  double row = kTop + 10;
  for (const auto& [servers, colour] : kinds) {
    std::string path;
    for (const auto& [at, score] : findings.margins) {
      if (at.first != servers || score.sources == 0) continue;
      const double x = across((at.second - 0.1) / 0.9);
      const double share = static_cast<double>(score.blocked) / static_cast<double>(score.sources);
      const Interval exact = score.share();
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, up(share));
      svg += fmt::format(
          "<path d='M{0:.1f} {1:.1f}V{2:.1f}' stroke='{3}' stroke-width='.7'/><circle cx='{0:.1f}' "
          "cy='{4:.1f}' r='3.5' fill='{3}'/>\n",
          x, up(exact.low), up(exact.high), colour, up(share));
    }
    svg += fmt::format("<path d='{}' fill='none' stroke='{}'/>\n", path, colour);
    svg +=
        fmt::format("<text x='{}' y='{}' fill='{}'>{}</text>\n", kWidth - kRight + 12, row, colour,
                    servers == 0 ? std::string("bot, 4.46/s, 5 min")
                                 : fmt::format("mailing, {} servers", servers));
    row += 18;
  }
  return svg + "</svg>\n";
}

}  // namespace mailweir::evaluate
