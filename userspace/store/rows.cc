// SPDX-License-Identifier: GPL-2.0-or-later
#include "store/rows.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

namespace mailweir::rows {
namespace {

using std::chrono::milliseconds;

constexpr const char* kInsertDecision = R"(
INSERT INTO decisions VALUES (:number, :node, :source, :ipv6_prefix, :origin, :would, :since, :until,
  :by, :reason, :syns, :networks, :answered, :unanswered, :finished, :no_message, :message_bytes,
  :braked, :limited, :score_256ths, :threshold_256ths, :unconfirmed, :lost, :examples, :first_seen,
  :last_seen, :ended, :end_cause, :dropped_packets, :dropped_bytes))";
constexpr const char* kUpdateDecision = R"(
UPDATE decisions SET until_ms = :until, ended_ms = :ended, end_cause = :end_cause,
  dropped_packets = :dropped_packets, dropped_bytes = :dropped_bytes WHERE number = :number)";
std::int64_t to_ms(WallTime time) {
  return std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
}

void bind_time(SQLite::Statement& statement, const char* name,
               const std::optional<WallTime>& time) {
  if (time)
    statement.bind(name, to_ms(*time));
  else
    statement.bind(name);
}

void bind_count(SQLite::Statement& statement, const char* name, std::uint64_t count) {
  constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  statement.bind(name, static_cast<std::int64_t>(std::min(count, most)));
}

/// What update() may change, and add() writes too.
void bind_outcome(SQLite::Statement& statement, const Decision& decision) {
  statement.bind(":number", decision.number);
  bind_time(statement, ":until", decision.until);
  bind_time(statement, ":ended", decision.ended);
  if (decision.end_cause)
    statement.bind(":end_cause", std::string(to_string(*decision.end_cause)));
  else
    statement.bind(":end_cause");
  bind_count(statement, ":dropped_packets", decision.dropped_packets);
  bind_count(statement, ":dropped_bytes", decision.dropped_bytes);
}

std::string joined(const std::vector<mw_addr>& addresses) {
  std::string text;
  for (const mw_addr& address : addresses) text += (text.empty() ? "" : ",") + to_string(address);
  return text;
}

/// Nothing if one of them is none.
std::optional<std::vector<mw_addr>> parse_addresses(std::string_view text) {
  std::vector<mw_addr> addresses;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    const auto address = parse_address(word);
    if (!address) return std::nullopt;
    addresses.push_back(*address);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return addresses;
}

/// Nothing if they are not as many numbers as there are gates.
std::optional<decltype(SourceDay::score_most)> parse_scores(std::string_view text) {
  decltype(SourceDay::score_most) scores{};
  for (std::uint32_t& score : scores) {
    const char* const end = text.data() + text.size();
    const auto [at, failed] = std::from_chars(text.data(), end, score);
    if (failed != std::errc{} || (at != end && *at != ',')) return std::nullopt;
    text.remove_prefix(std::min(text.size(), static_cast<std::size_t>(at - text.data()) + 1));
  }
  return text.empty() ? std::optional(scores) : std::nullopt;
}

/// Without evidence its columns stay NULL.
void bind_evidence(SQLite::Statement& statement, const Evidence& evidence) {
  statement.bind(":syns", evidence.syns);
  statement.bind(":networks", evidence.networks);
  statement.bind(":answered", evidence.answered);
  statement.bind(":unanswered", evidence.unanswered);
  statement.bind(":finished", evidence.finished);
  statement.bind(":no_message", evidence.no_message);
  statement.bind(":message_bytes", evidence.message_bytes);
  statement.bind(":braked", evidence.braked);
  statement.bind(":limited", evidence.limited);
  statement.bind(":score_256ths", evidence.score_256ths);
  statement.bind(":threshold_256ths", evidence.threshold_256ths);
  statement.bind(":unconfirmed", evidence.unconfirmed);
  bind_count(statement, ":lost", evidence.lost);
  statement.bind(":examples", joined(evidence.examples));
  bind_time(statement, ":first_seen", evidence.first_seen);
  bind_time(statement, ":last_seen", evidence.last_seen);
}

void insert_one(SQLite::Statement& statement, const Decision& decision) {
  statement.reset();
  statement.clearBindings();
  statement.bind(":node", decision.node);
  statement.bind(":source", to_string(decision.source));
  statement.bind(":ipv6_prefix", static_cast<int>(decision.ipv6_prefix));
  statement.bind(":origin", std::string(to_string(decision.origin)));
  statement.bind(":would", static_cast<int>(decision.would));
  bind_time(statement, ":since", decision.since);
  statement.bind(":by", decision.by);
  statement.bind(":reason", decision.reason);
  if (decision.evidence) bind_evidence(statement, *decision.evidence);
  bind_outcome(statement, decision);
  statement.exec();
}

/// Reads the columns of a row by name; what cannot be ours is Unreadable.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  [[nodiscard]] bool has(const char* name) { return !statement_.getColumn(name).isNull(); }
  [[nodiscard]] std::string text(const char* name) {
    return statement_.getColumn(name).getString();
  }
  [[nodiscard]] std::int64_t integer(const char* name) {
    return statement_.getColumn(name).getInt64();
  }

  template <typename T>
  [[nodiscard]] T count(const char* name) {
    const std::int64_t value = integer(name);
    if (!std::in_range<T>(value)) throw unreadable(name);
    return static_cast<T>(value);
  }
  [[nodiscard]] WallTime time(const char* name) {
    constexpr std::int64_t most =
        std::chrono::floor<milliseconds>(WallTime::max().time_since_epoch()).count();
    const std::int64_t value = integer(name);
    if (value > most || value < -most) throw unreadable(name);
    return WallTime(milliseconds(value));
  }
  [[nodiscard]] std::optional<WallTime> optional_time(const char* name) {
    return has(name) ? std::optional(time(name)) : std::nullopt;
  }
  template <typename Parse>
  [[nodiscard]] auto parsed(const char* name, Parse parse) {
    auto value = parse(text(name));
    if (!value) throw unreadable(name);
    return *value;
  }

 private:
  [[nodiscard]] Unreadable unreadable(const char* name) {
    return {fmt::format("{} '{}' of row {} means nothing", name, text(name),
                        statement_.getColumn(0).getString())};
  }

  SQLite::Statement& statement_;
};

Evidence read_evidence(Row& row) {
  return {.syns = row.count<std::uint32_t>("syns"),
          .networks = row.count<std::uint32_t>("networks"),
          .answered = row.count<std::uint32_t>("answered"),
          .unanswered = row.count<std::uint32_t>("unanswered"),
          .finished = row.count<std::uint32_t>("finished"),
          .no_message = row.count<std::uint32_t>("no_message"),
          .message_bytes = row.count<std::uint32_t>("message_bytes"),
          .braked = row.count<std::uint32_t>("braked"),
          .limited = row.count<std::uint32_t>("limited"),
          .score_256ths = row.count<std::uint32_t>("score_256ths"),
          .threshold_256ths = row.count<std::uint32_t>("threshold_256ths"),
          .unconfirmed = row.count<std::uint32_t>("unconfirmed"),
          .lost = row.count<std::uint64_t>("lost"),
          .first_seen = row.time("first_seen_ms"),
          .last_seen = row.time("last_seen_ms"),
          .examples = row.parsed("examples", parse_addresses)};
}

Decision read_decision(Row row) {
  Decision decision;
  decision.node = row.text("node");
  decision.number = row.count<std::uint32_t>("number");
  decision.source = row.parsed("source", parse_address);
  decision.ipv6_prefix = row.count<std::uint8_t>("ipv6_prefix");
  decision.origin = row.parsed("origin", parse_origin);
  decision.would = row.integer("would") != 0;
  decision.since = row.time("since_ms");
  decision.until = row.optional_time("until_ms");
  decision.by = row.text("decided_by");
  decision.reason = row.text("reason");
  if (row.has("syns")) decision.evidence = read_evidence(row);
  decision.ended = row.optional_time("ended_ms");
  if (row.has("end_cause")) decision.end_cause = row.parsed("end_cause", parse_end_cause);
  decision.dropped_packets = row.count<std::uint64_t>("dropped_packets");
  decision.dropped_bytes = row.count<std::uint64_t>("dropped_bytes");
  return decision;
}

std::vector<Decision> read_decisions(SQLite::Statement& select) {
  std::vector<Decision> decisions;
  while (select.executeStep()) decisions.push_back(read_decision(Row(select)));
  return decisions;
}

}  // namespace

std::uint32_t last_number(SQLite::Database& database) {
  SQLite::Statement select(database, "SELECT name, value FROM meta WHERE name = 'last_number'");
  if (!select.executeStep()) throw Unreadable{"last_number is missing"};
  return Row(select).count<std::uint32_t>("value");
}

void insert(SQLite::Database& database, const std::vector<Decision>& decisions) {
  SQLite::Statement add(database, kInsertDecision);
  SQLite::Statement raise(database,
                          "UPDATE meta SET value = max(value, ?) WHERE name = 'last_number'");
  for (const Decision& decision : decisions) {
    insert_one(add, decision);
    raise.reset();
    raise.bind(1, decision.number);
    raise.exec();
  }
}

bool update(SQLite::Database& database, const Decision& decision) {
  SQLite::Statement change(database, kUpdateDecision);
  bind_outcome(change, decision);
  return change.exec() == 1;
}

std::vector<Decision> open_decisions(SQLite::Database& database) {
  SQLite::Statement select(database,
                           "SELECT * FROM decisions WHERE ended_ms IS NULL ORDER BY number");
  return read_decisions(select);
}

std::vector<Decision> history(SQLite::Database& database, const mw_addr& source, WallTime since) {
  SQLite::Statement select(database,
                           "SELECT * FROM decisions WHERE source = ? AND since_ms >= ? "
                           "ORDER BY since_ms DESC, number DESC");
  select.bind(1, to_string(source));
  select.bind(2, to_ms(since));
  return read_decisions(select);
}

std::vector<Decision> decisions_since(SQLite::Database& database, WallTime since) {
  SQLite::Statement select(database, "SELECT * FROM decisions WHERE since_ms >= ? ORDER BY number");
  select.bind(1, to_ms(since));
  return read_decisions(select);
}

std::optional<Decision> decision(SQLite::Database& database, std::uint32_t number) {
  SQLite::Statement select(database, "SELECT * FROM decisions WHERE number = ?");
  select.bind(1, number);
  if (!select.executeStep()) return std::nullopt;
  return read_decision(Row(select));
}

std::size_t prune(SQLite::Database& database, WallTime ended_before, std::size_t most) {
  SQLite::Statement old(database, "DELETE FROM decisions WHERE ended_ms < ?");
  old.bind(1, to_ms(ended_before));
  const int aged = old.exec();
  // The oldest that have ended, as many as there are too many of.
  SQLite::Statement many(database, R"(
DELETE FROM decisions WHERE number IN (
  SELECT number FROM decisions WHERE ended_ms IS NOT NULL ORDER BY ended_ms
  LIMIT max(0, (SELECT count(*) FROM decisions) - ?)))");
  many.bind(1, static_cast<std::int64_t>(most));
  return static_cast<std::size_t>(aged + many.exec());
}

void put_allow_edit(SQLite::Database& database, const AllowEdit& edit) {
  SQLite::Statement put(database, "INSERT OR REPLACE INTO allow_edits VALUES (?, ?, ?, ?)");
  put.bind(1, to_string(edit.prefix));
  put.bind(2, edit.by);
  put.bind(3, edit.reason);
  put.bind(4, to_ms(edit.since));
  put.exec();
}

bool remove_allow_edit(SQLite::Database& database, const Prefix& prefix) {
  SQLite::Statement remove(database, "DELETE FROM allow_edits WHERE network = ?");
  remove.bind(1, to_string(prefix));
  return remove.exec() == 1;
}

std::vector<AllowEdit> allow_edits(SQLite::Database& database) {
  SQLite::Statement select(database, "SELECT * FROM allow_edits");
  std::vector<AllowEdit> edits;
  while (select.executeStep()) {
    Row row(select);
    edits.push_back({row.parsed("network", parse_prefix), row.text("added_by"), row.text("reason"),
                     row.time("since_ms")});
  }
  std::sort(edits.begin(), edits.end(),
            [](const AllowEdit& a, const AllowEdit& b) { return a.prefix < b.prefix; });
  return edits;
}

void put_mode_order(SQLite::Database& database, const ModeOrder& order) {
  SQLite::Statement put(database, "INSERT OR REPLACE INTO mode_order VALUES (1, ?, ?, ?, ?)");
  put.bind(1, std::string(to_string(order.mode)));
  put.bind(2, std::string(to_string(order.file_mode)));
  put.bind(3, order.by);
  put.bind(4, to_ms(order.since));
  put.exec();
}

std::optional<ModeOrder> mode_order(SQLite::Database& database) {
  SQLite::Statement select(database, "SELECT * FROM mode_order");
  if (!select.executeStep()) return std::nullopt;
  Row row(select);
  return ModeOrder{row.parsed("mode", parse_mode), row.parsed("file_mode", parse_mode),
                   row.text("ordered_by"), row.time("since_ms")};
}

void put_days(SQLite::Database& database, const std::vector<SourceDay>& days) {
  SQLite::Statement put(database,
                        "INSERT OR REPLACE INTO source_days VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const SourceDay& day : days) {
    put.reset();
    put.bind(1, static_cast<std::int64_t>(day.day.time_since_epoch().count()));
    put.bind(2, to_string(day.source));
    put.bind(3, day.contacts);
    put.bind(4, day.unanswered);
    put.bind(5, day.no_message);
    put.bind(6, day.messages);
    put.bind(7, day.networks_most);
    put.bind(8, fmt::format("{}", fmt::join(day.score_most, ",")));
    put.bind(9, fmt::format("{}", fmt::join(day.proven_score_most, ",")));
    put.exec();
  }
}

std::vector<SourceDay> days_since(SQLite::Database& database, std::chrono::sys_days day) {
  SQLite::Statement select(database, "SELECT * FROM source_days WHERE day >= ?");
  select.bind(1, static_cast<std::int64_t>(day.time_since_epoch().count()));
  std::vector<SourceDay> days;
  while (select.executeStep()) {
    Row row(select);
    SourceDay found;
    found.day = std::chrono::sys_days(std::chrono::days(row.count<std::int32_t>("day")));
    found.source = row.parsed("source", parse_address);
    found.contacts = row.count<std::uint32_t>("contacts");
    found.unanswered = row.count<std::uint32_t>("unanswered");
    found.no_message = row.count<std::uint32_t>("no_message");
    found.messages = row.count<std::uint32_t>("messages");
    found.networks_most = row.count<std::uint32_t>("networks_most");
    found.score_most = row.parsed("score_most", parse_scores);
    found.proven_score_most = row.parsed("proven_score_most", parse_scores);
    days.push_back(found);
  }
  return days;
}

void prune_days(SQLite::Database& database, std::size_t most) {
  database.exec("DELETE FROM source_days WHERE day < (SELECT max(day) FROM source_days) - 31");
  SQLite::Statement many(database, R"(
DELETE FROM source_days WHERE (day, source) IN (
  SELECT day, source FROM source_days ORDER BY day
  LIMIT max(0, (SELECT count(*) FROM source_days) - ?)))");
  many.bind(1, static_cast<std::int64_t>(most));
  many.exec();
}

void put_proven(SQLite::Database& database, const mw_addr& source,
                const std::optional<WallTime>& until) {
  SQLite::Statement put(database, until ? "INSERT OR REPLACE INTO proven VALUES (?, ?)"
                                        : "DELETE FROM proven WHERE source = ?");
  put.bind(1, to_string(source));
  if (until) put.bind(2, to_ms(*until));
  put.exec();
}

std::vector<std::pair<mw_addr, WallTime>> proven(SQLite::Database& database, WallTime now) {
  SQLite::Statement select(database, "SELECT * FROM proven WHERE until_ms > ?");
  select.bind(1, to_ms(now));
  std::vector<std::pair<mw_addr, WallTime>> found;
  while (select.executeStep()) {
    Row row(select);
    found.emplace_back(row.parsed("source", parse_address), row.time("until_ms"));
  }
  return found;
}

}  // namespace mailweir::rows
