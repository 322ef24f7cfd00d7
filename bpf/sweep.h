/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What time alone tells: contacts that nobody answered, servers that say nothing. */
#ifndef MAILWEIR_BPF_SWEEP_H
#define MAILWEIR_BPF_SWEEP_H

#include "parse.h"
#include "report.h"

struct sweep {
	const struct mw_settings *set;
	__u64 now_ns;
	__u64 tracked;
	__u64 active;
	__u64 pending;
};

/* Of the last sweep; read by the controller. */
__u64 sources_tracked;
__u64 sources_active;	/* with a SYN in the last 10 minutes, and an answer */
__u64 contacts_pending; /* their outcome is still to come */

/* The flow's whole tuple stands in its slot. */
static __always_inline void fill_from_flow(struct mw_event *event, const struct mw_addr *key,
					   const struct mw_flow *flow,
					   const struct mw_flow_measure *measure, __u64 now_ns)
{
	event->time_ns = now_ns;
	event->source = *key;
	event->client = *key;
	__builtin_memcpy(&event->client.bytes[8], flow->src_low, 8);
	event->destination = flow->dst;
	event->src_port_be = flow->src_port_be;
	event->dst_port_be = flow->dst_port_be;
	event->is_contact = 1;
	event->is_by_time = 1;
	event->started_ns = mw_ticks_to_ns(measure->start_ticks, now_ns);
	event->sent_bytes = measure->sent_bytes;
	event->heard_bytes = measure->heard_bytes;
}

/* One CPU, or one packet of the flow, wins. */
static __always_inline int change_flow(struct mw_source *src, __u32 index, __u64 word, __u64 to)
{
	return __sync_val_compare_and_swap(&src->flow_words[index], word, to) == word;
}

static __always_inline void account_over(const struct sweep *sweep, struct mw_source *src,
					 const struct mw_addr *dst, int is_message)
{
	struct mw_slice *slice = mw_slice_turn(src, sweep->now_ns);

	__sync_fetch_and_add(&slice->finished, 1);
	if (is_message) {
		mw_rate_give_back(&src->brake_tat_ns, &sweep->set->brake, CREDIT_PER_MESSAGE);
		return;
	}
	__sync_fetch_and_add(&slice->no_message, 1);
	mw_refused_mark(src, contact_bit(dst, !is_v4_mapped(dst), sweep->set->hash_seed),
			sweep->now_ns);
}

/* A contact that time has judged. One without a message goes on as a flow that is none: a message
 * that comes late takes its step back. What its slot holds is read before it is let go; an event
 * that is reserved has one way out for each end, which the verifier of 6.1 needs. */
static __always_inline void close_contact(const struct sweep *sweep, const struct mw_addr *key,
					  struct mw_source *src, __u32 index, __u64 word,
					  const struct mw_flow_measure *measure)
{
	struct mw_addr dst = src->flows[index].dst;
	int is_message = mw_is_message(measure, sweep->set);
	__u64 next =
	    is_message ? mw_flow_with_state(word, MW_FLOW_JUDGED) : word & ~(__u64)MW_FLOW_CONTACT;
	struct mw_event *event = new_event(&outcome_tat_ns, &outcome_rate, sweep->now_ns);

	if (!event) {
		if (change_flow(src, index, word, next)) {
			account_over(sweep, src, &dst, is_message);
			lose_contact(src);
		}
		return;
	}
	fill_from_flow(event, key, &src->flows[index], measure, sweep->now_ns);
	event->kind = is_message ? MW_EVENT_PRODUCTIVE : MW_EVENT_UNPRODUCTIVE;
	if (!change_flow(src, index, word, next)) {
		bpf_ringbuf_discard(event, 0);
		return;
	}
	send_event(event);
	account_over(sweep, src, &dst, is_message);
	count_contact(CONTACT_FINISHED, 1);
}

struct sweep_of_source {
	struct sweep *sweep;
	const struct mw_addr *key;
	struct mw_source *src;
	__u32 unanswered;
	__u32 pending;
	__u32 is_cut_off; /* by our own block: no flow of it can come to an end */
};

/* Callback of bpf_loop(): a loop that the verifier walks 32 times is too long for it. A flow that
 * is no contact has no outcome to tell, but is let go all the same. */
static long sweep_flow(__u32 index, struct sweep_of_source *of)
{
	struct mw_source *src = of->src;
	struct mw_flow_measure measure = {};
	enum mw_flow_due due;
	__u64 word;

	if (index >= MW_FLOW_SLOTS)
		return 1;
	word = *(volatile __u64 *)&src->flow_words[index];
	if (!mw_flow_is_pending(word))
		return 0;
	due = of->is_cut_off ? MW_DUE_LOST :
			       mw_flow_due(&src->flows[index], word, of->sweep->now_ns, &measure);
	if (due == MW_DUE_NOT || due == MW_DUE_QUIET) {
		of->pending += mw_flow_is_contact(word);
		if (due == MW_DUE_QUIET)
			change_flow(src, index, word,
				    mw_flow_word(mw_flow_tag(word), of->sweep->now_ns,
						 MW_FLOW_QUIET, word & 0xf));
		return 0;
	}
	if (due == MW_DUE_OVER && mw_flow_is_contact(word)) {
		close_contact(of->sweep, of->key, src, index, word, &measure);
		return 0;
	}
	/* A flow that is no contact has no outcome to tell, unless it carries a message yet. */
	if (due == MW_DUE_OVER &&
	    mw_flow_open_ns(&src->flows[index], of->sweep->now_ns) < (__s64)MW_OVERDUE_NS)
		return 0;
	if (!change_flow(src, index, word, mw_flow_with_state(word, MW_FLOW_JUDGED)) ||
	    !mw_flow_is_contact(word))
		return 0;
	if (due == MW_DUE_LOST)
		lose_contact(src);
	else
		of->unanswered++;
	return 0;
}

static __always_inline void tell_unanswered(const struct sweep *sweep, const struct mw_addr *key,
					    struct mw_source *src, __u32 count)
{
	struct mw_slice *slice = mw_slice_turn(src, sweep->now_ns);
	struct mw_event *event;

	__sync_fetch_and_add(&slice->unanswered, count);
	count_contact(CONTACT_UNANSWERED, count);
	event = new_event(&hint_tat_ns, &hint_rate, sweep->now_ns);
	if (!event)
		return;
	event->time_ns = sweep->now_ns;
	event->source = *key;
	event->kind = MW_EVENT_UNANSWERED;
	event->count = count;
	send_event(event);
}

/* Most sources have nothing to judge: asked without a call for each flow. */
static __always_inline int has_pending(const struct mw_source *src)
{
	__u64 any = 0;

	for (int i = 0; i < MW_FLOW_SLOTS; i++)
		any |= mw_flow_is_pending(*(const volatile __u64 *)&src->flow_words[i]);
	return any != 0;
}

static __always_inline int is_cut_off(const struct sweep *sweep, const struct mw_addr *key,
				      const struct mw_source *src)
{
	struct mw_addr source = *key;
	const struct mw_block *block = bpf_map_lookup_elem(&blocklist, &source);
	__u64 scope = *(const volatile __u64 *)&src->scope;
	__u32 group = scope & 0xffff;
	const struct mw_group *own;

	if (!block || (block->until_ns && block->until_ns <= sweep->now_ns) ||
	    scope >> 16 & MW_SCOPE_ALLOWED)
		return 0;
	if (block->reason == MW_REASON_MANUAL)
		return 1;
	own = bpf_map_lookup_elem(&groups, &group);
	return own &&
	       (own->mode == MW_MODE_INHERIT ? sweep->set->mode : own->mode) == MW_MODE_BLOCK;
}

struct bpf_map;

/* Callback of bpf_for_each_map_elem(). */
static long sweep_source(struct bpf_map *map __attribute__((unused)), const struct mw_addr *key,
			 struct mw_source *src, struct sweep *sweep)
{
	struct sweep_of_source of = {.sweep = sweep, .key = key, .src = src};
	__s64 idle_ns = (__s64)(sweep->now_ns - *(volatile __u64 *)&src->last_ns);

	sweep->tracked++;
	if (idle_ns < (__s64)MW_ACTIVE_NS && (src->slices[0].answered || src->slices[1].answered))
		sweep->active++;
	if (!has_pending(src))
		return 0;
	of.is_cut_off = is_cut_off(sweep, key, src);
	bpf_loop(MW_FLOW_SLOTS, sweep_flow, &of, 0);
	sweep->pending += of.pending;
	if (of.unanswered)
		tell_unanswered(sweep, key, src, of.unanswered);
	return 0;
}

#endif
