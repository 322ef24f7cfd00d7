// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/syn_line.h"

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <spdlog/fmt/fmt.h>

#include <ctime>
#include <iterator>

#include "base/address.h"

namespace mailweir {
namespace {

unsigned get16(const __u8* at) {
  return static_cast<unsigned>(at[0]) << 8 | at[1];
}

std::uint32_t get32(const __u8* at) {
  return static_cast<std::uint32_t>(get16(at)) << 16 | get16(at + 2);
}

/// The MAC header as the IP layer sees it: without tags.
std::string mac_text(const mw_logged_syn& syn) {
  if (syn.has_ethernet == 0) return "MAC= ";
  std::string text = "MAC=";
  for (int i = 0; i < 2 * ETH_ALEN; ++i) text += fmt::format("{:02x}:", syn.ethernet[i]);
  return text + (syn.is_ipv6 != 0 ? "86:dd " : "08:00 ");
}

std::string ipv4_text(const __u8* ip) {
  const unsigned fragment = get16(ip + 6);
  std::string text =
      fmt::format("SRC={}.{}.{}.{} DST={}.{}.{}.{} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
                  ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19], get16(ip + 2),
                  ip[1] & 0x1eU, ip[1] & 0xe0U, ip[8], get16(ip + 4));
  if ((fragment & 0x8000) != 0) text += "CE ";
  if ((fragment & 0x4000) != 0) text += "DF ";
  if ((fragment & 0x2000) != 0) text += "MF ";
  return text;
}

/// All eight groups, as %pI6 writes them.
std::string full_ipv6(const __u8* at) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += fmt::format("{}{:04x}", i == 0 ? "" : ":", get16(at + 2 * i));
  return text;
}

std::string ipv6_text(const __u8* ip) {
  const std::uint32_t word = get32(ip);
  return fmt::format("SRC={} DST={} LEN={} TC={} HOPLIMIT={} FLOWLBL={} ", full_ipv6(ip + 8),
                     full_ipv6(ip + 24), get16(ip + 4) + 40, word >> 20 & 0xff, ip[7],
                     word & 0xfffff);
}

std::string tcp_text(const __u8* tcp) {
  static constexpr const char* kFlags[] = {"CWR ", "ECE ", "URG ", "ACK ",
                                           "PSH ", "RST ", "SYN ", "FIN "};
  std::string text = fmt::format("PROTO=TCP SPT={} DPT={} WINDOW={} RES=0x{:02x} ", get16(tcp),
                                 get16(tcp + 2), get16(tcp + 14), (tcp[12] & 0xfU) << 2);
  for (std::size_t i = 0; i < std::size(kFlags); ++i)
    if ((tcp[13] & (0x80U >> i)) != 0) text += kFlags[i];
  return text + fmt::format("URGP={} ", get16(tcp + 18));
}

}  // namespace

std::string syn_line(const mw_logged_syn& syn, std::string_view interface) {
  return fmt::format("MAILWEIR IN={} OUT= {}{}{}", interface, mac_text(syn),
                     syn.is_ipv6 != 0 ? ipv6_text(syn.network) : ipv4_text(syn.network),
                     tcp_text(syn.tcp));
}

std::string syslog_time(WallTime time) {
  // In English whatever the locale, as syslog has them.
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  return fmt::format("{} {:2} {:02}:{:02}:{:02}", kMonths[local.tm_mon], local.tm_mday,
                     local.tm_hour, local.tm_min, local.tm_sec);
}

std::string line_head(const Now& time, std::string_view node) {
  const std::uint64_t micros = to_ns(time.boot) / 1000;
  return fmt::format("{} {} kernel: [{:5}.{:06}] ", syslog_time(time.wall), node,
                     micros / 1'000'000, micros % 1'000'000);
}

}  // namespace mailweir
