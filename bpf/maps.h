/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All maps and knobs of the kernel program, and nothing else. Every map is pinned under its own
 * name by the loader; sizes marked "set by the loader" come from the configuration. */
#ifndef MAILWEIR_BPF_MAPS_H
#define MAILWEIR_BPF_MAPS_H

#include "abi.h"

/* Replay only: time comes from settings.virtual_now_ns. Constant, so that the verifier removes
 * the branch in production. */
const volatile __u8 virtual_clock;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536); /* set by the loader */
	__type(key, struct mw_addr);
	__type(value, struct mw_source);
} sources SEC(".maps");

/* Written by the controller. Not an LRU: an eviction would forget a proven mailer. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536); /* set by the loader: as sources */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mw_addr);
	__type(value, struct mw_score);
} scores SEC(".maps");

/* Not an LRU: an eviction would forget a block. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072); /* set by the loader */
	__type(key, struct mw_addr);
	__type(value, struct mw_block);
} blocklist SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 131072); /* set by the loader: as blocklist */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mw_addr);
	__type(value, struct mw_drops);
} drops SEC(".maps");

/* Exact addresses (IPv4 /32, and IPv6 of the clients' prefix length): 12 ns, where the trie
 * takes 118 ns with 10,000 entries. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mw_addr);
	__type(value, struct mw_scope);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mw_prefix_key);
	__type(value, struct mw_scope);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_PORT_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MW_GROUPS);
	__type(key, __u32);
	__type(value, struct mw_group);
} groups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mw_settings);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* ifindex */
	__type(value, struct mw_counters);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mw_contacts);
} contacts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

/* Apart from `sources`: only a SYN that is to be logged touches it. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct mw_addr);
	__type(value, struct mw_logged);
} logged SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mw_log_counts);
} log_counts SEC(".maps");

/* Apart from `events`: no log may cost an outcome its place. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} syn_log SEC(".maps");

#endif
