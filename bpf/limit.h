/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure decisions on a source's value: rate (GCRA), time slices, contact bitmap, flow slots.
 * No map, no clock, no packet. Compiled for BPF and, by the unit tests, for the host. */
#ifndef MAILWEIR_BPF_LIMIT_H
#define MAILWEIR_BPF_LIMIT_H

#include "abi.h"

#ifdef __bpf__
#define MW_INLINE static __attribute__((always_inline)) inline
#else
#define MW_INLINE static inline
#endif

#define MW_CAS_TRIES 4

enum mw_taken {
	MW_TAKEN,
	MW_HELD,
	MW_CONTENDED, /* other CPUs won MW_CAS_TRIES times; the caller fails open and counts it */
};

/* GCRA, the virtual scheduling form of ITU-T I.371, annex A: conforming while the theoretical
 * arrival time is at most `tolerance_ns` ahead. */
MW_INLINE int mw_rate_conforms(__u64 tat_ns, const struct mw_rate *rate, __u64 now_ns)
{
	return rate->interval_ns == 0 || tat_ns <= now_ns + rate->tolerance_ns;
}

/* Takes one event from the word. Exact over any number of CPUs: what is let through is what
 * compare-and-swap granted, plus what returned MW_CONTENDED. */
MW_INLINE enum mw_taken mw_rate_take(__u64 *tat_ns, const struct mw_rate *rate, __u64 now_ns)
{
	if (rate->interval_ns == 0)
		return MW_TAKEN;

	for (int i = 0; i < MW_CAS_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)tat_ns;
		__u64 from = seen > now_ns ? seen : now_ns;

		if (!mw_rate_conforms(seen, rate, now_ns))
			return MW_HELD;
		if (__sync_val_compare_and_swap(tat_ns, seen, from + rate->interval_ns) == seen)
			return MW_TAKEN;
	}
	return MW_CONTENDED;
}

/* fmix32 of MurmurHash3 (public domain, A. Appleby): every input bit moves every output bit. */
MW_INLINE __u32 mw_mix(__u32 h)
{
	h ^= h >> 16;
	h *= 0x85ebca6b;
	h ^= h >> 13;
	h *= 0xc2b2ae35;
	h ^= h >> 16;
	return h;
}

MW_INLINE __u32 mw_hash(const __u32 *words, int count, __u64 seed)
{
	__u32 h = (__u32)seed;

	for (int i = 0; i < count; i++)
		h = mw_mix(h ^ words[i]) + (__u32)(seed >> 32);
	return h;
}

/* Makes `now_ns`'s slice the current one. One CPU wins the turn and clears what is stale; a bit
 * that another CPU sets meanwhile may be lost: a contact is missed, never invented. */
MW_INLINE struct mw_slice *mw_slice_turn(struct mw_source *src, __u64 now_ns)
{
	__u32 now = (__u32)(now_ns / MW_SLICE_NS);
	__u32 was = *(volatile __u32 *)&src->slice;

	/* A CPU whose clock reading is older than another's turn must not turn back. */
	if ((__s32)(now - was) > 0 && __sync_val_compare_and_swap(&src->slice, was, now) == was) {
		src->slices[now & 1] = (struct mw_slice){};
		if (now - was > 1)
			src->slices[~now & 1] = (struct mw_slice){};
	}
	return &src->slices[now & 1];
}

MW_INLINE int mw_contact_seen(const struct mw_source *src, __u32 bit)
{
	__u32 word = (bit / 64) & 3;

	return ((src->slices[0].seen[word] | src->slices[1].seen[word]) >> (bit & 63)) & 1;
}

/* Returns whether the bit was not set before in this slice: exactly one CPU is told so. */
MW_INLINE int mw_contact_mark(struct mw_slice *slice, __u32 bit)
{
	__u64 *word = &slice->seen[(bit / 64) & 3];
	__u64 mask = 1ULL << (bit & 63);

	/* Most SYNs go to a network that is marked: no need to take the line from other CPUs. */
	if (*(volatile __u64 *)word & mask)
		return 0;
	return !(__sync_fetch_and_or(word, mask) & mask);
}

/* ---- flow slots ---- */

#define MW_FLOW_TICK_SHIFT 20 /* 2^20 ns: about a millisecond */
#define MW_FLOW_TICKS_MASK 0xffffffU
#define MW_RETRY_MIN_TICKS ((500ULL * 1000000ULL) >> MW_FLOW_TICK_SHIFT)
/* Linux gives up on a SYN after 127 s (tcp_syn_retries = 6); later it is a flow of its own. */
#define MW_RETRY_MAX_TICKS ((130ULL * 1000000000ULL) >> MW_FLOW_TICK_SHIFT)
#define MW_RETRY_MAX 6

MW_INLINE __u64 mw_flow_word(__u32 tag, __u64 now_ns, __u32 retries, enum mw_flow_state state)
{
	__u64 ticks = (now_ns >> MW_FLOW_TICK_SHIFT) & MW_FLOW_TICKS_MASK;

	return (__u64)tag << 32 | ticks << 8 | (retries & 0xf) << 4 | state;
}

MW_INLINE enum mw_flow_state mw_flow_state(__u64 word)
{
	return (enum mw_flow_state)(word & 0xf);
}

MW_INLINE __u32 mw_flow_retries(__u64 word)
{
	return (word >> 4) & 0xf;
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

	return mw_flow_retries(word) < MW_RETRY_MAX && age >= MW_RETRY_MIN_TICKS &&
	       age <= MW_RETRY_MAX_TICKS;
}

struct mw_flow_place {
	__u32 index;
	int found; /* the slot holds this flow; else it is the one to overwrite */
};

/* Looks in the flow's set for its slot, or for the one to give up: free, then held, then the
 * oldest. A held SYN may not overwrite open flows (`may_evict` 0): then nothing is returned
 * (index MW_FLOW_SLOTS), since a flood of dropped SYNs must not wipe evidence. */
MW_INLINE struct mw_flow_place mw_flow_find(const struct mw_source *src, __u32 tag, __u64 now_ns,
					    int may_evict)
{
	__u32 first = (tag & (MW_FLOW_SLOTS / MW_FLOW_WAYS - 1)) * MW_FLOW_WAYS;
	__u32 victim = MW_FLOW_SLOTS, victim_rank = 0;

	for (int way = 0; way < MW_FLOW_WAYS; way++) {
		__u64 word =
		    *(const volatile __u64 *)&src->flows[(first + way) % MW_FLOW_SLOTS].word;
		enum mw_flow_state state = mw_flow_state(word);
		__u32 rank;

		if (state != MW_FLOW_FREE && (__u32)(word >> 32) == tag)
			return (struct mw_flow_place){first + way, 1};

		rank = state == MW_FLOW_FREE ? 0xffffffff :
		       state == MW_FLOW_HELD ? MW_FLOW_TICKS_MASK + 2 :
		       may_evict	     ? mw_flow_age_ticks(word, now_ns) + 1 :
					       0;
		if (rank > victim_rank) {
			victim = first + way;
			victim_rank = rank;
		}
	}
	return (struct mw_flow_place){victim, 0};
}

#endif
