// SPDX-License-Identifier: GPL-2.0-or-later
// Entry points for XDP and tc ingress: translate, ask, answer. The order of the questions stands
// in docs/packet.md. What cannot be judged passes and is counted: the one place for that is
// judge_parsed().
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"
#include "limit.h"
#include "maps.h"
#include "parse.h"

char LICENSE[] SEC("license") = "GPL";

/* Large initialisers must be const data: the stack is 512 bytes. */
static const struct mw_source new_source;
static const struct mw_counters new_counters;
static const struct mw_drops new_drops;

/* All sources together may send 2,000 events a second, 4,000 at once: a flood of sources must
 * not spend its time on the ring buffer. New at each load, which costs at most one burst. */
static __u64 event_tat_ns;
__u64 events_lost; /* over that budget, or the ring buffer was full */
static const struct mw_rate event_rate = {500 * 1000ULL, 3999 * 500 * 1000ULL};

/* A packet to a judged or watched port. */
struct packet {
	struct mw_addr src; /* IPv6: masked to the clients' prefix */
	struct mw_addr dst;
	__u32 ifindex;
	__u32 bytes; /* from the network header on */
	__u32 isn;
	__be16 src_port_be;
	__be16 dst_port_be;
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

static __always_inline void add_drop(const struct packet *pkt)
{
	struct mw_drops *drop = bpf_map_lookup_elem(&drops, &pkt->src);

	if (!drop) {
		/* Another CPU may make it first; both count in the one that is there. */
		bpf_map_update_elem(&drops, &pkt->src, &new_drops, BPF_NOEXIST);
		drop = bpf_map_lookup_elem(&drops, &pkt->src);
		if (!drop)
			return;
	}
	drop->packets++;
	drop->bytes += pkt->bytes;
}

/* Step 5. MW_BLOCKED, or MW_NOT_OURS where no block stands. Sets q->now_ns if one does. */
static __always_inline struct ruling judge_block(struct question *q)
{
	const struct mw_block *block = bpf_map_lookup_elem(&blocklist, &q->pkt->src);
	struct ruling drop = {MW_BLOCKED, 0};

	if (!block)
		return (struct ruling){MW_NOT_OURS, 0};
	q->now_ns = now_boot_ns(q->set);
	if (block->until_ns && block->until_ns <= q->now_ns)
		return (struct ruling){MW_NOT_OURS, 0};

	/* What a person ordered is enforced in every mode. */
	drop.would = is_exempt(q) ||
		     (block->reason != MW_REASON_MANUAL && effective_mode(q) != MW_MODE_BLOCK);
	if (!drop.would)
		add_drop(q->pkt);
	/* Once a second is enough for people, and leaves the line to other CPUs under a flood. */
	if (q->src && (__s64)(q->now_ns - *(volatile __u64 *)&q->src->last_ns) > 1000000000LL)
		*(volatile __u64 *)&q->src->last_ns = q->now_ns;
	return drop;
}

/* `is_milestone`: a count that the rule waits for was reached; it is not kept back. */
static __always_inline void send_event(const struct question *q, enum mw_event_kind kind,
				       int is_milestone)
{
	__u64 last_ns = *(volatile __u64 *)&q->src->event_ns;
	struct mw_event *event = 0;

	/* Before the reserve: per source, then for all. Signed: another CPU may have sent one later
	 * than our clock reading. */
	if (!is_milestone && last_ns && (__s64)(q->now_ns - last_ns) < (__s64)MW_EVENT_EVERY_NS)
		return;
	if (__sync_val_compare_and_swap(&q->src->event_ns, last_ns, q->now_ns) != last_ns &&
	    !is_milestone)
		return;
	if (mw_rate_take(&event_tat_ns, &event_rate, q->now_ns) == MW_TAKEN)
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (!event) {
		__sync_fetch_and_add(&events_lost, 1);
		return;
	}
	event->time_ns = q->now_ns;
	event->source = q->pkt->src;
	event->destination = q->pkt->dst;
	event->ifindex = q->pkt->ifindex;
	event->kind = kind;
	bpf_ringbuf_submit(event, 0);
}

/* A destination network's bit: /24 of IPv4, /48 of IPv6. */
static __always_inline __u32 contact_bit(const struct packet *pkt, __u64 seed)
{
	__u32 words[2] = {};

	if (pkt->is_ipv6) {
		__builtin_memcpy(words, pkt->dst.bytes, 8);
		words[1] &= bpf_htonl(0xffff0000);
	} else {
		__builtin_memcpy(&words[1], &pkt->dst.bytes[12], 4);
		words[1] &= bpf_htonl(0xffffff00);
	}
	return mw_hash(words, 2, seed) % MW_SEEN_BITS;
}

static __always_inline __u32 flow_tag(const struct packet *pkt, __u64 seed)
{
	__u32 words[9];

	__builtin_memcpy(&words[0], &pkt->src, 16);
	__builtin_memcpy(&words[4], &pkt->dst, 16);
	words[8] = (__u32)pkt->src_port_be << 16 | pkt->dst_port_be;
	return mw_hash(words, 9, seed);
}

/* Step 7. True if the SYN is a real retransmission of one that passed. `*held_retries` is its
 * ordinal if it repeats one that was dropped: that is judged again, but not counted again. */
static __always_inline int judge_retransmit(const struct question *q, struct mw_flow_place place,
					    __u32 tag, __u32 *held_retries)
{
	struct mw_flow *flow;
	__u64 word, next;

	if (!place.found || place.index >= MW_FLOW_SLOTS)
		return 0;
	flow = &q->src->flows[place.index];
	word = *(volatile __u64 *)&flow->word;
	if (*(volatile __u32 *)&flow->isn != q->pkt->isn || (__u32)(word >> 32) != tag ||
	    !mw_flow_is_retry(word, q->now_ns))
		return 0;
	if (mw_flow_state(word) == MW_FLOW_HELD) {
		*held_retries = mw_flow_retries(word) + 1;
		return 0;
	}
	next = mw_flow_word(tag, q->now_ns, mw_flow_retries(word) + 1, MW_FLOW_OPEN);
	return __sync_val_compare_and_swap(&flow->word, word, next) == word;
}

/* Steps 8 and 9: the limit, then the brake for a network not met before. */
static __always_inline __u32 judge_rate(const struct question *q, int is_contact)
{
	struct mw_source *src = q->src;
	enum mw_taken taken;

	/* Asked before anything is taken, so that a SYN the brake holds costs no token here. */
	if (!mw_rate_conforms(*(volatile __u64 *)&src->limit_tat_ns, &q->group->limit, q->now_ns))
		return MW_LIMITED;
	if (is_contact) {
		taken = mw_rate_take(&src->brake_tat_ns, &q->set->brake, q->now_ns);
		if (taken == MW_HELD)
			return MW_BRAKED;
		if (taken == MW_CONTENDED)
			__sync_fetch_and_add(&src->contended, 1);
	}
	taken = mw_rate_take(&src->limit_tat_ns, &q->group->limit, q->now_ns);
	if (taken == MW_CONTENDED)
		__sync_fetch_and_add(&src->contended, 1);
	return taken == MW_HELD ? MW_LIMITED : MW_PASSED;
}

/* Keeps the flow's SYN for step 7. A slot lost to another CPU or to a full set costs this flow
 * its free retransmissions, nothing else. */
static __always_inline void keep_flow(const struct question *q, struct mw_flow_place place,
				      __u32 tag, __u32 retries, enum mw_flow_state state)
{
	struct mw_flow *flow;
	__u64 was;

	if (place.index >= MW_FLOW_SLOTS)
		return;
	flow = &q->src->flows[place.index];
	was = *(volatile __u64 *)&flow->word;
	/* The same tuple with another ISN may not wipe the flow that is open. */
	if (state == MW_FLOW_HELD && mw_flow_state(was) == MW_FLOW_OPEN)
		return;
	if (__sync_val_compare_and_swap(&flow->word, was,
					mw_flow_word(tag, q->now_ns, retries, state)) != was)
		return;
	if (!place.found && mw_flow_state(was) == MW_FLOW_OPEN)
		__sync_fetch_and_add(&q->src->lost_flows, 1);
	*(volatile __u32 *)&flow->isn = q->pkt->isn;
}

/* A SYN that goes on its way met a network; one that was dropped met nobody, and its retry must
 * find the network still new. A known network is marked in each slice, else one in constant use
 * would be new again in every other slice. */
static __always_inline void account_contact(const struct question *q, struct mw_slice *slice,
					    __u32 bit)
{
	int is_known = mw_contact_seen(q->src, bit);

	if (mw_contact_mark(slice, bit) && !is_known &&
	    __sync_fetch_and_add(&slice->contacts, 1) + 1 == MW_HEAVY_CONTACTS)
		send_event(q, MW_EVENT_HEAVY, 1);
}

static __always_inline void account_verdict(const struct question *q, struct mw_slice *slice,
					    __u32 verdict)
{
	struct mw_source *src = q->src;

	__sync_fetch_and_add(&src->syns, 1);
	__sync_fetch_and_add(&slice->syns, 1);
	if (verdict == MW_LIMITED) {
		__sync_fetch_and_add(&src->limited, 1);
		__sync_fetch_and_add(&slice->limited, 1);
		send_event(q, MW_EVENT_LIMITED, 0);
	} else if (verdict == MW_BRAKED) {
		__sync_fetch_and_add(&src->braked, 1);
		send_event(q, MW_EVENT_BRAKED,
			   __sync_fetch_and_add(&slice->braked, 1) + 1 == MW_BRAKED_MANY);
	}
}

/* Steps 7 to 10: a SYN to a judged port, from a source inside. */
static __always_inline struct ruling judge_syn(const struct question *q)
{
	__u32 tag = flow_tag(q->pkt, q->set->hash_seed);
	__u32 bit = contact_bit(q->pkt, q->set->hash_seed);
	struct mw_slice *slice = mw_slice_turn(q->src, q->now_ns);
	struct mw_flow_place place = mw_flow_find(q->src, tag, q->now_ns, 1);
	struct ruling ruling = {MW_RETRANSMIT, 0};
	__u32 held_retries = 0;

	if (judge_retransmit(q, place, tag, &held_retries)) {
		__sync_fetch_and_add(&q->src->retransmits, 1);
		return ruling;
	}

	ruling.verdict = judge_rate(q, !mw_contact_seen(q->src, bit));
	ruling.would =
	    ruling.verdict != MW_PASSED && (is_exempt(q) || effective_mode(q) < MW_MODE_THROTTLE);
	if (!held_retries)
		account_verdict(q, slice, ruling.verdict);
	if (ruling.verdict == MW_PASSED || ruling.would) {
		account_contact(q, slice, bit);
		keep_flow(q, place, tag, 0, MW_FLOW_OPEN);
	} else {
		__sync_fetch_and_add(&q->src->dropped, 1);
		keep_flow(q, mw_flow_find(q->src, tag, q->now_ns, 0), tag, held_retries,
			  MW_FLOW_HELD);
	}
	return ruling;
}

/* The source's value, made at its first SYN. */
static __always_inline struct mw_source *touch_source(const struct question *q)
{
	struct mw_source *src = q->src;

	if (!src) {
		bpf_map_update_elem(&sources, &q->pkt->src, &new_source, BPF_NOEXIST);
		src = bpf_map_lookup_elem(&sources, &q->pkt->src);
		if (!src)
			return 0;
		source_scope(src, &q->pkt->src, q->set->generation);
	}
	if (!*(volatile __u64 *)&src->first_ns)
		*(volatile __u64 *)&src->first_ns = q->now_ns;
	*(volatile __u64 *)&src->last_ns = q->now_ns;
	return src;
}

/* Steps 4 to 10: TCP to a judged or a watched port. */
static __always_inline struct ruling judge(const struct packet *pkt, __u32 roles)
{
	struct question q = {.pkt = pkt};
	struct ruling block, ruling;
	__u32 zero = 0, group;

	q.set = bpf_map_lookup_elem(&settings, &zero);
	if (!q.set)
		return (struct ruling){MW_NOT_OURS, 0};
	q.src = bpf_map_lookup_elem(&sources, &pkt->src);
	q.scope = source_scope(q.src, &pkt->src, q.set->generation);
	if (!(q.scope.flags & MW_SCOPE_INSIDE))
		return (struct ruling){MW_NOT_INSIDE, 0};
	group = q.scope.group;
	q.group = bpf_map_lookup_elem(&groups, &group);
	if (!q.group)
		return (struct ruling){MW_NOT_OURS, 0};

	if (!(roles & MW_PORT_JUDGED)) {
		q.now_ns = now_boot_ns(q.set);
		q.src = touch_source(&q);
		if (q.src)
			__sync_fetch_and_add(&q.src->watched, 1);
		return (struct ruling){MW_WATCHED, 0};
	}
	if (q.set->has_servers && find_scope(&pkt->dst).flags & MW_SCOPE_SERVER)
		return (struct ruling){pkt->is_syn ? MW_PASSED : MW_FLOW, 0};

	block = judge_block(&q);
	if (block.verdict == MW_BLOCKED && (!block.would || !pkt->is_syn))
		return block;
	if (!pkt->is_syn)
		return (struct ruling){MW_FLOW, 0};
	if (!q.now_ns)
		q.now_ns = now_boot_ns(q.set);
	q.src = touch_source(&q);
	ruling = q.src ? judge_syn(&q) : (struct ruling){MW_PASSED, 0};

	/* A would-block still gathers evidence; what counts is the strongest word. */
	return block.verdict == MW_BLOCKED && (ruling.would || ruling.verdict == MW_PASSED) ?
		   block :
		   ruling;
}

static __always_inline void mask_source(struct mw_addr *src, const struct mw_addr *mask)
{
	for (int i = 0; i < 16; i++)
		src->bytes[i] &= mask->bytes[i];
}

/* From the network header on, as iptables counts; 0 for a jumbogram. */
static __always_inline __u32 network_bytes(const struct headers *h)
{
	if (h->ip4)
		return bpf_ntohs(h->ip4->tot_len);
	return h->ip6 ? bpf_ntohs(h->ip6->payload_len) + (__u32)sizeof(struct ipv6hdr) : 0;
}

/* Step 2, then the packet as the other steps want it. */
static __always_inline struct ruling judge_headers(const struct headers *h, __u32 ifindex)
{
	__u32 roles = port_roles(h->tcp->dest), zero = 0;
	const struct mw_settings *set;
	struct packet pkt = {.ifindex = ifindex};

	/* RST beats SYN; FIN, ECN bits and data make it nothing else. docs/packet.md has them all.
	 */
	pkt.is_syn = h->tcp->syn && !h->tcp->ack && !h->tcp->rst;
	if (!(roles & MW_PORT_JUDGED || (roles & MW_PORT_WATCHED && pkt.is_syn)))
		return (struct ruling){MW_NOT_OURS, 0};
	if (!read_addresses(h, &pkt.src, &pkt.dst))
		return (struct ruling){MW_MAPPED_SOURCE, 0};
	if (h->ip6) {
		set = bpf_map_lookup_elem(&settings, &zero);
		if (!set)
			return (struct ruling){MW_NOT_OURS, 0};
		pkt.is_ipv6 = 1;
		mask_source(&pkt.src, &set->ipv6_mask);
	}
	pkt.bytes = network_bytes(h);
	pkt.isn = bpf_ntohl(h->tcp->seq);
	pkt.src_port_be = h->tcp->source;
	pkt.dst_port_be = h->tcp->dest;
	return judge(&pkt, roles);
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
