/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure: a flow's slot, and what its client's own packets tell of its outcome. No map, no clock.
 * Compiled for BPF and, by the unit tests, for the host. */
#ifndef MAILWEIR_BPF_FLOW_H
#define MAILWEIR_BPF_FLOW_H

#include "limit.h"

#define MW_FLOW_TICK_SHIFT 20 /* 2^20 ns: about a millisecond */
#define MW_TICKS(ns) ((__u32)((ns) >> MW_FLOW_TICK_SHIFT))
#define MW_FLOW_TICKS_MASK 0xffffffU
#define MW_RETRY_MIN_TICKS ((500ULL * 1000000ULL) >> MW_FLOW_TICK_SHIFT)
/* Linux gives up on a SYN after 127 s (tcp_syn_retries = 6); later it is a flow of its own. */
#define MW_RETRY_MAX_TICKS ((130ULL * 1000000000ULL) >> MW_FLOW_TICK_SHIFT)
#define MW_RETRY_MAX 6

/* How far ahead of, or behind, what was sent data may lie and be believed; offload makes segments
 * of 512 KiB. A neighbour who knows the ports hits it blindly once in 512 times, and makes the flow
 * look larger. An end (FIN, RST) must lie exactly where the client's data ends. */
#define MW_SEQ_WINDOW (4U << 20)
/* The handshake's ACK may carry data (TCP Fast Open, a lost ACK), but not much. */
#define MW_FIRST_WINDOW 65536U

/* `state`: enum mw_flow_state, and MW_FLOW_CONTACT. */
MW_INLINE __u64 mw_flow_word(__u32 tag, __u64 now_ns, __u32 retries, __u32 state)
{
	__u64 ticks = (now_ns >> MW_FLOW_TICK_SHIFT) & MW_FLOW_TICKS_MASK;

	return (__u64)tag << 32 | ticks << 8 | (retries & 0xf) << 4 | (state & 0xf);
}

MW_INLINE enum mw_flow_state mw_flow_state(__u64 word)
{
	return (enum mw_flow_state)(word & 7);
}

MW_INLINE int mw_flow_is_contact(__u64 word)
{
	return !!(word & MW_FLOW_CONTACT);
}

MW_INLINE __u64 mw_flow_with_state(__u64 word, enum mw_flow_state state)
{
	return (word & ~7ULL) | state;
}

MW_INLINE int mw_flow_is_open(__u64 word)
{
	return mw_flow_state(word) == MW_FLOW_OPEN || mw_flow_state(word) == MW_FLOW_TLS;
}

MW_INLINE __u32 mw_flow_retries(__u64 word)
{
	return (word >> 4) & 0xf;
}

MW_INLINE __u32 mw_flow_tag(__u64 word)
{
	return (__u32)(word >> 32);
}

/* Has it an outcome that is still to come? */
MW_INLINE int mw_flow_is_pending(__u64 word)
{
	/* One comparison, since the sweep asks it of each word. */
	return (__u32)(word & 7) - MW_FLOW_SENT <= MW_FLOW_TLS - MW_FLOW_SENT;
}

/* Modulo 2^24 ticks (4.9 hours): an older slot can look young and cost one SYN its charge. */
MW_INLINE __u32 mw_flow_age_ticks(__u64 word, __u64 now_ns)
{
	return ((__u32)(now_ns >> MW_FLOW_TICK_SHIFT) - (__u32)(word >> 8)) & MW_FLOW_TICKS_MASK;
}

/* Is a SYN with the flow's own initial sequence number a real retransmission of it? A stack
 * waits at least 500 ms and gives up after 6; all else is judged as a new SYN. */
MW_INLINE int mw_flow_is_retry(__u64 word, __u64 now_ns)
{
	__u32 age = mw_flow_age_ticks(word, now_ns);

	return mw_flow_state(word) >= MW_FLOW_HELD && !mw_flow_is_open(word) &&
	       mw_flow_retries(word) < MW_RETRY_MAX && age >= MW_RETRY_MIN_TICKS &&
	       age <= MW_RETRY_MAX_TICKS;
}

struct mw_flow_place {
	__u32 index;
	int found; /* the slot holds this flow; else it is the one to overwrite */
};

/* Which slot to give up first: free, held, told, no contact, and of two alike the older one. A held
 * SYN may not overwrite flows that passed (`may_evict` 0), since a flood of dropped SYNs must not
 * wipe evidence; only one that was told and can have no more retries. 0: not at all. */
MW_INLINE __u32 mw_flow_rank(__u64 word, __u64 now_ns, int may_evict)
{
	__u32 age = mw_flow_age_ticks(word, now_ns) + 1;

	switch (mw_flow_state(word)) {
	case MW_FLOW_FREE:
		return 0xffffffff;
	case MW_FLOW_HELD:
		return 0xfffffffe;
	case MW_FLOW_BUSY:
		return 0;
	case MW_FLOW_JUDGED:
		return may_evict || age > MW_RETRY_MAX_TICKS + 1 ?
			   age + 2 * (MW_FLOW_TICKS_MASK + 1) :
			   0;
	default:
		return !may_evict		? 0 :
		       mw_flow_is_contact(word) ? age :
						  age + MW_FLOW_TICKS_MASK + 1;
	}
}

/* Looks in the flow's set for its slot, or for the one to give up (index MW_FLOW_SLOTS: none). */
MW_INLINE struct mw_flow_place mw_flow_find(const struct mw_source *src, __u32 tag, __u64 now_ns,
					    int may_evict)
{
	__u32 first = (tag & (MW_FLOW_SLOTS / MW_FLOW_WAYS - 1)) * MW_FLOW_WAYS;
	__u32 victim = MW_FLOW_SLOTS, victim_rank = 0;

	for (int way = 0; way < MW_FLOW_WAYS; way++) {
		__u32 index = (first + way) % MW_FLOW_SLOTS;
		__u64 word = *(const volatile __u64 *)&src->flow_words[index];
		__u32 rank;

		/* One that is being written is found, too, or the flow would get two slots. */
		if (mw_flow_state(word) != MW_FLOW_FREE && mw_flow_tag(word) == tag)
			return (struct mw_flow_place){index, 1};
		rank = mw_flow_rank(word, now_ns, may_evict);
		if (rank > victim_rank) {
			victim = index;
			victim_rank = rank;
		}
	}
	return (struct mw_flow_place){victim, 0};
}

/* What one packet of the client says. */
struct mw_segment {
	__u32 seq;
	__u32 ack;
	__u32 payload_bytes;
	__u8 is_ack;
	__u8 is_fin;
	__u8 is_rst;
};

/* What became known by it; more than one bit may be set. */
enum mw_flow_news {
	MW_NEWS_ANSWERED = 1 << 0, /* the handshake is complete */
	MW_NEWS_REFUSED = 1 << 1,  /* given up before it was: unanswered */
	MW_NEWS_HEARD = 1 << 2,	   /* the server has begun to speak */
	MW_NEWS_OVER = 1 << 3,	   /* by FIN or RST; measured */
	MW_NEWS_ENOUGH = 1 << 4,   /* a message was sent, and it goes on; measured */
	MW_NEWS_FORGED = 1 << 5,   /* it contradicts itself: its outcome is lost */
};

struct mw_flow_measure {
	__u32 sent_bytes; /* MW_FLOW_TLS: since then */
	__u32 heard_bytes;
	__u32 is_tls;
	__u32 start_ticks;
};

/* A moment in ticks that lies before `now_ns`, by less than 52 days. */
MW_INLINE __u64 mw_ticks_to_ns(__u32 ticks, __u64 now_ns)
{
	return now_ns - ((__u64)(MW_TICKS(now_ns) - ticks) << MW_FLOW_TICK_SHIFT);
}

/* False if another flow's CPU wrote into the slot: the evidence is lost. */
MW_INLINE int mw_flow_read(const struct mw_flow *flow, __u64 word, struct mw_flow_measure *measure)
{
	__u64 first = *(const volatile __u64 *)&flow->ack_first;
	__u64 last = *(const volatile __u64 *)&flow->ack_last;
	__u64 end = *(const volatile __u64 *)&flow->seq_end;
	__u32 tag = mw_flow_tag(word);

	if (mw_flow_tag(first) != tag || mw_flow_tag(last) != tag || mw_flow_tag(end) != tag)
		return 0;
	measure->is_tls = mw_flow_state(word) == MW_FLOW_TLS;
	measure->start_ticks = *(const volatile __u32 *)&flow->start_ticks;
	measure->heard_bytes = (__u32)last - (__u32)first;
	measure->sent_bytes =
	    (__u32)end - (measure->is_tls ? *(const volatile __u32 *)&flow->tls_seq :
					    *(const volatile __u32 *)&flow->isn + 1);
	return 1;
}

MW_INLINE int mw_is_message(const struct mw_flow_measure *measure, const struct mw_settings *set)
{
	return measure->sent_bytes >=
	       (measure->is_tls ? set->message_bytes_tls : set->message_bytes);
}

/* Can it be told before the end? Before the server has spoken much, what was sent may be a hello.
 */
MW_INLINE int mw_is_enough(const struct mw_flow_measure *measure, const struct mw_settings *set)
{
	return measure->sent_bytes >= (measure->is_tls ? set->message_bytes_tls : MW_ENOUGH_BYTES);
}

/* A tagged number only ever rises, whatever another CPU does with the same flow: a lower one would
 * be a message that was never sent. Returns what it replaced, or 0: others were higher, or faster;
 * then the next packet raises it. */
MW_INLINE __u64 mw_flow_raise(__u64 *at, __u64 seen, __u64 to)
{
	for (int i = 0; i < MW_CAS_TRIES; i++) {
		__u64 was = __sync_val_compare_and_swap(at, seen, to);

		if (was == seen)
			return was;
		if (mw_flow_tag(was) != mw_flow_tag(to) || (__s32)((__u32)to - (__u32)was) <= 0)
			return 0;
		seen = was;
	}
	return 0;
}

/* Sequence numbers of the flow move on. Returns MW_NEWS_HEARD if the server has begun to speak,
 * MW_NEWS_FORGED if it seems to have said more than any does, MW_NEWS_OVER if this is the end. */
MW_INLINE __u32 mw_flow_advance(struct mw_flow *flow, __u32 tag, const struct mw_segment *seg)
{
	__u64 own = (__u64)tag << 32;
	__u64 end = *(volatile __u64 *)&flow->seq_end;
	__u64 ack = *(volatile __u64 *)&flow->ack_last;
	__u64 first = *(volatile __u64 *)&flow->ack_first;
	__s32 ahead = (__s32)(seg->seq + seg->payload_bytes - (__u32)end);
	__s32 said = (__s32)(seg->ack - (__u32)first);
	__u32 news = 0;

	if (mw_flow_tag(end) != tag || mw_flow_tag(ack) != tag || mw_flow_tag(first) != tag ||
	    ahead > (__s32)MW_SEQ_WINDOW || ahead < -(__s32)MW_SEQ_WINDOW)
		return 0;
	if ((seg->is_fin && ahead >= 0 && (__u32)ahead == seg->payload_bytes) ||
	    (seg->is_rst && ahead == 0))
		news = MW_NEWS_OVER;
	/* A RST carries no data, and its number may be the server's idea of it. */
	if (ahead > 0 && !seg->is_rst)
		mw_flow_raise(&flow->seq_end, end, own | (__u32)(seg->seq + seg->payload_bytes));
	if (!seg->is_ack)
		return news;
	if (said > (__s32)MW_HEARD_MOST || said < -(__s32)MW_HEARD_MOST)
		return MW_NEWS_FORGED;
	if ((__s32)(seg->ack - (__u32)ack) > 0) {
		if (mw_flow_raise(&flow->ack_last, ack, own | seg->ack) == first)
			news |= MW_NEWS_HEARD;
	}
	return news;
}

/* The client answers: MW_FLOW_SENT to MW_FLOW_OPEN. Returns the new word, or 0. */
MW_INLINE __u64 mw_flow_open(__u64 *at, __u64 was, struct mw_flow *flow,
			     const struct mw_segment *seg)
{
	__u64 own = (__u64)mw_flow_tag(was) << 32;
	__u64 busy = mw_flow_with_state(was, MW_FLOW_BUSY);
	__u64 next = mw_flow_with_state(was & ~0xf0ULL, MW_FLOW_OPEN);

	if (__sync_val_compare_and_swap(at, was, busy) != was)
		return 0;
	*(volatile __u64 *)&flow->ack_first = own | seg->ack;
	*(volatile __u64 *)&flow->ack_last = own | seg->ack;
	*(volatile __u64 *)&flow->seq_end = own | seg->seq;
	__sync_val_compare_and_swap(at, busy, next);
	return next;
}

/* What the client sends with this packet or later is counted anew: MW_FLOW_OPEN to MW_FLOW_TLS.
 * Busy meanwhile, so that nobody reads a number that is not there yet. Returns the new word, or 0.
 */
MW_INLINE __u64 mw_flow_turn_tls(__u64 *at, __u64 was, struct mw_flow *flow, __u32 sent_before)
{
	__u64 busy = mw_flow_with_state(was, MW_FLOW_BUSY);
	__u64 next = mw_flow_with_state(was, MW_FLOW_TLS);

	if (__sync_val_compare_and_swap(at, was, busy) != was)
		return 0;
	*(volatile __u32 *)&flow->tls_seq = sent_before;
	__sync_val_compare_and_swap(at, busy, next);
	return next;
}

/* MW_FLOW_SENT: is it answered, or given up? Returns enum mw_flow_news; `*word` moves on. */
MW_INLINE __u32 mw_flow_answer(__u64 *at, struct mw_flow *flow, const struct mw_segment *seg,
			       __u64 *word)
{
	__u32 ahead = seg->seq - *(volatile __u32 *)&flow->isn;
	__u64 next;

	if (ahead > MW_FIRST_WINDOW)
		return 0;
	if (seg->is_rst)
		return __sync_val_compare_and_swap(at, *word, 0) == *word ? MW_NEWS_REFUSED : 0;
	if (!seg->is_ack || ahead == 0)
		return 0;
	next = mw_flow_open(at, *word, flow, seg);
	if (!next)
		return 0;
	*word = next;
	return MW_NEWS_ANSWERED;
}

/* An open flow's numbers have moved: what is known by that? `*word` moves on with its state. */
MW_INLINE __u32 mw_flow_weigh(__u64 *at, struct mw_flow *flow, __u32 sent_before,
			      const struct mw_settings *set, struct mw_flow_measure *measure,
			      int is_over, __u64 *word)
{
	__u64 next;

	if (!mw_flow_read(flow, *word, measure))
		return 0;
	if (!measure->is_tls && measure->heard_bytes >= MW_TLS_HEARD_BYTES &&
	    !mw_is_enough(measure, set)) {
		next = mw_flow_turn_tls(at, *word, flow, sent_before);
		if (!next)
			return 0;
		*word = next;
		if (!mw_flow_read(flow, *word, measure))
			return 0;
	}
	if (is_over)
		return __sync_val_compare_and_swap(at, *word, 0) == *word ? MW_NEWS_OVER : 0;
	if (!mw_is_enough(measure, set))
		return 0;
	next = mw_flow_with_state(*word, MW_FLOW_JUDGED);
	return __sync_val_compare_and_swap(at, *word, next) == *word ? MW_NEWS_ENOUGH : 0;
}

/* Step 6: tells the flow of its client's packet. Returns enum mw_flow_news; `*measure` is filled
 * with MW_NEWS_OVER and MW_NEWS_ENOUGH. `*word` is the state word that the news is about. One CPU
 * is told each news, by compare-and-swap. */
MW_INLINE __u32 mw_flow_take(struct mw_source *src, __u32 index, __u32 tag,
			     const struct mw_segment *seg, const struct mw_settings *set,
			     struct mw_flow_measure *measure, __u64 *word)
{
	__u64 *at = &src->flow_words[index % MW_FLOW_SLOTS];
	struct mw_flow *flow = &src->flows[index % MW_FLOW_SLOTS];
	__u32 news = 0, moved, sent_before;
	__u64 next;

	*word = *(volatile __u64 *)at;
	if (mw_flow_tag(*word) != tag)
		return 0;
	/* Nothing is told of it any more: whoever ends it. */
	if (mw_flow_state(*word) == MW_FLOW_JUDGED && (seg->is_fin || seg->is_rst)) {
		__sync_val_compare_and_swap(at, *word, 0);
		return 0;
	}
	if (mw_flow_state(*word) == MW_FLOW_SENT)
		news = mw_flow_answer(at, flow, seg, word);
	if (!mw_flow_is_open(*word))
		return news;
	sent_before = (__u32) * (volatile __u64 *)&flow->seq_end;
	moved = mw_flow_advance(flow, tag, seg);
	if (moved & MW_NEWS_FORGED) {
		next = mw_flow_with_state(*word, MW_FLOW_JUDGED);
		return __sync_val_compare_and_swap(at, *word, next) == *word ? MW_NEWS_FORGED : 0;
	}
	/* A sweep has marked it as quiet, and it is not. */
	if (mw_flow_retries(*word)) {
		next = *word & ~0xf0ULL;
		if (__sync_val_compare_and_swap(at, *word, next) != *word)
			return news;
		*word = next;
	}
	return news | (moved & MW_NEWS_HEARD) |
	       mw_flow_weigh(at, flow, sent_before, set, measure, moved & MW_NEWS_OVER, word);
}

enum mw_flow_due {
	MW_DUE_NOT,
	MW_DUE_UNANSWERED,
	MW_DUE_OVER,  /* the server says nothing, or the client, or the flow is overdue; measured */
	MW_DUE_QUIET, /* the client has said nothing since the last sweep: to be marked so */
	MW_DUE_LOST,  /* its measure was written over */
};

/* Since its SYN; negative if another CPU's clock reading was later. */
MW_INLINE __s64 mw_flow_open_ns(const struct mw_flow *flow, __u64 now_ns)
{
	__s32 ticks = (__s32)(MW_TICKS(now_ns) - *(const volatile __u32 *)&flow->start_ticks);

	return (__s64)ticks << MW_FLOW_TICK_SHIFT;
}

/* What time alone tells of a flow. */
MW_INLINE enum mw_flow_due mw_flow_due(const struct mw_flow *flow, __u64 word, __u64 now_ns,
				       struct mw_flow_measure *measure)
{
	__s64 age_ns = mw_flow_open_ns(flow, now_ns);

	if (mw_flow_state(word) == MW_FLOW_SENT)
		return age_ns >= (__s64)MW_ANSWER_NS ? MW_DUE_UNANSWERED : MW_DUE_NOT;
	if (!mw_flow_is_open(word))
		return MW_DUE_NOT;
	if (!mw_flow_read(flow, word, measure))
		return MW_DUE_LOST;
	if ((measure->heard_bytes == 0 && age_ns >= (__s64)MW_SILENT_NS) ||
	    age_ns >= (__s64)MW_OVERDUE_NS)
		return MW_DUE_OVER;
	if (mw_flow_retries(word) != MW_FLOW_QUIET)
		return MW_DUE_QUIET;
	return mw_flow_age_ticks(word, now_ns) >= MW_IDLE_NS >> MW_FLOW_TICK_SHIFT ? MW_DUE_OVER :
										     MW_DUE_NOT;
}

#endif
