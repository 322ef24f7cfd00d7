// SPDX-License-Identifier: GPL-2.0-or-later
#include "live_interface.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fstream>

namespace mailweir {
namespace {

constexpr const char* kTun = "mwtun";
constexpr const char* kGuarded = "mwveth";
constexpr const char* kOtherEnd = "mwcable";

/// struct virtio_net_hdr, whose own header is not C++.
struct OffloadHeader {
  __u8 flags;
  __u8 gso_type;
  __u16 hdr_len;
  __u16 gso_size;
  __u16 csum_start;
  __u16 csum_offset;
};

/// lock *(u64 *)value += 1; return TC_ACT_SHOT.
Result<UniqueFd> counting_program(int map_fd) {
  const bpf_insn code[] = {
      {.code = BPF_LD | BPF_DW | BPF_IMM,
       .dst_reg = BPF_REG_1,
       .src_reg = BPF_PSEUDO_MAP_VALUE,
       .imm = map_fd},
      {},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = 1},
      {.code = BPF_STX | BPF_DW | BPF_ATOMIC,
       .dst_reg = BPF_REG_1,
       .src_reg = BPF_REG_2,
       .imm = BPF_ADD},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_SHOT},
      {.code = BPF_JMP | BPF_EXIT},
  };
  UniqueFd fd(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "count_passed", "GPL", code, std::size(code),
                            nullptr));
  if (!fd.valid()) return sys_error(errno, "load the counting filter");
  return fd;
}

Result<> ip_link(std::vector<std::string> words) {
  words.insert(words.begin(), {"ip", "link"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  if (const int err = ::posix_spawnp(&child, "ip", nullptr, nullptr, arguments.data(), environ);
      err != 0)
    return sys_error(err, "run ip");
  if (::waitpid(child, &status, 0) == child && status == 0) return Ok{};
  std::string command;
  for (const std::string& word : words) command += word + " ";
  return Error{0, command + "failed"};
}

}  // namespace

Result<> enter_own_namespace() {
  if (::unshare(CLONE_NEWNET) != 0) return sys_error(errno, "make a network namespace");
  std::ofstream("/proc/sys/net/ipv6/conf/default/disable_ipv6") << "1";
  return Ok{};
}

Result<> make_veth(const std::string& name, const std::string& peer) {
  return ip_link({"add", name, "type", "veth", "peer", "name", peer});
}

Result<> bring_up(const std::string& name) {
  return ip_link({"set", "dev", name, "up"});
}

Result<> remove_interface(const std::string& name) {
  return ip_link({"delete", "dev", name});
}

Result<LiveInterface> LiveInterface::tun(int program_fd) {
  LiveInterface made;
  made.is_tun_ = true;
  made.port_.reset(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!made.port_.valid()) return sys_error(errno, "open /dev/net/tun");
  ifreq request{};
  std::strncpy(request.ifr_name, kTun, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_VNET_HDR;
  if (::ioctl(made.port_.get(), TUNSETIFF, &request) != 0)
    return sys_error(errno, "make a tun device");
  if (auto up = ip_link({"set", "up", "dev", kTun}); !up) return std::move(up).error();
  made.ifindex_ = ::if_nametoindex(kTun);
  if (auto done = made.attach(program_fd); !done) return std::move(done).error();
  return made;
}

Result<LiveInterface> LiveInterface::veth(int program_fd) {
  LiveInterface made;
  if (auto done = make_veth(kGuarded, kOtherEnd); !done) return std::move(done).error();
  for (const char* end : {kGuarded, kOtherEnd})
    if (auto up = ip_link({"set", "up", "dev", end}); !up) return std::move(up).error();
  made.ifindex_ = ::if_nametoindex(kGuarded);
  // Protocol 0: it sends and receives nothing.
  made.port_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  sockaddr_ll other_end{};
  other_end.sll_family = AF_PACKET;
  other_end.sll_ifindex = static_cast<int>(::if_nametoindex(kOtherEnd));
  if (::bind(made.port_.get(), reinterpret_cast<const sockaddr*>(&other_end), sizeof(other_end)) !=
      0)
    return sys_error(errno, std::string("open ") + kOtherEnd);
  if (auto done = made.attach(program_fd); !done) return std::move(done).error();
  return made;
}

Result<> LiveInterface::attach(int program_fd) {
  counter_map_.reset(bpf_map_create(BPF_MAP_TYPE_ARRAY, "passed", 4, 8, 1, nullptr));
  if (!counter_map_.valid()) return sys_error(errno, "make the map of the counting filter");
  auto counting = counting_program(counter_map_.get());
  if (!counting) return std::move(counting).error();
  counter_program_ = std::move(*counting);

  LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = static_cast<int>(ifindex_),
              .attach_point = BPF_TC_INGRESS);
  if (const int err = bpf_tc_hook_create(&hook); err != 0) return sys_error(err, "create clsact");
  for (const __u32 priority : {1U, 2U}) {
    LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = priority == 1 ? program_fd : counter_program_.get(),
                .handle = 1, .priority = priority);
    if (const int err = bpf_tc_attach(&hook, &filter); err != 0)
      return sys_error(err, "attach a tc filter");
  }
  return Ok{};
}

Result<> LiveInterface::send(const std::vector<std::uint8_t>& bytes, std::uint16_t linear) {
  std::vector<std::uint8_t> record;
  if (is_tun_) {
    const bool is_ipv6 = !bytes.empty() && bytes[0] >> 4 == 6;
    const tun_pi info{.flags = 0, .proto = htons(is_ipv6 ? ETH_P_IPV6 : ETH_P_IP)};
    const OffloadHeader offload{.hdr_len = linear};
    record.resize(sizeof(info) + sizeof(offload));
    std::memcpy(record.data(), &info, sizeof(info));
    std::memcpy(record.data() + sizeof(info), &offload, sizeof(offload));
  }
  record.insert(record.end(), bytes.begin(), bytes.end());
  if (::write(port_.get(), record.data(), record.size()) == static_cast<ssize_t>(record.size()))
    return Ok{};
  return sys_error(errno, "send a frame");
}

std::uint64_t LiveInterface::passed() const {
  const __u32 zero = 0;
  __u64 count = 0;
  bpf_map_lookup_elem(counter_map_.get(), &zero, &count);
  return count;
}

}  // namespace mailweir
