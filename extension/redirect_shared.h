// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_shared - what the kernel's half and ours tell each other.
//
// Fixed sizes, no pointers: the same bytes on both sides. The kernel's half is
// redirect.bpf.c, which brings its own integer types; so this includes nothing
// but those.

#ifndef EXTENSION_REDIRECT_SHARED_H
#define EXTENSION_REDIRECT_SHARED_H

#include <linux/types.h>

enum {
	REDIRECT_TEXT = 256,
	REDIRECT_ITEMS = 1024,		// of a spec: SPEC_ITEMS_MAX
	REDIRECT_LEVELS = 64,		// of ancestors
	REDIRECT_OWN = 4,		// processes of apptap's own
	REDIRECT_PROCESSES = 32768,	// verdicts kept
	REDIRECT_IDENTITIES = 4096,
	REDIRECT_OUTSIDERS = 1024,	// processes out of reach, told of once
	REDIRECT_RING = 4 << 20,	// bytes
};

enum redirect_kind {
	REDIRECT_PID,
	REDIRECT_WORD,
	REDIRECT_EXE,
	REDIRECT_USER,
	REDIRECT_CGROUP,
	REDIRECT_CHILD_OF,
};

struct redirect_item {
	__u32 kind;
	__u32 exclude;
	__u32 number;
	__u32 size;			// of the text
	char text[REDIRECT_TEXT];
};

// The spec in force. Two banks of items lie in one map: a change fills the idle
// one, then names it here in one store, with a higher generation; a verdict of
// another generation is none.
struct redirect_spec {
	__u32 generation;		// its lowest bit is the bank
	__u32 count[2];
	__u32 otherwise[2];		// is a process in before the first item?
};

struct redirect_config {
	__u64 netns;			// cookie
	__u32 device;			// index
	__u32 pid_namespace;		// whose numbers are meant: its inode
	char name[16];			// of the device
	__u32 own[REDIRECT_OWN];	// by that numbering
	__u32 ipv6;			// is there a way for it?
	__u32 no_loopback;
	__u32 only, except;		// are there any?
	__u8 own4[4], own6[16];		// the device's addresses
	__u8 main4[4], main6[16];	// what a program sees instead
	// Stand for a destination on the way to the device, and are never seen beyond it:
	__u8 entry4[4], entry6[16];	// for that of a first datagram
	__u8 local6[16];		// for ::1
};

// Of a longest-prefix trie.
struct redirect_prefix4 { __u32 size; __u8 bytes[4]; };
struct redirect_prefix6 { __u32 size; __u8 bytes[16]; };

struct redirect_record {
	__u64 start;			// ns since boot
	__u32 tgid;			// the kernel's own number
	__u32 pid, parent, uid;
	__u32 family;			// 4 or 6; 0: of no flow, but a process out of reach
	__u32 protocol;
	__u8 app[16], peer[16];
	__u16 app_port, peer_port;	// network order
	__u32 any;			// peer
	__u32 arguments_size;
	__u32 padding;
	char name[16];
	char path[REDIRECT_TEXT], arguments[REDIRECT_TEXT], cgroup[REDIRECT_TEXT];
};

#endif
