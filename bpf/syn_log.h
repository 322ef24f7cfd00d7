/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The SYN log: which SYNs are written down, and the record. What becomes of the packet is not
 * decided here. */
#ifndef MAILWEIR_BPF_SYN_LOG_H
#define MAILWEIR_BPF_SYN_LOG_H

#include "parse.h"
#include "question.h"

static const struct mw_logged new_logged;

/* Of all sources together. New at each load, which costs at most one quota. */
static __u64 log_window;

static __always_inline int is_same(const struct mw_addr *a, const struct mw_addr *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

static __always_inline struct mw_log_counts *find_log_counts(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&log_counts, &zero);
}

/* Is this SYN to be logged? Asked of every SYN of a source inside to a judged port, whatever
 * becomes of it. */
static __always_inline int sample_syn(const struct packet *pkt)
{
	const struct mw_addr none = {};
	struct mw_log_counts *counts;
	const struct mw_settings *set;
	struct mw_logged *entry;
	__u32 zero = 0;
	__u64 now_ns;

	set = bpf_map_lookup_elem(&settings, &zero);
	if (!set || !set->log_until_ns)
		return 0;
	now_ns = now_boot_ns(set);
	if (set->log_until_ns <= now_ns)
		return 0;
	if (!is_same(&set->log_source, &none) && !is_same(&set->log_source, &pkt->src))
		return 0;

	entry = bpf_map_lookup_elem(&logged, &pkt->src);
	if (!entry) {
		bpf_map_update_elem(&logged, &pkt->src, &new_logged, BPF_NOEXIST);
		entry = bpf_map_lookup_elem(&logged, &pkt->src);
		if (!entry)
			return 0;
	}
	/* Who is over its own limit takes nothing from all; who finds that of all used up keeps its
	 * own, so that a flood of sources has its lines in every window. */
	if (mw_quota_has(&entry->window, &set->log_limit, now_ns) &&
	    mw_quota_take(&log_window, &set->log_total, now_ns) &&
	    mw_quota_take(&entry->window, &set->log_limit, now_ns))
		return 1;
	__sync_fetch_and_add(&entry->suppressed, 1);
	counts = find_log_counts();
	if (counts)
		__sync_fetch_and_add(&counts->suppressed, 1);
	return 0;
}

static __always_inline void log_syn(const struct headers *h, __u32 ifindex)
{
	struct mw_log_counts *counts = find_log_counts();
	struct mw_logged_syn *record;

	if (!counts)
		return;
	record = bpf_ringbuf_reserve(&syn_log, sizeof(*record), 0);
	/* At once: the verifier of 6.1 does not follow the pointer through anything in between. */
	if (!record) {
		__sync_fetch_and_add(&counts->lost, 1);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	record->time_ns = bpf_ktime_get_boot_ns();
	record->ifindex = ifindex;
	if (h->eth) {
		record->has_ethernet = 1;
		__builtin_memcpy(record->ethernet, h->eth, MW_ETHERNET_BYTES);
	}
	if (h->ip4) {
		__builtin_memcpy(record->network, h->ip4, sizeof(*h->ip4));
	} else if (h->ip6) {
		record->is_ipv6 = 1;
		__builtin_memcpy(record->network, h->ip6, MW_IPV6_BYTES);
	}
	__builtin_memcpy(record->tcp, h->tcp, MW_TCP_BYTES);
	bpf_ringbuf_submit(record, 0);
	__sync_fetch_and_add(&counts->lines, 1);
}

#endif
