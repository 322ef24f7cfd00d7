/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the controller is told by ring buffer: hints that look worth a look, and outcomes. */
#ifndef MAILWEIR_BPF_REPORT_H
#define MAILWEIR_BPF_REPORT_H

#include "question.h"

/* Hints of all sources together: 2,000 a second, 4,000 at once, since a flood of sources must not
 * spend its time on the ring buffer. Outcomes have a budget of their own, so that no flood of
 * hints loses one. New at each load, which costs at most one burst. */
static __u64 hint_tat_ns;
static __u64 outcome_tat_ns;
static const struct mw_rate hint_rate = {500 * 1000ULL, 3999 * 500 * 1000ULL};
static const struct mw_rate outcome_rate = {200 * 1000ULL, 7999 * 200 * 1000ULL};

/* Read by the controller. */
__u64 events_lost; /* over its budget, or the ring buffer was full */

static __always_inline struct mw_event *new_event(__u64 *tat_ns, const struct mw_rate *rate,
						  __u64 now_ns)
{
	struct mw_event *event = 0;

	if (mw_rate_take(tat_ns, rate, now_ns) == MW_TAKEN)
		event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	if (event)
		__builtin_memset(event, 0, sizeof(*event));
	else
		__sync_fetch_and_add(&events_lost, 1);
	return event;
}

/* A replay looks after each packet: waking it would cost this CPU an interrupt every time. */
static __always_inline void send_event(struct mw_event *event)
{
	bpf_ringbuf_submit(event, virtual_clock ? BPF_RB_NO_WAKEUP : 0);
}

/* `is_milestone`: a count that people wait for was reached; it is not kept back. */
static __always_inline void send_hint(const struct question *q, enum mw_event_kind kind,
				      int is_milestone)
{
	__u64 last_ns = *(volatile __u64 *)&q->src->event_ns;
	struct mw_event *event;

	/* Before the reserve: per source, then for all. Signed: another CPU may have sent one later
	 * than our clock reading. */
	if (!is_milestone && last_ns && (__s64)(q->now_ns - last_ns) < (__s64)MW_EVENT_EVERY_NS)
		return;
	if (__sync_val_compare_and_swap(&q->src->event_ns, last_ns, q->now_ns) != last_ns &&
	    !is_milestone)
		return;
	event = new_event(&hint_tat_ns, &hint_rate, q->now_ns);
	if (!event)
		return;
	event->time_ns = q->now_ns;
	event->source = q->pkt->src;
	event->destination = q->pkt->dst;
	event->ifindex = q->pkt->ifindex;
	event->kind = kind;
	send_event(event);
}

/* What a message earns with the brake, in first contacts. */
#define CREDIT_PER_MESSAGE 2

enum contact_count {
	CONTACT_OPENED,
	CONTACT_ANSWERED,
	CONTACT_UNANSWERED,
	CONTACT_FINISHED,
	CONTACT_LOST,
};

static __always_inline void count_contact(enum contact_count what, __u32 by)
{
	__u32 zero = 0;
	__u64 *counts = bpf_map_lookup_elem(&contacts, &zero);

	/* Atomic: an interrupt may count between another's reading and writing. */
	if (counts)
		__sync_fetch_and_add(&counts[what], by);
}

static __always_inline void lose_contact(struct mw_source *src)
{
	__sync_fetch_and_add(&src->lost, 1);
	count_contact(CONTACT_LOST, 1);
}

/* An outcome that cannot be told is lost, and counted with its source. */
static __always_inline void send_outcome(const struct question *q, enum mw_event_kind kind,
					 int is_contact, const struct mw_flow_measure *measure)
{
	struct mw_event *event = new_event(&outcome_tat_ns, &outcome_rate, q->now_ns);

	if (!event) {
		if (is_contact && kind != MW_EVENT_HEARD)
			lose_contact(q->src);
		return;
	}
	event->time_ns = q->now_ns;
	event->source = q->pkt->src;
	event->client = q->pkt->client;
	event->destination = q->pkt->dst;
	event->ifindex = q->pkt->ifindex;
	event->kind = kind;
	event->src_port_be = q->pkt->src_port_be;
	event->dst_port_be = q->pkt->dst_port_be;
	event->is_contact = is_contact;
	event->started_ns = mw_ticks_to_ns(measure->start_ticks, q->now_ns);
	event->sent_bytes = measure->sent_bytes;
	event->heard_bytes = measure->heard_bytes;
	send_event(event);
	if (is_contact && kind != MW_EVENT_HEARD)
		count_contact(CONTACT_FINISHED, 1);
}

#endif
