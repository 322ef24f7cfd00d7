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
	MW_SCOPE_EXPOSED = 1 << 3, /* on either side: not shielded */
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

/* At most `events` in a window; the next one begins with the first event behind it. 0: none. */
struct mw_quota {
	__u64 window_ns;
	__u32 events; /* < 2^24 */
	__u32 pad;
};
MW_ASSERT(sizeof(struct mw_quota) == 16, "map value: layout is the ABI");

#define MW_GROUPS 256 /* 0: every source without a group */
struct mw_group {
	struct mw_rate limit;
	__u32 mode; /* enum mw_mode */
	__u32 pad;
};
MW_ASSERT(sizeof(struct mw_group) == 24, "map value: layout is the ABI");

/* The one entry of `settings`, written by the controller only. */
struct mw_settings {
	__u64 layout_hash;     /* of all map types: another layout must not adopt these maps */
	__u64 hash_seed;       /* outlives a reload, else every contact would be counted again */
	__u64 heartbeat_ns;    /* when the controller last said that it lives */
	__u64 dead_man_ns;     /* silent for longer: enforce nothing. 0: never */
	__u64 virtual_now_ns;  /* the clock of a replay; see virtual_clock in maps.h */
	__u64 frozen_since_ns; /* the uplink was down: what it cut off is not scored */
	__u64 frozen_until_ns;
	__u64 log_until_ns;	   /* SYNs are logged until then. 0: not at all */
	struct mw_quota log_limit; /* of one source */
	struct mw_quota log_total; /* of all */
	struct mw_addr log_source; /* of this one only; zeros: of all */
	struct mw_addr ipv6_mask;
	struct mw_rate brake;
	__u32 generation;	 /* a new one makes cached scopes stale; never 0 */
	__u32 mode;		 /* enum mw_mode */
	__u32 has_servers;	 /* any MW_SCOPE_SERVER entry at all */
	__u32 last_decision;	 /* highest number given out, for a record that was lost */
	__u32 message_bytes;	 /* a session in which the client sent less carried no message */
	__u32 message_bytes_tls; /* the same, after the server said MW_TLS_HEARD_BYTES */
};
MW_ASSERT(sizeof(struct mw_settings) == 168, "map value: layout is the ABI");

enum mw_reason {
	MW_REASON_MANUAL,   /* 0: an entry of zeros written by hand is a manual block for ever */
	MW_REASON_EVIDENCE, /* many new networks, and few took a message */
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
#define MW_SEEN_WORDS (MW_SEEN_BITS / 64)

struct mw_slice {
	__u64 seen[MW_SEEN_WORDS]; /* a bit per hashed destination network */
	__u32 syns;		   /* retransmissions not counted */
	__u32 contacts;		   /* bits newly set: first contacts with a network */
	__u32 limited;		   /* SYNs over the limit, enforced or would */
	__u32 braked;		   /* SYNs held by the brake, enforced or would; retries not */
	__u32 answered;		   /* contacts whose handshake was completed */
	__u32 unanswered;	   /* contacts without one in MW_ANSWER_NS */
	__u32 finished;		   /* answered contacts that are over, or have sent a message */
	__u32 no_message;	   /* of these: over without a message */
};
MW_ASSERT(sizeof(struct mw_slice) == 64, "map value: layout is the ABI");

/* Networks whose contact was unproductive are remembered for one to two hours: one that takes a
 * message later (greylisting) gets its step back. */
#define MW_REFUSED_SLICE_NS (3600ULL * 1000000000ULL)

#define MW_ANSWER_NS (10ULL * 1000000000ULL) /* no handshake by then: unanswered */
#define MW_SILENT_NS (30ULL * 1000000000ULL) /* not a byte of the server by then: unproductive */
/* No message by then: unproductive. RFC 5321, section 4.5.3.2: a server waits 5 minutes for each
 * command, and a client as long for most replies. */
#define MW_OVERDUE_NS (600ULL * 1000000000ULL)
#define MW_ACTIVE_NS (600ULL * 1000000000ULL) /* active: a SYN, and an answer, in this time */
/* The client says nothing for so long: over, by a RST of the server that is not seen here, or
 * stalled. A message that comes all the same takes the step back. */
#define MW_IDLE_NS (60ULL * 1000000000ULL)
/* A server that said so much is likely to have shown a certificate. docs/message-bytes.md */
#define MW_TLS_HEARD_BYTES 1000
/* No mail server says so much: the acknowledgements are guesses at a sequence number. */
#define MW_HEARD_MOST (1U << 20)
/* More than any TLS hello: a message, whatever comes yet. */
#define MW_ENOUGH_BYTES 4096

/* The one entry of `contacts` (per CPU): first contacts of all sources. What is opened and neither
 * ended nor pending was evicted together with its source. */
struct mw_contacts {
	__u64 opened;
	__u64 answered;
	__u64 unanswered; /* ended so */
	__u64 finished;	  /* their outcome was told */
	__u64 lost;	  /* their outcome will never be known */
};
MW_ASSERT(sizeof(struct mw_contacts) == 40, "map value: layout is the ABI");

/* A flow's state word is changed by compare-and-swap only; its tag is salted with the source:
 * tag:32 | time:24 (2^20 ns) | retries:4 | contact:1 | enum mw_flow_state:3
 * The time is that of the last SYN; once the flow is open and `retries` is MW_FLOW_QUIET, that of
 * the first sweep since when the client has said nothing. */
#define MW_FLOW_QUIET 1
enum mw_flow_state {
	MW_FLOW_FREE,
	MW_FLOW_BUSY,	/* a CPU is writing its mw_flow */
	MW_FLOW_HELD,	/* its SYN was dropped; a retry is not charged again */
	MW_FLOW_SENT,	/* its SYN passed */
	MW_FLOW_OPEN,	/* the handshake is complete */
	MW_FLOW_TLS,	/* open, and the server said MW_TLS_HEARD_BYTES */
	MW_FLOW_JUDGED, /* its outcome is told; kept for retries of its SYN */
};
#define MW_FLOW_CONTACT 8 /* the first to its network: its outcome counts */

/* What a flow's word does not hold. Words that are written in flight carry the tag in their upper
 * half: one that another flow's CPU wrote late is seen as such, and its evidence is lost, never
 * wrong. All others are written while the flow is MW_FLOW_BUSY. */
struct mw_flow {
	__u64 ack_first;   /* tag:32 | acknowledgement number of the handshake */
	__u64 ack_last;	   /* tag:32 | highest one: what the server said is the difference */
	__u64 seq_end;	   /* tag:32 | end of what the client sent */
	__u32 start_ticks; /* its first SYN that passed, in 2^20 ns: wraps in 52 days */
	__u32 tls_seq;	   /* MW_FLOW_TLS: the client's sequence number when that began */
	__u32 isn; /* initial sequence number: the same tuple with another one is a new SYN */
	__u16 src_port_be;
	__u16 dst_port_be;
	struct mw_addr dst;
	__u8 src_low[8]; /* the last 8 bytes of the client's address: an IPv6 key lacks them */
};
MW_ASSERT(sizeof(struct mw_flow) == 64, "map value: a flow is one cache line");

#define MW_FLOW_SLOTS 32
#define MW_FLOW_WAYS 8

/* Value of `sources`: all that is known of one source. The first 64 bytes are what a SYN touches.
 */
struct mw_source {
	__u64 limit_tat_ns; /* GCRA: theoretical arrival time */
	__u64 brake_tat_ns;
	__u64 scope; /* cached: generation:32 | flags:16 | group:16 */
	__u64 first_ns;
	__u64 last_ns;
	__u64 event_ns;	    /* last hint sent */
	__u32 slice;	    /* number of the current slice; it stands in slices[slice % 2] */
	__u32 refused_hour; /* the same for refused[] */
	__u64 lost;	    /* contacts whose outcome will never be known */
	__u64 syns;
	__u64 retransmits;
	__u64 limited; /* enforced or would, as in the slices */
	__u64 braked;
	__u64 dropped; /* SYNs dropped by limit or brake, in fact */
	__u64 watched;
	__u64 contended; /* let through since the compare-and-swap kept failing */
	__u64 bytes;	 /* to judged ports, from the network header on; not what a block dropped */
	struct mw_slice slices[2];
	__u64 refused[2][MW_SEEN_WORDS]; /* networks with an unproductive contact */
	__u64 flow_words[MW_FLOW_SLOTS]; /* apart from the flows: a set of ways is one cache line */
	struct mw_flow flows[MW_FLOW_SLOTS];
};
MW_ASSERT(sizeof(struct mw_source) == 2624, "map value: layout is the ABI");

/* Value of `scores`: what came of a source's contacts. Written by the controller, since it asks
 * conntrack first; the program reads proven_until_ns. Outlives the controller. */
#define MW_SCORE_ONE 256 /* scores are fixed point, 1/256 */
#define MW_EXAMPLES 3
#define MW_REFUSALS 32

struct mw_refusal {
	struct mw_addr network; /* /24 of IPv4, /48 of IPv6 */
	__u64 time_ns;		/* 0: none */
};

struct mw_score {
	__u64 updated_ns;      /* last outcome that counted */
	__u64 proven_until_ns; /* 0: not proven */
	__u32 score;
	__u32 streak;	   /* productive first contacts in a row */
	__u32 unconfirmed; /* outcomes that conntrack did not confirm */
	__u32 next_refusal;
	struct mw_addr examples[MW_EXAMPLES]; /* servers last left without a message; zeros: none */
	struct mw_refusal refusals[MW_REFUSALS];
};
MW_ASSERT(sizeof(struct mw_score) == 848, "map value: layout is the ABI");

/* Value of `logged`: a source whose SYNs were logged, or would have been. */
struct mw_logged {
	__u64 window;	  /* see mw_quota_take() */
	__u64 suppressed; /* SYNs beyond a limit, since the entry was made */
};
MW_ASSERT(sizeof(struct mw_logged) == 16, "map value: layout is the ABI");

/* The one entry of `log_counts` (per CPU). */
struct mw_log_counts {
	__u64 lines;
	__u64 suppressed; /* beyond a limit */
	__u64 lost;	  /* the ring buffer was full */
};
MW_ASSERT(sizeof(struct mw_log_counts) == 24, "map value: layout is the ABI");

/* Record of `syn_log`: the headers as they came, without options. */
#define MW_ETHERNET_BYTES 14
#define MW_IPV6_BYTES 40
#define MW_TCP_BYTES 20
struct mw_logged_syn {
	__u64 time_ns;
	__u32 ifindex;
	__u8 is_ipv6;
	__u8 has_ethernet;
	__u8 ethernet[MW_ETHERNET_BYTES];
	__u8 network[MW_IPV6_BYTES]; /* IPv4: the first 20 */
	__u8 tcp[MW_TCP_BYTES];
};
MW_ASSERT(sizeof(struct mw_logged_syn) == 88, "ring buffer record: layout is the ABI");

enum mw_event_kind {
	MW_EVENT_LIMITED,      /* a hint: the source is over its limit */
	MW_EVENT_BRAKED,       /* a hint: the brake holds its SYNs */
	MW_EVENT_HEAVY,	       /* it met MW_HEAVY_CONTACTS networks in this slice */
	MW_EVENT_UNANSWERED,   /* by the sweep, once per source: contacts without an answer */
	MW_EVENT_HEARD,	       /* the server of a contact speaks: conntrack knows it by now */
	MW_EVENT_UNPRODUCTIVE, /* a contact ended without a message */
	MW_EVENT_PRODUCTIVE,   /* a flow carried a message */
};
#define MW_HEAVY_CONTACTS 10
#define MW_BRAKED_MANY 10 /* SYNs held in a slice: an event at once */

/* Record of `events`. Hints: at most one per source in MW_EVENT_EVERY_NS, but for the counts above;
 * and a budget for all. Outcomes: one per contact, and one per flow to a refused network. */
#define MW_EVENT_EVERY_NS (200ULL * 1000000ULL)
struct mw_event {
	__u64 time_ns;
	__u64 started_ns;	    /* outcomes: the connection's SYN */
	struct mw_addr source;	    /* the key */
	struct mw_addr client;	    /* the address itself, as conntrack knows it */
	struct mw_addr destination; /* of the packet that caused it */
	__u32 ifindex;		    /* 0: the sweep's */
	__u32 kind;		    /* enum mw_event_kind */
	__u16 src_port_be;
	__u16 dst_port_be;
	__u32 is_contact;  /* outcomes: the first to its network */
	__u32 sent_bytes;  /* outcomes: by the client, TCP payload */
	__u32 heard_bytes; /* outcomes: by the server */
	__u32 count;	   /* MW_EVENT_UNANSWERED: contacts */
	__u32 is_by_time;  /* outcomes: judged by the sweep, not by the client's own end */
};
MW_ASSERT(sizeof(struct mw_event) == 96, "ring buffer record: layout is the ABI");

#endif
