/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The contract: every struct and enum that the kernel program and the controller both know.
 * C11 and C++20. No map, no logic. All times are CLOCK_BOOTTIME nanoseconds. */
#ifndef MAILWEIR_BPF_ABI_H
#define MAILWEIR_BPF_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define MW_ASSERT(condition, why) static_assert(condition, why)
#else
#define MW_ASSERT(condition, why) _Static_assert(condition, why)
#endif

/* What became of a packet. One enum is control flow, counter and metric label; the second
 * word is the label. A verdict that drops says so in MW_VERDICT_DROPS. */
#define MW_VERDICTS(X)                                                                             \
	X(PASSED, passed)	  /* a SYN to a judged port, within every limit */                 \
	X(FLOW, flow)		  /* to a judged port, not a SYN */                                \
	X(WATCHED, watched)	  /* a SYN to a port that is only counted */                       \
	X(RETRANSMIT, retransmit) /* a SYN of a flow that was let through already */               \
	X(LIMITED, limited)                                                                        \
	X(BRAKED, braked)                                                                          \
	X(BLOCKED, blocked)                                                                        \
	X(SHIELDED, shielded)                                                                      \
	X(NOT_INSIDE, not_inside)	/* source outside the configured networks */               \
	X(TRUNCATED, truncated)		/* headers end before TCP does */                          \
	X(MALFORMED, malformed)		/* a header contradicts itself */                          \
	X(FRAGMENT, fragment)		/* not the first fragment: it carries no TCP header */     \
	X(ENCAPSULATION, encapsulation) /* more VLAN tags or IPv6 headers than are followed */     \
	X(MAPPED_SOURCE, mapped_source) /* ::ffff:0:0/96 on the wire would alias an IPv4 key */

enum mw_verdict {
#define MW_VERDICT_ENUM(upper, lower) MW_##upper,
	MW_VERDICTS(MW_VERDICT_ENUM)
#undef MW_VERDICT_ENUM
	    MW_VERDICT_COUNT,
	MW_NOT_OURS = MW_VERDICT_COUNT, /* the fast path: not counted */
};

/* Key of a source: IPv4 as v4-mapped (::ffff:a.b.c.d), IPv6 masked to settings.ipv6_prefix. */
struct mw_addr {
	__u8 bytes[16];
};
MW_ASSERT(sizeof(struct mw_addr) == 16, "map key: layout is the ABI");

/* Key of `networks`. prefix_bits counts in the 128-bit space: 172.16.0.0/12 is 96 + 12. */
struct mw_prefix_key {
	__u32 prefix_bits;
	struct mw_addr addr;
};
MW_ASSERT(sizeof(struct mw_prefix_key) == 20, "map key: layout is the ABI");

enum mw_scope_flags {
	MW_SCOPE_INSIDE = 1 << 0,
	MW_SCOPE_ALLOWED = 1 << 1, /* counted, never dropped */
	MW_SCOPE_SERVER = 1 << 2,  /* as a destination: never judged */
};

/* Value of `hosts` and `networks`: the union of all that covers the address. */
struct mw_scope {
	__u16 flags; /* enum mw_scope_flags */
	__u16 group; /* index into `groups` */
};
MW_ASSERT(sizeof(struct mw_scope) == 4, "map value: layout is the ABI");

/* Value of `ports`: 16 ports a word, 4 bits each; port p stands in word p / 16. */
enum mw_port_role {
	MW_PORT_JUDGED = 1 << 0,
	MW_PORT_WATCHED = 1 << 1,
	MW_PORT_SHIELDED = 1 << 2,
};
#define MW_PORT_WORDS (65536 / 16)

enum mw_mode {
	MW_MODE_INHERIT, /* a group without a mode of its own; in settings: not set, observe */
	MW_MODE_OBSERVE,
	MW_MODE_THROTTLE,
	MW_MODE_BLOCK,
};

/* GCRA: one event per interval_ns, and tolerance_ns of them early ((burst - 1) intervals). */
struct mw_rate {
	__u64 interval_ns; /* 0: no limit */
	__u64 tolerance_ns;
};
MW_ASSERT(sizeof(struct mw_rate) == 16, "map value: layout is the ABI");

#define MW_GROUPS 256 /* 0: every source without a group */
struct mw_group {
	struct mw_rate limit;
	__u32 mode; /* enum mw_mode */
	__u32 pad;
};
MW_ASSERT(sizeof(struct mw_group) == 24, "map value: layout is the ABI");

/* The one entry of `settings`, written by the controller only. */
struct mw_settings {
	__u64 layout_hash;    /* of all map types: another layout must not adopt these maps */
	__u64 hash_seed;      /* outlives a reload, else every contact would be counted again */
	__u64 heartbeat_ns;   /* when the controller last said that it lives */
	__u64 dead_man_ns;    /* silent for longer: enforce nothing. 0: never */
	__u64 virtual_now_ns; /* the clock of a replay; see virtual_clock in maps.h */
	struct mw_addr ipv6_mask;
	struct mw_rate brake;
	__u32 generation;    /* a new one makes cached scopes stale; never 0 */
	__u32 mode;	     /* enum mw_mode */
	__u32 has_servers;   /* any MW_SCOPE_SERVER entry at all */
	__u32 last_decision; /* highest number given out, for a record that was lost */
};
MW_ASSERT(sizeof(struct mw_settings) == 88, "map value: layout is the ABI");

enum mw_reason {
	MW_REASON_MANUAL, /* 0: an entry of zeros written by hand is a manual block for ever */
	MW_REASON_FANOUT, /* many new networks, and the brake held on */
};

/* Value of `blocklist`. */
struct mw_block {
	__u64 until_ns; /* 0: for ever */
	__u32 decision; /* N of NODE-N; 0: not adopted yet */
	__u32 reason;	/* enum mw_reason */
};
MW_ASSERT(sizeof(struct mw_block) == 16, "map value: layout is the ABI");

/* Value of `drops`, per CPU: what a block cost its source. Outlives an extension of the block. */
struct mw_drops {
	__u64 packets;
	__u64 bytes; /* from the network header on, as iptables counts */
};
MW_ASSERT(sizeof(struct mw_drops) == 16, "map value: layout is the ABI");

struct mw_tally {
	__u64 enforced;
	__u64 would; /* let through, but for the mode, the allowlist or a dead controller */
};

/* Value of `counters` (per CPU), keyed by ifindex: a tally for each verdict, in enum order. */
struct mw_counters {
#define MW_VERDICT_TALLY(upper, lower) struct mw_tally lower;
	MW_VERDICTS(MW_VERDICT_TALLY)
#undef MW_VERDICT_TALLY
};
MW_ASSERT(sizeof(struct mw_counters) == MW_VERDICT_COUNT * sizeof(struct mw_tally),
	  "map value: indexed by enum mw_verdict");

/* Contacts are counted by linear counting over two slices of time, current and previous. */
#define MW_SLICE_NS (300ULL * 1000000000ULL)
#define MW_SEEN_BITS 256

struct mw_slice {
	__u64 seen[MW_SEEN_BITS / 64]; /* a bit per hashed destination network */
	__u32 syns;		       /* retransmissions not counted */
	__u32 contacts;		       /* bits newly set: first contacts with a network */
	__u32 limited;		       /* SYNs over the limit, enforced or would */
	__u32 braked;		       /* SYNs held by the brake, enforced or would; retries not */
};
MW_ASSERT(sizeof(struct mw_slice) == 48, "map value: layout is the ABI");

enum mw_flow_state {
	MW_FLOW_FREE,
	MW_FLOW_OPEN, /* its SYN passed */
	MW_FLOW_HELD, /* its SYN was dropped; a retry is not charged again */
};

/* A flow slot. `word` is changed by compare-and-swap only; its tag is salted with the source. */
struct mw_flow {
	__u64 word; /* tag:32 | time:24 (2^20 ns) | retries:4 | enum mw_flow_state:4 */
	__u32 isn;  /* initial sequence number: the same tuple with another one is a new SYN */
	__u32 pad;
};
MW_ASSERT(sizeof(struct mw_flow) == 16, "map value: layout is the ABI");

#define MW_FLOW_SLOTS 32
#define MW_FLOW_WAYS 2

/* Value of `sources`: all that is known of one source. The first 64 bytes are what a SYN touches.
 */
struct mw_source {
	__u64 limit_tat_ns; /* GCRA: theoretical arrival time */
	__u64 brake_tat_ns;
	__u64 scope; /* cached: generation:32 | flags:16 | group:16 */
	__u64 first_ns;
	__u64 last_ns;
	__u64 event_ns;	  /* last event sent */
	__u32 slice;	  /* number of the current slice; it stands in slices[slice % 2] */
	__u32 lost_flows; /* open slots overwritten */
	__u64 syns;
	__u64 retransmits;
	__u64 limited; /* enforced or would, as in the slices */
	__u64 braked;
	__u64 dropped; /* SYNs dropped by limit or brake, in fact */
	__u64 watched;
	__u64 contended; /* let through since the compare-and-swap kept failing */
	__u64 pad[2];
	struct mw_slice slices[2];
	struct mw_flow flows[MW_FLOW_SLOTS];
};
MW_ASSERT(sizeof(struct mw_source) == 736, "map value: layout is the ABI");

enum mw_event_kind {
	MW_EVENT_LIMITED, /* the source is over its limit */
	MW_EVENT_BRAKED,  /* the brake holds its SYNs */
	MW_EVENT_HEAVY,	  /* it met MW_HEAVY_CONTACTS networks in this slice */
};
#define MW_HEAVY_CONTACTS 10
#define MW_BRAKED_MANY 10 /* SYNs held in a slice: an event at once */

/* Record of `events`. At most one per source in MW_EVENT_EVERY_NS, but for
 * the counts above; and a budget for all. */
#define MW_EVENT_EVERY_NS (200ULL * 1000000ULL)
struct mw_event {
	__u64 time_ns;
	struct mw_addr source;
	struct mw_addr destination; /* of the packet that caused it */
	__u32 ifindex;
	__u32 kind; /* enum mw_event_kind */
};
MW_ASSERT(sizeof(struct mw_event) == 48, "ring buffer record: layout is the ABI");

#endif
