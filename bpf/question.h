/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every step asks of a packet, and what the maps say of its source. Decides nothing. */
#ifndef MAILWEIR_BPF_QUESTION_H
#define MAILWEIR_BPF_QUESTION_H

#include "flow.h"
#include "maps.h"

/* Large initialisers must be const data: the stack is 512 bytes. */
static const struct mw_source new_source;
static const struct mw_counters new_counters;
static const struct mw_drops new_drops;

/* A packet to a judged or watched port. */
struct packet {
	struct mw_addr src; /* IPv6: masked to the clients' prefix */
	struct mw_addr dst;
	__u32 ifindex;
	__u32 bytes; /* from the network header on */
	struct mw_segment seg;
	__be16 src_port_be;
	__be16 dst_port_be;
	struct mw_addr client; /* the source, before it was masked */
	__u8 is_syn;
	__u8 is_ipv6;
};

/* What the steps look at, looked up once. `src` may be missing: then the SYN passes. */
struct question {
	const struct packet *pkt;
	const struct mw_settings *set;
	const struct mw_group *group;
	struct mw_source *src;
	struct mw_scope scope;
	__u64 now_ns;
};

struct ruling {
	__u32 verdict; /* enum mw_verdict */
	__u32 would;   /* it says drop, but mode, allowlist or a dead controller let it pass */
};

static __always_inline __u64 now_boot_ns(const struct mw_settings *set)
{
	return virtual_clock ? set->virtual_now_ns : bpf_ktime_get_boot_ns();
}

static __always_inline void count(__u32 ifindex, struct ruling ruling)
{
	struct mw_tally *tallies = bpf_map_lookup_elem(&counters, &ifindex);

	if (!tallies) {
		bpf_map_update_elem(&counters, &ifindex, &new_counters, BPF_NOEXIST);
		tallies = bpf_map_lookup_elem(&counters, &ifindex);
	}
	if (!tallies || ruling.verdict >= MW_VERDICT_COUNT)
		return;
	if (ruling.would)
		tallies[ruling.verdict].would++;
	else
		tallies[ruling.verdict].enforced++;
}

static __always_inline __u32 port_roles(__be16 port_be)
{
	__u32 port = bpf_ntohs(port_be);
	__u32 word = port / 16;
	const __u64 *roles = bpf_map_lookup_elem(&ports, &word);

	return roles ? *roles >> (port % 16 * 4) & 0xf : 0;
}

static __always_inline struct mw_scope find_scope(const struct mw_addr *addr)
{
	const struct mw_scope *scope = bpf_map_lookup_elem(&hosts, addr);
	struct mw_prefix_key key = {.prefix_bits = 128, .addr = *addr};

	if (!scope)
		scope = bpf_map_lookup_elem(&networks, &key);
	return scope ? *scope : (struct mw_scope){};
}

static __always_inline void mask_address(struct mw_addr *addr, const struct mw_addr *mask)
{
	for (int i = 0; i < 16; i++)
		addr->bytes[i] &= mask->bytes[i];
}

/* The scope of a known source is cached in its value until the generation changes. */
static __always_inline struct mw_scope source_scope(struct mw_source *src,
						    const struct mw_addr *addr, __u32 generation)
{
	struct mw_scope scope;
	__u64 cached;

	if (src) {
		cached = *(volatile __u64 *)&src->scope;
		if (cached >> 32 == generation)
			return (struct mw_scope){cached >> 16 & 0xffff, cached & 0xffff};
	}
	scope = find_scope(addr);
	if (src)
		*(volatile __u64 *)&src->scope =
		    (__u64)generation << 32 | (__u32)scope.flags << 16 | scope.group;
	return scope;
}

/* The allowlist beats everything; a dead controller's program only observes. */
static __always_inline int is_exempt(const struct question *q)
{
	const struct mw_settings *set = q->set;

	if (q->scope.flags & MW_SCOPE_ALLOWED)
		return 1;
	/* Signed: the heartbeat may be a moment younger than this CPU's clock reading. */
	return set->dead_man_ns && (__s64)(q->now_ns - set->heartbeat_ns) > (__s64)set->dead_man_ns;
}

/* What mailweir may decide itself about this source. */
static __always_inline __u32 effective_mode(const struct question *q)
{
	return q->group->mode == MW_MODE_INHERIT ? q->set->mode : q->group->mode;
}

/* A destination network's bit: /24 of IPv4, /48 of IPv6. */
static __always_inline __u32 contact_bit(const struct mw_addr *dst, int is_ipv6, __u64 seed)
{
	__u32 words[2] = {};

	if (is_ipv6) {
		__builtin_memcpy(words, dst->bytes, 8);
		words[1] &= bpf_htonl(0xffff0000);
	} else {
		__builtin_memcpy(&words[1], &dst->bytes[12], 4);
		words[1] &= bpf_htonl(0xffffff00);
	}
	return mw_hash(words, 2, seed) % MW_SEEN_BITS;
}

static __always_inline __u32 flow_tag(const struct packet *pkt, __u64 seed)
{
	__u32 words[11];

	__builtin_memcpy(&words[0], &pkt->src, 16);
	__builtin_memcpy(&words[4], &pkt->dst, 16);
	words[8] = (__u32)pkt->src_port_be << 16 | pkt->dst_port_be;
	__builtin_memcpy(&words[9], &pkt->client.bytes[8], 8);
	return mw_hash(words, pkt->is_ipv6 ? 11 : 9, seed);
}

#endif
