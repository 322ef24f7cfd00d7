/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure decisions on a source's value: rate (GCRA), time slices, bitmaps of networks.
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
#define MW_QUOTA_BITS 24

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

/* Gives `events` back, so that they can be taken again; a full burst is never exceeded.
 * Credit-based connection rate limiting (Schechter, Jung, Berger, RAID 2004): a contact that
 * succeeds pays for the next ones. Lost to other CPUs after MW_CAS_TRIES: a little less credit. */
MW_INLINE void mw_rate_give_back(__u64 *tat_ns, const struct mw_rate *rate, __u32 events)
{
	for (int i = 0; i < MW_CAS_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)tat_ns;
		__u64 credit = rate->interval_ns * events;

		if (__sync_val_compare_and_swap(tat_ns, seen, seen > credit ? seen - credit : 0) ==
		    seen)
			return;
	}
}

/* Is there an event left to take? */
MW_INLINE int mw_quota_has(const __u64 *word, const struct mw_quota *quota, __u64 now_ns)
{
	__u64 seen = *(const volatile __u64 *)word;
	__u64 start_ns = seen >> MW_QUOTA_BITS << 20;

	return !seen || (__s64)(now_ns - start_ns) >= (__s64)quota->window_ns ||
	       (seen & ((1U << MW_QUOTA_BITS) - 1)) < quota->events;
}

/* Takes one event of the quota from the word: window start in 2^20 ns:40 | events taken:24. Exact
 * over any number of CPUs; who lost to them MW_CAS_TRIES times gets nothing. */
MW_INLINE int mw_quota_take(__u64 *word, const struct mw_quota *quota, __u64 now_ns)
{
	for (int i = 0; i < MW_CAS_TRIES; i++) {
		__u64 seen = *(volatile __u64 *)word;
		__u64 start_ns = seen >> MW_QUOTA_BITS << 20;
		__u64 taken = seen & ((1U << MW_QUOTA_BITS) - 1);
		__u64 next = seen + 1;

		/* Signed: the window may have been begun by a CPU whose clock is a moment ahead. */
		if (!seen || (__s64)(now_ns - start_ns) >= (__s64)quota->window_ns)
			/* Rounded up, so that no window is shorter than it should be. */
			next = ((now_ns >> 20) + 1) << MW_QUOTA_BITS | 1;
		else if (taken >= quota->events)
			return 0;
		if (__sync_val_compare_and_swap(word, seen, next) == seen)
			return 1;
	}
	return 0;
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

/* Remembers the network of an unproductive contact. Slices turn as the others do. */
MW_INLINE void mw_refused_mark(struct mw_source *src, __u32 bit, __u64 now_ns)
{
	__u32 now = (__u32)(now_ns / MW_REFUSED_SLICE_NS);
	__u32 was = *(volatile __u32 *)&src->refused_hour;

	if ((__s32)(now - was) > 0 &&
	    __sync_val_compare_and_swap(&src->refused_hour, was, now) == was)
		for (int i = 0; i < MW_SEEN_WORDS; i++) {
			src->refused[now & 1][i] = 0;
			if (now - was > 1)
				src->refused[~now & 1][i] = 0;
		}
	__sync_fetch_and_or(&src->refused[now & 1][(bit / 64) & 3], 1ULL << (bit & 63));
}

/* A filter, and no more: whoever is told yes looks the network itself up. */
MW_INLINE int mw_refused_seen(const struct mw_source *src, __u32 bit)
{
	__u32 word = (bit / 64) & 3;

	return ((src->refused[0][word] | src->refused[1][word]) >> (bit & 63)) & 1;
}

#endif
