// SPDX-License-Identifier: GPL-2.0-or-later
// Entry points: XDP and tc ingress (translate, ask, answer), and the sweep. The order of the
// questions stands in docs/packet.md. What cannot be judged passes and is counted: the one place
// for that is judge_parsed().
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "judge.h"
#include "parse.h"
#include "sweep.h"
#include "syn_log.h"

char LICENSE[] SEC("license") = "GPL";

/* From the network header on, as iptables counts; 0 for a jumbogram. */
static __always_inline __u32 network_bytes(const struct headers *h)
{
	if (h->ip4)
		return bpf_ntohs(h->ip4->tot_len);
	return h->ip6 ? bpf_ntohs(h->ip6->payload_len) + (__u32)sizeof(struct ipv6hdr) : 0;
}

/* A jumbogram's payload counts as none; the next sequence number makes up for it. */
static __always_inline void read_segment(const struct headers *h, __u32 network_bytes,
					 struct mw_segment *seg)
{
	const void *network = h->ip4 ? (const void *)h->ip4 : h->ip6;
	__u32 header_bytes = (const void *)h->tcp - network + h->tcp->doff * 4;

	seg->seq = bpf_ntohl(h->tcp->seq);
	seg->ack = bpf_ntohl(h->tcp->ack_seq);
	seg->payload_bytes = network_bytes > header_bytes ? network_bytes - header_bytes : 0;
	seg->is_ack = h->tcp->ack;
	seg->is_fin = h->tcp->fin;
	seg->is_rst = h->tcp->rst;
}

/* Step 2, then the packet as the other steps want it. */
static __always_inline struct ruling judge_headers(const struct headers *h, __u32 ifindex)
{
	__u32 roles = port_roles(h->tcp->dest), zero = 0;
	const struct mw_settings *set;
	struct packet pkt = {.ifindex = ifindex};
	__u32 packed;

	/* RST beats SYN; FIN, ECN bits and data make it nothing else. docs/packet.md has them all.
	 */
	pkt.is_syn = h->tcp->syn && !h->tcp->ack && !h->tcp->rst;
	if (!(roles & MW_PORT_JUDGED ||
	      (roles & (MW_PORT_WATCHED | MW_PORT_SHIELDED) && pkt.is_syn)))
		return (struct ruling){MW_NOT_OURS, 0};
	if (!read_addresses(h, &pkt.src, &pkt.dst))
		return (struct ruling){MW_MAPPED_SOURCE, 0};
	pkt.client = pkt.src;
	if (h->ip6) {
		set = bpf_map_lookup_elem(&settings, &zero);
		if (!set)
			return (struct ruling){MW_NOT_OURS, 0};
		pkt.is_ipv6 = 1;
		mask_address(&pkt.src, &set->ipv6_mask);
	}
	pkt.bytes = network_bytes(h);
	read_segment(h, pkt.bytes, &pkt.seg);
	pkt.src_port_be = h->tcp->source;
	pkt.dst_port_be = h->tcp->dest;
	packed = judge(&pkt, roles);
	if (packed & MW_RULING_LOG)
		log_syn(h, ifindex);
	return (struct ruling){packed & 0xffff, !!(packed & MW_RULING_WOULD)};
}

static __always_inline int is_drop(struct ruling ruling)
{
	return !ruling.would && (ruling.verdict == MW_LIMITED || ruling.verdict == MW_BRAKED ||
				 ruling.verdict == MW_BLOCKED || ruling.verdict == MW_SHIELDED);
}

/* One answer for both hooks: is the packet to be dropped? `parsed` is PARSE_OK or a verdict. */
static __always_inline int judge_parsed(int parsed, const struct headers *h, __u32 ifindex)
{
	struct ruling ruling = {parsed, 0};

	if (parsed == PARSE_OK)
		ruling = judge_headers(h, ifindex);
	if (ruling.verdict == MW_NOT_OURS)
		return 0;
	count(ifindex, ruling);
	return is_drop(ruling);
}

SEC("xdp.frags")
int limit_xdp(struct xdp_md *ctx)
{
	struct cursor c = {(void *)(long)ctx->data, (void *)(long)ctx->data_end};
	struct headers h = {};
	int parsed = parse_ethernet(&c, 0, &h);

	return judge_parsed(parsed, &h, ctx->ingress_ifindex) ? XDP_DROP : XDP_PASS;
}

/* The longest chain of headers that is followed ends within this many bytes, but for IPv6
 * options that nobody sends. */
#define PULL_BYTES 256

static __always_inline int limit_skb(struct __sk_buff *skb, int is_ethernet)
{
	struct headers h = {};
	int parsed = MW_NOT_OURS;

	/* Headers may lie beyond the linear area: pull them in, once, only if the parse ends there.
	 */
	for (int i = 0; i < 2; i++) {
		struct cursor c = {(void *)(long)skb->data, (void *)(long)skb->data_end};

		h = (struct headers){};
		parsed = is_ethernet ? parse_ethernet(&c, !!skb->vlan_present, &h) :
				       parse_network(&c, skb->protocol, &h);
		if (parsed != MW_TRUNCATED || i == 1 ||
		    bpf_skb_pull_data(skb, skb->len < PULL_BYTES ? skb->len : PULL_BYTES))
			break;
	}
	/* TC_ACT_UNSPEC: later filters still see the packet; TC_ACT_OK would hide it from them. */
	return judge_parsed(parsed, &h, skb->ifindex) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int limit_tc(struct __sk_buff *skb)
{
	return limit_skb(skb, 1);
}

/* For interfaces without an Ethernet header (ppp, tun). */
SEC("tc")
int limit_tc_ip(struct __sk_buff *skb)
{
	return limit_skb(skb, 0);
}

/* Run by the controller every few seconds, on no packet. */
SEC("syscall")
int sweep_flows(void *ctx __attribute__((unused)))
{
	struct sweep sweep = {};
	__u32 zero = 0;

	sweep.set = bpf_map_lookup_elem(&settings, &zero);
	if (!sweep.set)
		return 0;
	sweep.now_ns = now_boot_ns(sweep.set);
	bpf_for_each_map_elem(&sources, sweep_source, &sweep, 0);
	sources_tracked = sweep.tracked;
	sources_active = sweep.active;
	contacts_pending = sweep.pending;
	return 0;
}
