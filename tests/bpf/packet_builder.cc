// SPDX-License-Identifier: GPL-2.0-or-later
#include "packet_builder.h"

#include <arpa/inet.h>

#include <algorithm>

namespace mailweir {
namespace {

std::vector<std::uint8_t> address(int family, const std::string& text) {
  std::vector<std::uint8_t> found(family == AF_INET ? 4 : 16);
  ::inet_pton(family, text.c_str(), found.data());
  return found;
}

void append(std::vector<std::uint8_t>& to, const std::vector<std::uint8_t>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

void Packet::add(const std::vector<std::uint8_t>& layer) {
  append(frame_, layer);
  set_lengths();
}

void Packet::put16(std::size_t at, std::size_t value) {
  frame_[at] = static_cast<std::uint8_t>(value >> 8);
  frame_[at + 1] = static_cast<std::uint8_t>(value);
}

void Packet::announce(std::uint16_t ethertype, std::uint16_t ppp) {
  if (next_field_ == Field::ethertype) put16(next_at_, ethertype);
  if (next_field_ == Field::ppp) put16(next_at_, ppp);
}

void Packet::announce(std::uint8_t ip_protocol) {
  if (next_field_ == Field::ip) frame_[next_at_] = ip_protocol;
}

void Packet::set_lengths() {
  if (pppoe_at_ != 0) put16(pppoe_at_ + 4, frame_.size() - pppoe_at_ - 6);
  if (next_field_ != Field::ip) return;
  if (frame_[network_at_] >> 4 == 4)
    put16(network_at_ + 2, network_bytes());
  else
    put16(network_at_ + 4, network_bytes() - 40);
}

Packet& Packet::eth() {
  add({0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0, 0});
  next_at_ = 12;
  next_field_ = Field::ethertype;
  return *this;
}

Packet& Packet::vlan(std::uint16_t id) {
  announce(0x8100, 0);
  next_at_ = frame_.size() + 2;
  add({static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 0, 0});
  return *this;
}

Packet& Packet::service_vlan(std::uint16_t id) {
  const std::size_t at = next_at_;
  vlan(id);
  put16(at, 0x88a8);
  return *this;
}

Packet& Packet::pppoe() {
  announce(0x8864, 0);
  pppoe_at_ = frame_.size();
  next_at_ = frame_.size() + 6;
  next_field_ = Field::ppp;
  add({0x11, 0, 0, 1, 0, 0, 0, 0});
  return *this;
}

Packet& Packet::ipv4(const std::string& source, const std::string& destination) {
  announce(0x0800, 0x0021);
  network_at_ = frame_.size();
  next_at_ = network_at_ + 9;
  next_field_ = Field::ip;
  std::vector<std::uint8_t> header = {0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 0, 0, 0};
  append(header, address(AF_INET, source));
  append(header, address(AF_INET, destination));
  add(header);
  return *this;
}

Packet& Packet::ipv6(const std::string& source, const std::string& destination) {
  announce(0x86dd, 0x0057);
  network_at_ = frame_.size();
  next_at_ = network_at_ + 6;
  next_field_ = Field::ip;
  std::vector<std::uint8_t> header = {0x60, 0, 0, 0, 0, 0, 59, 64};
  append(header, address(AF_INET6, source));
  append(header, address(AF_INET6, destination));
  add(header);
  return *this;
}

Packet& Packet::ip(const std::string& source, const std::string& destination) {
  return source.find(':') == std::string::npos ? ipv4(source, destination)
                                               : ipv6(source, destination);
}

Packet& Packet::ip_options(std::size_t bytes) {
  frame_[network_at_] = static_cast<std::uint8_t>(0x45 + bytes / 4);
  add(std::vector<std::uint8_t>(bytes, 1));
  return *this;
}

void Packet::extension(std::uint8_t number, std::vector<std::uint8_t> layer) {
  announce(number);
  next_at_ = frame_.size();
  layer[0] = 59;
  add(layer);
}

Packet& Packet::hop_by_hop() {
  extension(0, {0, 0, 1, 4, 0, 0, 0, 0});
  return *this;
}

Packet& Packet::routing() {
  std::vector<std::uint8_t> header(24);
  header[1] = 2;
  extension(43, header);
  return *this;
}

Packet& Packet::destination_options() {
  std::vector<std::uint8_t> header(16, 1);
  extension(60, header);
  return *this;
}

Packet& Packet::authentication() {
  std::vector<std::uint8_t> header(24);
  header[1] = 4;
  extension(51, header);
  return *this;
}

Packet& Packet::fragment(std::uint16_t offset, bool more) {
  if (frame_[network_at_] >> 4 == 4) {
    put16(network_at_ + 6, (more ? 0x2000U : 0U) | offset);
    return *this;
  }
  extension(44, {0, 0, 0, 0, 0, 0, 0x12, 0x34});
  put16(frame_.size() - 6, static_cast<std::size_t>(offset << 3 | (more ? 1 : 0)));
  return *this;
}

Packet& Packet::protocol(std::uint8_t number) {
  announce(number);
  return *this;
}

Packet& Packet::tcp(std::uint16_t port, std::uint16_t source_port) {
  announce(std::uint8_t{6});
  tcp_at_ = frame_.size();
  std::vector<std::uint8_t> header(20);
  header[12] = 5 << 4;
  add(header);
  put16(tcp_at_, source_port);
  put16(tcp_at_ + 2, port);
  return *this;
}

Packet& Packet::flags(std::uint8_t bits) {
  return tcp_byte(13, bits);
}

Packet& Packet::isn(std::uint32_t number) {
  put16(tcp_at_ + 4, number >> 16);
  put16(tcp_at_ + 6, number & 0xffff);
  return *this;
}

Packet& Packet::ack_number(std::uint32_t number) {
  put16(tcp_at_ + 8, number >> 16);
  put16(tcp_at_ + 10, number & 0xffff);
  return *this;
}

Packet& Packet::payload(std::size_t bytes) {
  add(std::vector<std::uint8_t>(bytes, 'x'));
  return *this;
}

Packet& Packet::network_byte(std::size_t offset, std::uint8_t value) {
  frame_[network_at_ + offset] = value;
  return *this;
}

Packet& Packet::tcp_byte(std::size_t offset, std::uint8_t value) {
  frame_[tcp_at_ + offset] = value;
  return *this;
}

Packet& Packet::truncate(std::size_t bytes) {
  cut_ = bytes;
  return *this;
}

std::vector<std::uint8_t> Packet::bytes() const {
  std::vector<std::uint8_t> cut = frame_;
  cut.resize(std::min(cut.size(), cut_));
  return cut;
}

}  // namespace mailweir
