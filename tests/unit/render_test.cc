// SPDX-License-Identifier: GPL-2.0-or-later
// Text for terminals and pipes: what is safe, how it lines up, what a machine can read again.
#include "cli/render.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "base/time_text.h"
#include "cli/body.h"

namespace mailweir {
namespace {

struct TextCase {
  std::string given;
  std::string printed;
};

TEST(RenderTest, TextCannotCommandATerminal) {
  const TextCase cases[] = {
      {"mail server of Müller, 50 €, 日本", "mail server of Müller, 50 €, 日本"},
      {"", ""},
      {"\x1b[2J", "\\x1b[2J"},
      {"a\nb\tc\r", "a\\x0ab\\x09c\\x0d"},
      {std::string("nul\0!", 5), "nul\\x00!"},
      {"\x7f", "\\x7f"},
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"},  // C1: CSI in one character
      {"\xe2\x80\xae"
       "txt.exe",
       "\\xe2\\x80\\xaetxt.exe"},  // right-to-left override
      {"\xff\xfe", "\\xff\\xfe"},
      {"cut \xe2\x82", "cut \\xe2\\x82"},
      {"\xc0\xaf", "\\xc0\\xaf"},           // overlong
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},  // a surrogate
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
      {"\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7"},
  };
  for (const TextCase& c : cases) EXPECT_EQ(c.printed, printable(c.given));
}

TEST(RenderTest, NumbersAreGroupedInThreesByASpace) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0"},
      {999, "999"},
      {1284, "1 284"},
      {65536, "65 536"},
      {1000000, "1 000 000"},
      {18446744073709551615U, "18 446 744 073 709 551 615"}};
  for (const auto& [number, text] : cases) EXPECT_EQ(text, grouped(number));
  EXPECT_EQ("0 rules", counted(0, "rule"));
  EXPECT_EQ("1 rule", counted(1, "rule"));
  EXPECT_EQ("1 284 rules", counted(1284, "rule"));
}

TEST(RenderTest, BytesReadAsIptablesPrintsThem) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0"},         {99999, "99999"},      {114240, "114K"},    {9999499, "9999K"},
      {9999500, "10M"}, {9999498999, "9999M"}, {12345678901, "12G"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(text, bytes_text(bytes));
}

TEST(RenderTest, SizesHaveTheirUnit) {
  const std::pair<std::uint64_t, const char*> cases[] = {
      {0, "0 B"},           {1023, "1023 B"},       {1024, "1.0 KiB"},
      {10136, "9.9 KiB"},   {10200, "10 KiB"},      {1047000, "1022 KiB"},
      {1048064, "1.0 MiB"}, {123456789, "118 MiB"}, {1ULL << 50, "1.0 PiB"}};
  for (const auto& [bytes, text] : cases) EXPECT_EQ(text, volume_text(bytes));
}

TEST(RenderTest, AShellTakesAWordAgain) {
  const std::pair<const char*, const char*> cases[] = {
      {"172.16.0.0/12", "172.16.0.0/12"}, {"--for", "--for"},     {"", "''"},
      {"ticket 4711", "'ticket 4711'"},   {"it's", "'it'\\''s'"}, {"$(reboot)", "'$(reboot)'"}};
  for (const auto& [word, quoted] : cases) EXPECT_EQ(quoted, shell_word(word));
}

TEST(RenderTest, ColourIsAroundAWordThatIsThereWithoutIt) {
  EXPECT_EQ("blocked", Style(false).paint("blocked", Tone::bad));
  EXPECT_EQ("\x1b[1;31mblocked\x1b[0m", Style(true).paint("blocked", Tone::bad));
  EXPECT_EQ("plain", Style(true).paint("plain", Tone::plain));
}

std::string printed(const Table& table, const Style& style, std::optional<unsigned> width) {
  std::ostringstream out;
  table.print(out, style, width);
  return out.str();
}

TEST(RenderTest, ColumnsLineUpWhateverIsInThemAndColourDoesNotCount) {
  Table table({{"SOURCE"}, {"SYN", true}, {"STATE"}, {"REASON"}});
  table.add({std::string("172.16.7.70"), grouped(2118), Cell{"blocked", Tone::bad},
             std::string("Müller")});
  table.add({std::string("172.16.10.1"), grouped(7), Cell{"ok", Tone::good}, std::string("")});
  EXPECT_EQ(
      "SOURCE         SYN  STATE    REASON\n"
      "172.16.7.70  2 118  blocked  Müller\n"
      "172.16.10.1      7  ok\n",
      printed(table, Style(false), std::nullopt));
  EXPECT_EQ(
      "SOURCE         SYN  STATE    REASON\n"
      "172.16.7.70  2 118  \x1b[1;31mblocked\x1b[0m  Müller\n"
      "172.16.10.1      7  \x1b[32mok\x1b[0m\n",
      printed(table, Style(true), std::nullopt));
}

TEST(RenderTest, OnlyTheLastColumnIsCutAndOnlyToATerminal) {
  Table table({{"A"}, {"REASON"}});
  table.add({std::string("x"), std::string("ärger mit dem alten Rechner im Keller")});
  EXPECT_EQ("A  REASON\nx  ärger mit d..\n", printed(table, Style(false), 16));
  EXPECT_EQ("A  REASON\nx  ärger mit dem alten Rechner im Keller\n",
            printed(table, Style(false), std::nullopt));
}

TEST(RenderTest, LabelledTextWrapsAtWordsUnderItself) {
  std::ostringstream wide;
  print_labelled(wide, "because", "16 connections to 16 networks", std::nullopt);
  EXPECT_EQ("  because    16 connections to 16 networks\n", wide.str());
  std::ostringstream narrow;
  print_labelled(narrow, "because", "16 connections to 16 networks", 31);
  EXPECT_EQ(
      "  because    16 connections to\n"
      "             16 networks\n",
      narrow.str());
  std::ostringstream word;
  print_labelled(word, "kernel", "averyveryverylongword end", 20);
  EXPECT_EQ(
      "  kernel     averyveryverylongword\n"
      "             end\n",
      word.str());
}

TEST(RenderTest, CsvQuotesWhatNeedsItAndKeepsOneLineARecord) {
  EXPECT_EQ("plain,\"with, comma\",\"say \"\"hi\"\"\",",
            csv_line({"plain", "with, comma", "say \"hi\"", ""}));
  EXPECT_EQ("a\\x0ab,c", csv_line({"a\nb", "c"}));
}

TEST(BodyTest, MissingKeysAndWrongTypesReadAsNothing) {
  const nlohmann::json body = {{"window", {{"syns", 7}}}, {"text", "a\x1b"}, {"less", -3},
                               {"null", nullptr},         {"list", {1}},     {"half", 1.5}};
  EXPECT_EQ(7U, number(field(body, "window", "syns")));
  EXPECT_EQ(0U, number(field(body, "window", "no")));
  EXPECT_EQ(0U, number(field(body, "text", "deeper", "still")));
  EXPECT_EQ(0U, number(field(body, "less")));
  EXPECT_EQ(1U, number(field(body, "half")));
  EXPECT_EQ("a\\x1b", text(field(body, "text")));
  EXPECT_EQ("", text(field(body, "null")));
  EXPECT_EQ("[1]", text(field(body, "list")));
  EXPECT_FALSE(flag(field(body, "text")));
  EXPECT_EQ("-", local(field(body, "text")));
  EXPECT_TRUE(field(nlohmann::json(), "x").is_null());
}

TEST(BodyTest, AddressesAreSortedAsNumbers) {
  nlohmann::json list;
  for (const char* source :
       {"172.16.10.1", "2001:db8:1::/64", "172.16.9.1", "198.51.100.1", "172.16.9.0/24"})
    list.push_back({{"source", source}});
  std::vector<std::string> order;
  for (const auto& entry : sorted_by_address(list, "source"))
    order.push_back(text(field(entry, "source")));
  EXPECT_EQ((std::vector<std::string>{"172.16.9.0/24", "172.16.9.1", "172.16.10.1", "198.51.100.1",
                                      "2001:db8:1::/64"}),
            order);
}

TEST(BodyTest, TheAgeOfATimeIsInTheWordsOfPeople) {
  const WallTime now = std::chrono::system_clock::from_time_t(1795525391);
  const auto at = [&](int seconds) {
    return nlohmann::json(rfc3339(now - std::chrono::seconds(seconds)));
  };
  EXPECT_EQ("now", ago(at(0), now));
  EXPECT_EQ("now", ago(at(-5), now)) << "clocks differ";
  EXPECT_EQ("41s ago", ago(at(41), now));
  EXPECT_EQ("2h 5m ago", ago(at(7500), now));
  EXPECT_EQ("-", ago(nullptr, now));
}

}  // namespace
}  // namespace mailweir
