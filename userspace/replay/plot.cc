// SPDX-License-Identifier: GPL-2.0-or-later
#include "replay/plot.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace mailweir {
namespace {

constexpr double kWidth = 900, kPanel = 190, kLeft = 60, kRight = 80, kTop = 34, kBottom = 26;
constexpr double kScoreUnit = 256;

/// One source's part of the picture.
class Panel {
 public:
  Panel(const SourceReplay& source, double seconds, double top, double threshold)
      : source_(source), seconds_(std::max(seconds, 1.0)), top_(top), threshold_(threshold) {
    for (const TimelinePoint& point : source.timeline) {
      most_syns_ = std::max(most_syns_, static_cast<double>(point.syns) + point.dropped);
      most_score_ = std::max(most_score_, point.score_256ths / kScoreUnit);
    }
    most_score_ = std::max(most_score_, threshold * 1.1);
  }

  [[nodiscard]] std::string draw(WallTime first) const {
    return frame() + bars() + score() + block(first);
  }

 private:
  [[nodiscard]] double bottom() const { return top_ + kPanel - kBottom; }
  [[nodiscard]] double height() const { return kPanel - kBottom - kTop; }
  [[nodiscard]] double x(double second) const {
    return kLeft + second / seconds_ * (kWidth - kLeft - kRight);
  }
  [[nodiscard]] double y(double value, double most) const {
    return bottom() - value / std::max(most, 1.0) * height();
  }

  [[nodiscard]] std::string frame() const {
    std::string svg = fmt::format(
        "<text x='{}' y='{:.0f}' class='name'>{}</text>\n"
        "<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' class='axis'/>\n"
        "<text x='{}' y='{:.0f}' class='left'>{:.0f}/s</text>\n"
        "<text x='{}' y='{:.0f}'>score {:.1f}</text>\n",
        kLeft, top_ + 20, to_string(source_.key), kLeft, kWidth - kRight, bottom(), bottom(),
        kLeft - 6, top_ + kTop + 8, most_syns_, kWidth - kRight + 4, top_ + kTop + 8, most_score_);
    for (int tick = 0; tick <= 5; ++tick) {
      const double second = seconds_ * tick / 5;
      svg += fmt::format("<text x='{:.0f}' y='{:.0f}' class='tick'>{:.0f} s</text>\n", x(second),
                         bottom() + 16, second);
    }
    return svg + fmt::format("<line x1='{}' x2='{}' y1='{:.1f}' y2='{:.1f}' class='threshold'/>\n",
                             kLeft, kWidth - kRight, y(threshold_, most_score_),
                             y(threshold_, most_score_));
  }

  [[nodiscard]] std::string bars() const {
    std::string svg;
    const double width = std::max(1.0, (kWidth - kLeft - kRight) / seconds_ * 0.8);
    for (const TimelinePoint& point : source_.timeline) {
      const auto at = static_cast<double>(point.at.count());
      const auto bar = [&](double from, double to, const char* kind) {
        if (to > from)
          svg += fmt::format(
              "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' class='{}'/>\n", x(at),
              y(to, most_syns_), width, y(from, most_syns_) - y(to, most_syns_), kind);
      };
      const double passed = point.syns > point.held ? point.syns - point.held : 0;
      bar(0, passed, "passed");
      bar(passed, point.syns, "held");
      bar(point.syns, point.syns + static_cast<double>(point.dropped), "dropped");
    }
    return svg;
  }

  [[nodiscard]] std::string score() const {
    std::string points;
    for (const TimelinePoint& point : source_.timeline)
      points += fmt::format("{:.1f},{:.1f} ", x(static_cast<double>(point.at.count())),
                            y(point.score_256ths / kScoreUnit, most_score_));
    return "<polyline points='" + points + "' class='score'/>\n";
  }

  [[nodiscard]] std::string block(WallTime first) const {
    if (!source_.block) return "";
    const double at = std::chrono::duration<double>(source_.block->since - first).count();
    return fmt::format(
        "<line x1='{0:.1f}' x2='{0:.1f}' y1='{1:.1f}' y2='{2:.1f}' class='block'/>\n"
        "<text x='{3:.1f}' y='{4:.1f}' class='block-text'>blocked after {5} SYNs</text>\n",
        x(at), top_ + kTop, bottom(), x(at) + 4, top_ + kTop + 10, source_.syns);
  }

  const SourceReplay& source_;
  double seconds_;
  double top_;
  double threshold_;
  double most_syns_ = 1;
  double most_score_ = 1;
};

constexpr const char* kStyle = R"(<style>
text{font:11px sans-serif;fill:#333} .name{font-weight:bold;font-size:13px} .left{text-anchor:end}
.tick{text-anchor:middle;fill:#777} .axis{stroke:#999} .threshold{stroke:#c60;stroke-dasharray:5 4}
.passed{fill:#7a9cc6} .held{fill:#d9c27a} .dropped{fill:#e0b0b0} .score{fill:none;stroke:#c60;stroke-width:1.5}
.block{stroke:#b00;stroke-width:2} .block-text{fill:#b00}
</style>
)";

}  // namespace

std::string timeline_svg(const std::vector<const SourceReplay*>& sources,
                         const ReplayResult& result, double threshold) {
  const WallTime first = result.first.value_or(WallTime{});
  const double seconds = std::chrono::duration<double>(result.last.value_or(first) - first).count();
  const double height = kPanel * static_cast<double>(std::max<std::size_t>(sources.size(), 1)) + 20;
  std::string svg = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}'>\n"
      "<rect width='{0}' height='{1}' fill='white'/>\n{2}",
      kWidth, height, kStyle);
  double top = 0;
  for (const SourceReplay* source : sources) {
    svg += Panel(*source, seconds, top, threshold).draw(first);
    top += kPanel;
  }
  return svg + fmt::format(
                   "<text x='{}' y='{:.0f}'>in a second: SYNs that passed (blue), that limit "
                   "or brake held (yellow), packets that the block dropped (red); orange: "
                   "score and its threshold</text>\n</svg>\n",
                   kLeft, height - 6);
}

}  // namespace mailweir
