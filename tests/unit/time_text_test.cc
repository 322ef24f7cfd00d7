// SPDX-License-Identifier: GPL-2.0-or-later
// Durations and times as text, both ways.
#include "base/time_text.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <optional>

#include "local_zone.h"

namespace mailweir {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

/// 2026-11-24T14:03:11Z
constexpr WallTime kTime{seconds(1795528991)};

TEST(Duration, IsReadInEveryUnitAndTheirSums) {
  const std::pair<std::string_view, seconds> cases[] = {
      {"1s", 1s},
      {"90s", 90s},
      {"10m", 600s},
      {"24h", 86400s},
      {"7d", 604800s},
      {"1h30m", 5400s},
      {"1d2h3m4s", 93784s},
      {"0h5m", 300s},
      {"007s", 7s},
      {"forever", kForever},
      {"36500d", 36500 * 86400s},
  };
  for (const auto& [text, duration] : cases) {
    const auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, duration) << text;
  }
}

TEST(Duration, WhatIsNoneSaysHowToWriteOne) {
  for (const std::string_view text :
       {"", "0s", "0h0m", "30", "-5m", "+5m", "5 m", " 5m", "5m ", "5min", "5w", "m", "1.5h",
        "Forever", "h1", "5m3", "99999999999999999999s"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(
        parsed.error().message,
        "'" + std::string(text) + "' is not a duration (90s, 10m, 24h, 7d, 1h30m or forever)");
  }
}

TEST(Duration, BeyondAHundredYearsIsForever) {
  for (const std::string_view text : {"36500d1s", "36501d", "3153600000d"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().message, "'" + std::string(text) + "' is too long; write forever");
  }
  EXPECT_TRUE(parse_duration("36500d"));
}

TEST(Duration, IsWrittenInItsTwoLeadingUnits) {
  const std::pair<seconds, std::string_view> cases[] = {
      {0s, "0s"},
      {-5s, "0s"},
      {1s, "1s"},
      {59s, "59s"},
      {60s, "1m"},
      {61s, "1m 1s"},
      {41min, "41m"},
      {2h + 5min, "2h 5m"},
      {2h + 5s, "2h"},
      {24h, "1d"},
      {12 * 24h + 4h, "12d 4h"},
      {24h + 5min, "1d"},
      {26h + 3min, "1d 2h"},
      {kForever, "forever"},
  };
  for (const auto& [duration, text] : cases) EXPECT_EQ(duration_text(duration), text);
}

TEST(Time, IsWrittenAsRfc3339InUtcWithWholeSeconds) {
  EXPECT_EQ(rfc3339(kTime), "2026-11-24T14:03:11Z");
  EXPECT_EQ(rfc3339(kTime + 999ms), "2026-11-24T14:03:11Z") << "cut, not rounded";
  EXPECT_EQ(rfc3339(WallTime{}), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(WallTime{} - 1ms), "1969-12-31T23:59:59Z");
  EXPECT_EQ(date_text(kTime), "2026-11-24");
  const LocalZone zone("UTC-14");
  EXPECT_EQ(rfc3339(kTime), "2026-11-24T14:03:11Z") << "whatever the zone";
  EXPECT_EQ(date_text(kTime), "2026-11-24");
}

TEST(Time, IsReadFromRfc3339) {
  for (const std::string_view text : {"2026-11-24T14:03:11Z", "1970-01-01T00:00:00Z",
                                      "2028-02-29T23:59:59Z", "2100-12-31T00:00:00Z"}) {
    const auto parsed = parse_rfc3339(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(rfc3339(*parsed), text);
  }
  EXPECT_EQ(parse_rfc3339("2026-11-24T14:03:11Z"), kTime);
  const LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(parse_rfc3339("2026-11-24T14:03:11Z"), kTime) << "whatever the zone";
}

TEST(Time, WhatIsNotRfc3339InUtcIsRefused) {
  using namespace std::string_view_literals;
  for (const std::string_view text :
       {""sv, "2026-11-24"sv, "2026-11-24 14:03:11Z"sv, "2026-11-24T14:03:11"sv,
        "2026-11-24T14:03:11+01:00"sv, "2026-11-24T14:03:11Z "sv, " 2026-11-24T14:03:11Z"sv,
        "2026-13-01T00:00:00Z"sv, "2026-02-31T00:00:00Z"sv, "2027-02-29T00:00:00Z"sv,
        "2026-11-24T24:00:00Z"sv, "2026-11-24T14:60:00Z"sv, "2026-1-4T1:2:3Z"sv,
        "26-11-24T14:03:11Z"sv, "2026-11-24T14:03:11Z\0x"sv, "9999-12-31T23:59:59Z"sv, "now"sv})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(Time, IsShownLocallyWithItsZone) {
  {
    const LocalZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
    EXPECT_EQ(local_text(kTime), "2026-11-24 15:03:11 +0100");
    EXPECT_EQ(local_text(kTime - 24h * 120), "2026-07-27 16:03:11 +0200") << "summer";
  }
  const LocalZone zone("UTC0");
  EXPECT_EQ(local_text(kTime), "2026-11-24 14:03:11 +0000");
}

TEST(Now, TellsTheWallTimeOfABootTimeAndBack) {
  const Now now{boot_time(5'000'000'000), kTime};
  EXPECT_EQ(now.wall_of(boot_time(3'000'000'000)), kTime - 2s);
  EXPECT_EQ(now.boot_of(kTime + 1h), boot_time(3'605'000'000'000));
  EXPECT_EQ(now.boot_of(now.wall_of(boot_time(1'000'000))), boot_time(1'000'000));
}

}  // namespace
}  // namespace mailweir
