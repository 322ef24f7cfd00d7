// SPDX-License-Identifier: GPL-2.0-or-later
#include "datapath/conntrack.h"

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>

#include <cerrno>

#include "base/address.h"

namespace mailweir {
namespace {

struct Destroy {
  void operator()(nf_conntrack* flow) const { nfct_destroy(flow); }
};
using Flow = std::unique_ptr<nf_conntrack, Destroy>;

Flow flow_of(const mw_event& outcome) {
  Flow flow(nfct_new());
  if (!flow) return flow;
  if (is_ipv4(outcome.client)) {
    nfct_set_attr_u8(flow.get(), ATTR_L3PROTO, AF_INET);
    nfct_set_attr(flow.get(), ATTR_IPV4_SRC, outcome.client.bytes + 12);
    nfct_set_attr(flow.get(), ATTR_IPV4_DST, outcome.destination.bytes + 12);
  } else {
    nfct_set_attr_u8(flow.get(), ATTR_L3PROTO, AF_INET6);
    nfct_set_attr(flow.get(), ATTR_IPV6_SRC, outcome.client.bytes);
    nfct_set_attr(flow.get(), ATTR_IPV6_DST, outcome.destination.bytes);
  }
  nfct_set_attr_u8(flow.get(), ATTR_L4PROTO, IPPROTO_TCP);
  nfct_set_attr_u16(flow.get(), ATTR_PORT_SRC, outcome.src_port_be);
  nfct_set_attr_u16(flow.get(), ATTR_PORT_DST, outcome.dst_port_be);
  return flow;
}

int keep_status(nf_conntrack_msg_type /*type*/, nf_conntrack* flow, void* is_assured) {
  *static_cast<bool*>(is_assured) = (nfct_get_attr_u32(flow, ATTR_STATUS) & IPS_ASSURED) != 0;
  // To the end of the answer: what is left unread would be the next question's.
  return NFCT_CB_CONTINUE;
}

}  // namespace

Conntrack::Conntrack() : handle_(nfct_open(CONNTRACK, 0)) {
  if (handle_ != nullptr) nfct_callback_register(handle_, NFCT_T_ALL, keep_status, &is_assured_);
}

Conntrack::~Conntrack() {
  if (handle_ != nullptr) nfct_close(handle_);
}

Confirmation Conntrack::confirm(const mw_event& outcome) {
  const Flow flow = flow_of(outcome);
  if (handle_ == nullptr || !flow) return Confirmation::unavailable;
  is_assured_ = false;
  if (nfct_query(handle_, NFCT_Q_GET, flow.get()) == 0)
    return is_assured_ ? Confirmation::confirmed : Confirmation::unknown;
  return errno == ENOENT ? Confirmation::unknown : Confirmation::unavailable;
}

}  // namespace mailweir
