// SPDX-License-Identifier: GPL-2.0-or-later
// A small traffic source for tests and the lab: raw TCP frames on one interface, to addresses that
// lead nowhere. Here are the options and the refusals.
#include <linux/if_ether.h>
#include <netinet/tcp.h>
#include <spdlog/fmt/fmt.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>

#include "next_hop.h"
#include "traffic.h"

namespace mailweir {
namespace {

constexpr int kFailed = 1, kUsage = 2;
constexpr std::uint64_t kMostFrames = 10'000'000;
constexpr double kMostSeconds = 3600;
constexpr const char* kAtHome[] = {"172.16.0.0/12",  "198.18.0.0/15", "198.51.100.0/24",
                                   "203.0.113.0/24", "192.0.2.0/24",  "2001:db8::/32"};

/// As written; every one a text until it is checked, so that each refusal can quote it.
struct Options {
  std::string interface, dst_mac = "auto", rate = "max", flags = "syn", isn = "random",
                         sport_range = "1024-65535";
  std::vector<std::string> sources, destinations;
  std::vector<std::uint16_t> vlans;
  std::optional<std::uint16_t> pppoe;
  std::uint16_t port = 25;
  std::uint64_t count = 1, seed = 1;
};

void declare(CLI::App& app, Options& options) {
  app.add_option("--interface", options.interface, "Ethernet interface to send on")->required();
  app.add_option("--dst-mac", options.dst_mac, "aa:bb:cc:dd:ee:ff, or auto: the default gateway's")
      ->capture_default_str();
  app.add_option("--source", options.sources, "addresses or prefixes, in turn")
      ->delimiter(',')
      ->required();
  app.add_option("--destinations", options.destinations, "addresses or prefixes, in turn")
      ->delimiter(',')
      ->required();
  app.add_option("--port", options.port, "destination port")->capture_default_str();
  app.add_option("--count", options.count, "frames, at most 10000000")->capture_default_str();
  app.add_option("--rate", options.rate, "frames per second, or max")->capture_default_str();
  app.add_option("--flags", options.flags, "fin,syn,rst,psh,ack,urg,ece,cwr or none")
      ->capture_default_str();
  app.add_option("--sport-range", options.sport_range, "source ports A-B")->capture_default_str();
  app.add_option("--isn", options.isn, "random, or fixed: the same tuple is a retransmission")
      ->check(CLI::IsMember({"random", "fixed"}))
      ->capture_default_str();
  app.add_option("--vlan", options.vlans, "one tag, or two: OUTER,INNER")
      ->delimiter(',')
      ->expected(1, 2)
      ->check(CLI::Range(0, 4095));
  app.add_option("--pppoe", options.pppoe, "PPPoE session");
  app.add_option("--seed", options.seed, "the same seed gives the same frames")
      ->capture_default_str();
}

Error usage(const std::string& message) {
  return {EINVAL, message};
}

Result<std::vector<Prefix>> at_home(const std::vector<std::string>& texts, const char* option) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    auto prefix = parse_prefix(text);
    if (!prefix) return std::move(prefix).error().in(option);
    const bool home = std::any_of(std::begin(kAtHome), std::end(kAtHome), [&](const char* network) {
      return parse_prefix(network)->contains(*prefix);
    });
    if (!home)
      return usage(fmt::format("{}: {} is refused: test traffic stays within {}", option, text,
                               fmt::join(kAtHome, ", ")));
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

Result<> check_families(const Traffic& traffic) {
  for (const bool ipv4 : {true, false}) {
    const auto is_family = [&](const Prefix& prefix) { return prefix.is_ipv4() == ipv4; };
    const bool from = std::any_of(traffic.sources.begin(), traffic.sources.end(), is_family);
    const bool to =
        std::any_of(traffic.destinations.begin(), traffic.destinations.end(), is_family);
    if (from != to)
      return usage(fmt::format("--{} has an {} address, --{} has none",
                               from ? "source" : "destinations", ipv4 ? "IPv4" : "IPv6",
                               from ? "destinations" : "source"));
  }
  return Ok{};
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<> set_pace(const Options& options, Traffic& traffic) {
  traffic.count = options.count;
  if (options.count == 0 || options.count > kMostFrames)
    return usage(fmt::format("--count {}: must be 1 to {}", options.count, kMostFrames));
  if (options.rate == "max") return Ok{};

  const auto rate = number<double>(options.rate);
  if (!rate || !(*rate > 0)) return usage("--rate " + options.rate + ": must be max or above 0");
  traffic.packets_per_second = *rate;
  if (static_cast<double>(options.count) / *rate > kMostSeconds)
    return usage(fmt::format("--count {} at --rate {} would take more than an hour", options.count,
                             options.rate));
  return Ok{};
}

Result<> set_source_ports(const std::string& range, Traffic& traffic) {
  const auto dash = range.find('-');
  const auto first = number<std::uint16_t>(range.substr(0, dash));
  const auto last =
      dash == std::string::npos ? first : number<std::uint16_t>(range.substr(dash + 1));
  if (!first || !last || *last < *first)
    return usage("--sport-range " + range + ": must be A-B, 0 to 65535, such as 1024-65535");
  traffic.first_source_port = *first;
  traffic.last_source_port = *last;
  return Ok{};
}

Result<Traffic> traffic_of(const Options& options) {
  Traffic traffic;
  traffic.port = options.port;
  traffic.seed = options.seed;
  traffic.random_isn = options.isn == "random";
  auto sources = at_home(options.sources, "--source");
  if (!sources) return std::move(sources).error();
  auto destinations = at_home(options.destinations, "--destinations");
  if (!destinations) return std::move(destinations).error();
  traffic.sources = *std::move(sources);
  traffic.destinations = *std::move(destinations);
  if (auto ok = check_families(traffic); !ok) return std::move(ok).error();
  if (auto ok = set_pace(options, traffic); !ok) return std::move(ok).error();
  if (auto ok = set_source_ports(options.sport_range, traffic); !ok) return std::move(ok).error();
  return traffic;
}

Result<std::uint8_t> parse_flags(const std::string& text) {
  struct Flag {
    std::string_view name;
    std::uint8_t bit;
  };
  constexpr Flag kFlags[] = {{"fin", TH_FIN},  {"syn", TH_SYN}, {"rst", TH_RST},
                             {"psh", TH_PUSH}, {"ack", TH_ACK}, {"urg", TH_URG},
                             {"ece", 0x40},    {"cwr", 0x80},   {"none", 0}};
  std::uint8_t flags = 0;
  for (const std::string& name : CLI::detail::split(text, ',')) {
    const auto* known = std::find_if(std::begin(kFlags), std::end(kFlags),
                                     [&](const Flag& flag) { return flag.name == name; });
    if (known == std::end(kFlags)) return usage("--flags " + text + ": '" + name + "' is no flag");
    flags |= known->bit;
  }
  return flags;
}

Result<Mac> parse_mac(const std::string& text) {
  Mac mac{};
  int end = 0;
  if (std::sscanf(text.c_str(), "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%n", &mac[0], &mac[1], &mac[2],
                  &mac[3], &mac[4], &mac[5], &end) != 6 ||
      static_cast<std::size_t>(end) != text.size())
    return usage("--dst-mac " + text + ": must be auto or aa:bb:cc:dd:ee:ff");
  return mac;
}

Result<FrameShape> shape_of(const Options& options) {
  FrameShape shape;
  shape.vlans = options.vlans;
  shape.pppoe_session = options.pppoe;
  auto flags = parse_flags(options.flags);
  if (!flags) return std::move(flags).error();
  shape.tcp_flags = *flags;
  if (options.dst_mac == "auto") return shape;
  auto mac = parse_mac(options.dst_mac);
  if (!mac) return std::move(mac).error();
  shape.destination = *mac;
  return shape;
}

/// The gateway's address where it is wanted and known; else broadcast, which no gateway forwards.
FrameShape toward_gateway(FrameShape shape, const EthernetPort& port, const Options& options,
                          const Traffic& traffic, int family) {
  shape.source = port.mac();
  const bool needed =
      std::any_of(traffic.sources.begin(), traffic.sources.end(),
                  [&](auto& source) { return source.is_ipv4() == (family == AF_INET); });
  if (options.dst_mac != "auto" || !needed) return shape;

  const auto mac = gateway_mac(port.ifindex(), family);
  if (mac && *mac)
    shape.destination = **mac;
  else
    fmt::print(
        stderr, "mailweir-syn: {}; frames go to ff:ff:ff:ff:ff:ff and are not forwarded\n",
        mac ? "no default gateway answers behind " + options.interface : mac.error().message);
  return shape;
}

int fail(const Error& error, int status) {
  fmt::print(stderr, "mailweir-syn: {}\n", error.message);
  return status;
}

int run(const Options& options) {
  const auto traffic = traffic_of(options);
  if (!traffic) return fail(traffic.error(), kUsage);
  const auto shape = shape_of(options);
  if (!shape) return fail(shape.error(), kUsage);

  auto port = EthernetPort::open(options.interface);
  if (!port) return fail(port.error(), kFailed);
  const Sent sent =
      send_traffic(*port, *traffic, toward_gateway(*shape, *port, options, *traffic, AF_INET),
                   toward_gateway(*shape, *port, options, *traffic, AF_INET6));
  fmt::print("{{\"sent\":{},\"seconds\":{:.3f}}}\n", sent.frames, sent.time.count());
  return sent.error ? fail(*sent.error, kFailed) : 0;
}

}  // namespace
}  // namespace mailweir

int main(int argc, char** argv) {
  CLI::App app("Sends raw TCP frames, for tests. Prints {\"sent\":N,\"seconds\":S}.",
               "mailweir-syn");
  mailweir::Options options;
  mailweir::declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : mailweir::kUsage;
  }
  return mailweir::run(options);
}
