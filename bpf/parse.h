/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes -> the headers of a TCP packet. One step, one bounds check, a named outcome. No maps.
 * Follows 802.1Q/802.1ad tags (two), PPPoE sessions, IPv4 options, IPv6 extension headers. */
#ifndef MAILWEIR_BPF_PARSE_H
#define MAILWEIR_BPF_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "abi.h"

#define MAX_VLAN_TAGS 2
#define MAX_IPV6_HEADERS 6

enum parse_result {
	PARSE_OK = -1, /* all others are verdicts, or MW_NOT_OURS */
};

struct vlan_tag {
	__be16 tci;
	__be16 next_proto;
};

/* RFC 2516, section 4, then the protocol field of PPP. */
struct pppoe_session {
	__u8 version_and_type;
	__u8 code;
	__be16 session;
	__be16 length;
	__be16 ppp_proto;
};

struct ipv6_extension {
	__u8 next_header;
	__u8 length; /* in 8 bytes (AH: in 4), the first 8 bytes not counted */
};

struct ipv6_fragment {
	__u8 next_header;
	__u8 reserved;
	__be16 offset_and_more;
	__be32 identification;
};

struct cursor {
	void *pos;
	void *end;
};

/* Where the headers lie; valid until the packet is changed or pulled. One of ip4, ip6 is set. */
struct headers {
	const struct ethhdr *eth; /* none on an interface without */
	const struct iphdr *ip4;
	const struct ipv6hdr *ip6;
	const struct tcphdr *tcp;
};

static __always_inline int parse_ipv4(struct cursor *c, struct headers *h)
{
	const struct iphdr *ip = c->pos;
	__u32 header_bytes;

	if ((void *)(ip + 1) > c->end)
		return MW_TRUNCATED;
	if (ip->protocol != IPPROTO_TCP)
		return MW_NOT_OURS;
	if (ip->version != 4 || ip->ihl < 5)
		return MW_MALFORMED;
	if (ip->frag_off & bpf_htons(0x1fff))
		return MW_FRAGMENT;

	header_bytes = ip->ihl * 4;
	c->pos += header_bytes;
	h->ip4 = ip;
	return PARSE_OK;
}

/* The unit of an extension header's length, without its first 8 bytes; 0: not followed. A table
 * and not a choice by type, since the verifier would walk the rest once for each of the choices:
 * 458,000 instructions instead of 105,000. */
static const __u8 ipv6_length_unit[256] = {
    [IPPROTO_HOPOPTS] = 8,  [IPPROTO_ROUTING] = 8, [IPPROTO_DSTOPTS] = 8,
    [IPPROTO_FRAGMENT] = 8, [IPPROTO_AH] = 4,
};

/* RFC 8200, section 4. Ends at TCP, at a protocol of somebody else, or after MAX_IPV6_HEADERS. */
static __always_inline int parse_ipv6(struct cursor *c, struct headers *h)
{
	const struct ipv6hdr *ip = c->pos;
	__u8 next;

	if ((void *)(ip + 1) > c->end)
		return MW_TRUNCATED;
	if (ip->version != 6)
		return MW_MALFORMED;
	next = ip->nexthdr;
	c->pos = (void *)(ip + 1);
	h->ip6 = ip;

#pragma unroll
	for (int i = 0; i < MAX_IPV6_HEADERS; i++) {
		const struct ipv6_extension *ext = c->pos;
		const struct ipv6_fragment *frag = c->pos;
		__u32 unit;

		if (next == IPPROTO_TCP)
			return PARSE_OK;
		unit = ipv6_length_unit[next];
		if (!unit)
			return MW_NOT_OURS;
		/* The shortest extension header is 8 bytes long. */
		if ((void *)(frag + 1) > c->end)
			return MW_TRUNCATED;
		if (next == IPPROTO_FRAGMENT) {
			if (frag->offset_and_more & bpf_htons(0xfff8))
				return frag->next_header == IPPROTO_TCP ? MW_FRAGMENT : MW_NOT_OURS;
			c->pos += sizeof(*frag);
		} else {
			/* The mask takes nothing away: the verifier needs to see a bound. */
			c->pos += 8 + (ext->length * unit & 0x7fc);
		}
		next = ext->next_header;
	}
	return next == IPPROTO_TCP ? PARSE_OK : MW_ENCAPSULATION;
}

static __always_inline int parse_network(struct cursor *c, __be16 proto, struct headers *h)
{
	const struct tcphdr *tcp;
	int result;

	if (proto == bpf_htons(ETH_P_IP))
		result = parse_ipv4(c, h);
	else if (proto == bpf_htons(ETH_P_IPV6))
		result = parse_ipv6(c, h);
	else
		return MW_NOT_OURS;
	if (result != PARSE_OK)
		return result;

	tcp = c->pos;
	if ((void *)(tcp + 1) > c->end)
		return MW_TRUNCATED;
	if (tcp->doff < 5)
		return MW_MALFORMED;
	h->tcp = tcp;
	return PARSE_OK;
}

/* An Ethernet frame; `tags_before` were taken off by the NIC or the kernel (tc only). */
static __always_inline int parse_ethernet(struct cursor *c, int tags_before, struct headers *h)
{
	const struct ethhdr *eth = c->pos;
	__be16 proto;

	if ((void *)(eth + 1) > c->end)
		return MW_NOT_OURS;
	proto = eth->h_proto;
	c->pos = (void *)(eth + 1);
	h->eth = eth;

#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		const struct vlan_tag *tag = c->pos;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if (i + tags_before >= MAX_VLAN_TAGS)
			return MW_ENCAPSULATION;
		if ((void *)(tag + 1) > c->end)
			return MW_TRUNCATED;
		proto = tag->next_proto;
		c->pos = (void *)(tag + 1);
	}
	if (proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD))
		return MW_ENCAPSULATION;

	if (proto == bpf_htons(ETH_P_PPP_SES)) {
		const struct pppoe_session *ppp = c->pos;

		if ((void *)(ppp + 1) > c->end)
			return MW_TRUNCATED;
		proto = ppp->ppp_proto == bpf_htons(0x0021) ? bpf_htons(ETH_P_IP) :
			ppp->ppp_proto == bpf_htons(0x0057) ? bpf_htons(ETH_P_IPV6) :
							      0;
		c->pos = (void *)(ppp + 1);
	}
	return parse_network(c, proto, h);
}

static __always_inline int is_v4_mapped(const struct mw_addr *addr)
{
	__u32 words[3];

	__builtin_memcpy(words, addr, sizeof(words));
	return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* Fills the addresses as keys: IPv4 v4-mapped. False for a source that would alias one. */
static __always_inline int read_addresses(const struct headers *h, struct mw_addr *src,
					  struct mw_addr *dst)
{
	if (h->ip4) {
		*src = (struct mw_addr){};
		*dst = (struct mw_addr){};
		src->bytes[10] = src->bytes[11] = dst->bytes[10] = dst->bytes[11] = 0xff;
		__builtin_memcpy(&src->bytes[12], &h->ip4->saddr, 4);
		__builtin_memcpy(&dst->bytes[12], &h->ip4->daddr, 4);
		return 1;
	}
	/* Never: but the verifier cannot know that a packet pointer is not null. */
	if (!h->ip6)
		return 0;
	__builtin_memcpy(src, &h->ip6->saddr, sizeof(*src));
	__builtin_memcpy(dst, &h->ip6->daddr, sizeof(*dst));
	return !is_v4_mapped(src);
}

#endif
