/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Steps 3 to 10 of docs/packet.md: what is to become of TCP to a judged or watched port. */
#ifndef MAILWEIR_BPF_JUDGE_H
#define MAILWEIR_BPF_JUDGE_H

#include "report.h"
#include "syn_log.h"

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

/* mw_flow_find() as a global function: the verifier looks at it once, and not at all that follows
 * for each slot it may return (with eight ways that is over its limit). Returns the index; with
 * FOUND, the flow's own. */
#define FOUND 0x80000000U
__noinline __u32 find_flow(const struct mw_source *src, __u32 tag, __u64 now_ns, int may_evict)
{
	struct mw_flow_place place;

	if (!src)
		return MW_FLOW_SLOTS;
	place = mw_flow_find(src, tag, now_ns, may_evict);
	return place.index | (place.found ? FOUND : 0);
}

static __always_inline struct mw_flow_place place_flow(const struct question *q, __u32 tag,
						       int may_evict)
{
	__u32 at = find_flow(q->src, tag, q->now_ns, may_evict);

	return (struct mw_flow_place){at & ~FOUND, !!(at & FOUND)};
}

/* Of a place that is one. The verifier of 6.1 does not take the bound from the comparison. */
static __always_inline __u32 slot_index(struct mw_flow_place place)
{
	__u32 index = place.index;

	barrier_var(index);
	return index & (MW_FLOW_SLOTS - 1);
}

/* Step 7. True if the SYN is a real retransmission of one that passed. `*held_retries` is its
 * ordinal if it repeats one that was dropped: that is judged again, but not counted again. */
static __always_inline int judge_retransmit(const struct question *q, struct mw_flow_place place,
					    __u32 tag, __u32 *held_retries)
{
	__u32 index = slot_index(place);
	__u64 *at = &q->src->flow_words[index];
	__u64 word, next;

	if (!place.found)
		return 0;
	word = *(volatile __u64 *)at;
	if (*(volatile __u32 *)&q->src->flows[index].isn != q->pkt->seg.seq ||
	    mw_flow_tag(word) != tag || !mw_flow_is_retry(word, q->now_ns))
		return 0;
	if (mw_flow_state(word) == MW_FLOW_HELD) {
		*held_retries = mw_flow_retries(word) + 1;
		return 0;
	}
	next = mw_flow_word(tag, q->now_ns, mw_flow_retries(word) + 1, word & 0xf);
	return __sync_val_compare_and_swap(at, word, next) == word;
}

/* Has the source shown that it delivers mail? Asked only where the brake would hold it. */
static __always_inline int is_proven(const struct question *q)
{
	const struct mw_score *score = bpf_map_lookup_elem(&scores, &q->pkt->src);

	return score && score->proven_until_ns > q->now_ns;
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
		if (taken == MW_HELD && !is_proven(q))
			return MW_BRAKED;
		if (taken == MW_CONTENDED)
			__sync_fetch_and_add(&src->contended, 1);
	}
	taken = mw_rate_take(&src->limit_tat_ns, &q->group->limit, q->now_ns);
	if (taken == MW_CONTENDED)
		__sync_fetch_and_add(&src->contended, 1);
	return taken == MW_HELD ? MW_LIMITED : MW_PASSED;
}

/* Keeps the flow: of a SYN that passed for its outcome, of one that was dropped for its retries.
 * `state`: enum mw_flow_state, and MW_FLOW_CONTACT. A slot lost to another CPU or to a full set
 * costs this flow its outcome and its free retransmissions, nothing else. */
static __always_inline void keep_flow(const struct question *q, struct mw_flow_place place,
				      __u32 tag, __u32 retries, __u32 state)
{
	__u32 index = slot_index(place);
	struct mw_flow *flow = &q->src->flows[index];
	__u64 *at = &q->src->flow_words[index];
	__u64 was, busy;

	if (place.index >= MW_FLOW_SLOTS)
		goto lost;
	was = *(volatile __u64 *)at;
	/* The same tuple with another ISN may not wipe the flow that is there. */
	if (state == MW_FLOW_HELD && mw_flow_state(was) >= MW_FLOW_SENT)
		return;
	/* The network doubled the SYN: its flow is there. */
	if (place.found && mw_flow_is_pending(was) && flow->isn == q->pkt->seg.seq)
		return;
	busy = mw_flow_word(tag, q->now_ns, retries, MW_FLOW_BUSY);
	if (mw_flow_state(was) == MW_FLOW_BUSY || __sync_val_compare_and_swap(at, was, busy) != was)
		goto lost;
	if (mw_flow_is_pending(was) && mw_flow_is_contact(was))
		lose_contact(q->src);
	flow->start_ticks = MW_TICKS(q->now_ns);
	flow->isn = q->pkt->seg.seq;
	flow->src_port_be = q->pkt->src_port_be;
	flow->dst_port_be = q->pkt->dst_port_be;
	flow->dst = q->pkt->dst;
	__builtin_memcpy(flow->src_low, &q->pkt->client.bytes[8], 8);
	/* Nobody else changes a busy word. The exchange keeps the stores above before it. */
	__sync_val_compare_and_swap(at, busy, mw_flow_word(tag, q->now_ns, retries, state));
	return;
lost:
	if (state & MW_FLOW_CONTACT)
		lose_contact(q->src);
}

/* A SYN that goes on its way met a network; one that was dropped met nobody, and its retry must
 * find the network still new. A known network is marked in each slice, else one in constant use
 * would be new again in every other slice. Returns whether this is the first contact. */
static __always_inline int account_contact(const struct question *q, struct mw_slice *slice,
					   __u32 bit)
{
	int is_known = mw_contact_seen(q->src, bit);

	if (!mw_contact_mark(slice, bit) || is_known)
		return 0;
	count_contact(CONTACT_OPENED, 1);
	if (__sync_fetch_and_add(&slice->contacts, 1) + 1 == MW_HEAVY_CONTACTS)
		send_hint(q, MW_EVENT_HEAVY, 1);
	return 1;
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
		send_hint(q, MW_EVENT_LIMITED, 0);
	} else if (verdict == MW_BRAKED) {
		__sync_fetch_and_add(&src->braked, 1);
		send_hint(q, MW_EVENT_BRAKED,
			  __sync_fetch_and_add(&slice->braked, 1) + 1 == MW_BRAKED_MANY);
	}
}

/* Steps 7 to 10: a SYN to a judged port, from a source inside. */
static __always_inline struct ruling judge_syn(const struct question *q)
{
	__u32 tag = flow_tag(q->pkt, q->set->hash_seed);
	__u32 bit = contact_bit(&q->pkt->dst, q->pkt->is_ipv6, q->set->hash_seed);
	struct mw_slice *slice = mw_slice_turn(q->src, q->now_ns);
	struct mw_flow_place place = place_flow(q, tag, 1);
	struct ruling ruling = {MW_RETRANSMIT, 0};
	__u32 held_retries = 0, contact;

	__sync_fetch_and_add(&q->src->bytes, q->pkt->bytes);
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
		contact = account_contact(q, slice, bit) ? MW_FLOW_CONTACT : 0;
		keep_flow(q, place, tag, 0, MW_FLOW_SENT | contact);
	} else {
		__sync_fetch_and_add(&q->src->dropped, 1);
		keep_flow(q, place_flow(q, tag, 0), tag, held_retries, MW_FLOW_HELD);
	}
	return ruling;
}

/* A flow that carried a message pays for first contacts to come; one that did not is remembered,
 * so that a later message gets it off the record. */
static __always_inline void account_end(const struct question *q, struct mw_slice *slice,
					int is_contact, const struct mw_flow_measure *measure)
{
	__u32 bit = contact_bit(&q->pkt->dst, q->pkt->is_ipv6, q->set->hash_seed);
	int is_message = mw_is_message(measure, q->set);

	if (is_contact) {
		__sync_fetch_and_add(&slice->finished, 1);
		if (is_message) {
			mw_rate_give_back(&q->src->brake_tat_ns, &q->set->brake,
					  CREDIT_PER_MESSAGE);
		} else {
			__sync_fetch_and_add(&slice->no_message, 1);
			mw_refused_mark(q->src, bit, q->now_ns);
		}
	} else if (!is_message || !mw_refused_seen(q->src, bit)) {
		return;
	}
	send_outcome(q, is_message ? MW_EVENT_PRODUCTIVE : MW_EVENT_UNPRODUCTIVE, is_contact,
		     measure);
}

/* Step 6: not a SYN. Nothing here changes what becomes of the packet. */
static __always_inline void account_flow(struct question *q)
{
	__u32 tag = flow_tag(q->pkt, q->set->hash_seed);
	struct mw_flow_place place = place_flow(q, tag, 0);
	struct mw_flow_measure measure = {};
	struct mw_slice *slice;
	__u64 word;
	__u32 news;

	if (!place.found)
		return;
	news = mw_flow_take(q->src, place.index, tag, &q->pkt->seg, q->set, &measure, &word);
	if (!news)
		return;
	if (!q->now_ns)
		q->now_ns = now_boot_ns(q->set);
	slice = mw_slice_turn(q->src, q->now_ns);
	if (mw_flow_is_contact(word)) {
		if (news & MW_NEWS_ANSWERED) {
			__sync_fetch_and_add(&slice->answered, 1);
			count_contact(CONTACT_ANSWERED, 1);
		}
		if (news & MW_NEWS_REFUSED) {
			__sync_fetch_and_add(&slice->unanswered, 1);
			count_contact(CONTACT_UNANSWERED, 1);
		}
	}
	if (news & MW_NEWS_HEARD && mw_flow_is_contact(word))
		send_outcome(q, MW_EVENT_HEARD, 1, &measure);
	if (news & MW_NEWS_FORGED && mw_flow_is_contact(word))
		lose_contact(q->src);
	if (news & (MW_NEWS_OVER | MW_NEWS_ENOUGH))
		account_end(q, slice, mw_flow_is_contact(word), &measure);
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
static __always_inline struct ruling judge_packet(const struct packet *pkt, __u32 roles)
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
	if (block.verdict == MW_BLOCKED && !block.would)
		return block;
	if (!pkt->is_syn) {
		if (q.src) {
			__sync_fetch_and_add(&q.src->bytes, pkt->bytes);
			account_flow(&q);
		}
		return block.verdict == MW_BLOCKED ? block : (struct ruling){MW_FLOW, 0};
	}
	if (!q.now_ns)
		q.now_ns = now_boot_ns(q.set);
	q.src = touch_source(&q);
	ruling = q.src ? judge_syn(&q) : (struct ruling){MW_PASSED, 0};

	/* A would-block still gathers evidence; what counts is the strongest word. */
	return block.verdict == MW_BLOCKED && (ruling.would || ruling.verdict == MW_PASSED) ?
		   block :
		   ruling;
}

/* Step 3: a SYN toward a client, to a port that is shielded. A person ordered that, so it holds in
 * every mode. */
static __always_inline struct ruling judge_shield(const struct packet *pkt)
{
	struct question q = {.pkt = pkt};
	struct mw_addr dst = pkt->dst;
	struct mw_scope scope;
	__u32 zero = 0;

	q.set = bpf_map_lookup_elem(&settings, &zero);
	if (!q.set)
		return (struct ruling){MW_NOT_OURS, 0};
	scope = find_scope(&dst);
	if (scope.flags & (MW_SCOPE_EXPOSED | MW_SCOPE_SERVER))
		return (struct ruling){MW_NOT_OURS, 0};
	/* An IPv6 client is found by its network's address. */
	if (pkt->is_ipv6 && !(scope.flags & MW_SCOPE_INSIDE)) {
		mask_address(&dst, &q.set->ipv6_mask);
		scope = find_scope(&dst);
	}
	if (!(scope.flags & MW_SCOPE_INSIDE))
		return (struct ruling){MW_NOT_OURS, 0};
	q.now_ns = now_boot_ns(q.set);
	q.scope = find_scope(&pkt->src);
	if (q.scope.flags & MW_SCOPE_EXPOSED)
		return (struct ruling){MW_NOT_OURS, 0};
	return (struct ruling){MW_SHIELDED, is_exempt(&q)};
}

/* Of a source inside, to a judged port: these SYNs are logged, whatever becomes of them. */
static __always_inline int is_mail(__u32 verdict)
{
	return verdict == MW_PASSED || verdict == MW_RETRANSMIT || verdict == MW_LIMITED ||
	       verdict == MW_BRAKED || verdict == MW_BLOCKED;
}

/* What judge() returns beside the verdict. */
#define MW_RULING_WOULD (1U << 16)
#define MW_RULING_LOG (1U << 17)

/* A global function: the verifier walks it once, and not once for each way through the headers
 * (853,000 instructions of its million, inlined). Returns the ruling in one number. */
__noinline int judge(const struct packet *pkt, __u32 roles)
{
	struct ruling ruling;
	struct packet own;

	if (!pkt)
		return MW_NOT_OURS;
	/* Linux 6.1 takes keys of maps from this function's own stack only. */
	own = *pkt;
	if (roles & MW_PORT_SHIELDED && own.is_syn) {
		ruling = judge_shield(&own);
		if (ruling.verdict != MW_NOT_OURS && !ruling.would)
			return MW_SHIELDED;
		if (!(roles & (MW_PORT_JUDGED | MW_PORT_WATCHED)))
			return (int)(ruling.verdict | (ruling.would ? MW_RULING_WOULD : 0));
	}
	ruling = judge_packet(&own, roles);
	return (
	    int)(ruling.verdict | (ruling.would ? MW_RULING_WOULD : 0) |
		 (own.is_syn && is_mail(ruling.verdict) && sample_syn(&own) ? MW_RULING_LOG : 0));
}

#endif
