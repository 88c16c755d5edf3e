// SPDX-License-Identifier: GPL-3.0-or-later
// capture - what was seen, as a file that Wireshark opens already decrypted.
//
// The caller's thread encodes and queues; one writer thread writes. The queue
// is bounded in bytes: capture_full() says when the caller should stop taking
// packets, and capture_fd() becomes readable when it may go on. Nothing is
// dropped. When writing fails (disk full, pipe closed) the capture goes dead:
// it takes everything and keeps nothing, capture_error() says why, and the
// caller's work goes on.
//
// pcapng as draft-ietf-opsawg-pcapng; classic through libpcap. Packets are IP;
// they leave as LINKTYPE_LINUX_SLL2 (276), which carries a direction.
//
// An open capture has a thread. Every signal is blocked in it (a closed pipe
// does no harm, whatever SIGPIPE does elsewhere), and a process that has it
// can no longer unshare() a user namespace.

#ifndef PCAP_CAPTURE_H
#define PCAP_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct capture;
struct stream;

enum capture_format { CAPTURE_BY_NAME, CAPTURE_PCAPNG, CAPTURE_CLASSIC };

struct capture_options {
	const char *path;		// "-": standard output; ".pcap" means classic; or NULL
	enum capture_format format;
	const char *application;	// "apptap 0.1.0"
	const char *comment;		// the section's: the command tapped
	bool pktap;			// link type PKTAP (258), the process in each packet
	const char *filter;		// libpcap expression over the IP packet, or NULL
	uint32_t snaplen;		// bytes of IP packet kept; 0: all
	bool flush_each;		// -U: a packet is written as soon as it is there
	size_t queue;			// bytes at most, and as much again for held packets; 0: 32 MiB
	uint64_t hold_time;		// ns a held packet waits at most; 0: 10 s
	size_t hold_bytes;		// a flow's held bytes at most; 0: 256 KiB
	int descriptor;			// what "-" writes to; taken over by an open that succeeds
	// As tcpdump's -C (bytes), -G, -W and -c; 0: none. See pcap/ring.h.
	uint64_t rotate_size;
	uint32_t rotate_seconds, files;
	uint64_t packets;
	int closed;			// > 0: a socket that is told each file that the ring is done with
	uint32_t owner_uid, owner_gid;	// whose a newly opened first file is made; 0: left alone
	uint64_t now;			// ns since the epoch, for the first file's name; 0: the clock
	// What went through TLS, as TCP conversations: into a file of its own, or
	// where it is the same as `path`, beside the packets; NULL: nowhere.
	const char *plain_path;
	const uint16_t (*plain_ports)[2];	// from, to; ends with 0; before the known ones
	uint32_t plain_segment;			// payload of a packet at most; 0: as large as can be
	const char *serve;		// also to who connects here, as pcap/server.h has it; or NULL
	// Only the packets of these processes: a PID, or a shell pattern over the
	// name and the last part of the path. Lists end with 0 and NULL; NULL: all.
	const int32_t *only_pids;
	const char *const *only_names;
	// NULL, or called by each thread that the capture makes before it does anything; not
	// 0 (-errno): it is not made, and the open fails.
	int (*in_thread)(void *of);
	void *of;
};

// 0, or -errno with a sentence in `why` that names the file and what to do. Where one of
// several ways out can be had it is 0, and capture_news() has the sentence of the other.
// A file is made 0600, or truncated as it is; a fifo waits for its reader. What
// can be refused without touching the file (a wrong filter) is.
int capture_open(struct capture **out, const struct capture_options *options, char *why, size_t why_size);

// A process; the answer is its number for capture_packet (> 0), the same for the same
// one. It is good for as long as capture_knows() it: of more than ROSTER_MOST processes
// the one that was longest without a packet is forgotten, and may be named again. In
// pcapng, once it has packets: an interface of its own (the name "curl[4123]", description: path and
// arguments), and a Darwin process block (0x80000001). Strings are copied; any
// may be NULL. The answer is 0 ("nobody's") without memory, and on a dead capture.
struct capture_process {
	int32_t pid, parent;
	uint32_t uid;
	uint64_t start;			// ns since the epoch; 0: not known
	const char *name, *path, *arguments, *user;
	const char *container;		// its name or number; or NULL
};
uint32_t capture_process(struct capture *capture, const struct capture_process *process);
bool capture_knows(const struct capture *capture, uint32_t process);

struct capture_packet {
	uint64_t time;			// ns since the epoch
	uint32_t process;		// 0: nobody's
	uint64_t flow;			// for capture_hold(); 0: no flow
	bool outgoing;			// from the app
	const struct iovec *iov;	// an IP packet; copied
	int count;
	size_t size;
	// Not 0: a checksum is to be finished, from sum_start to the end, into
	// the word at sum_start + sum_offset, which holds the pseudo-header sum.
	uint16_t sum_start, sum_offset;
	const char *comment;		// frame.comment, or NULL
};
void capture_packet(struct capture *capture, const struct capture_packet *packet);

// --- plaintext: what went through TLS, as a TCP conversation ---------------------

bool capture_wants_plain(const struct capture *capture);
struct capture_plain {
	uint64_t time;
	uint32_t process;
	const struct sockaddr *app, *peer;
	const char *protocol;		// the ALPN, or NULL
	const char *comment;
};
// The conversation, which begins here. NULL: it is not wanted (a filter looks
// at its first packet, on the port it really had), or there is no memory.
struct stream *capture_plain_open(struct capture *capture, const struct capture_plain *plain);
// Its process by its present number, where that is another by now.
void capture_plain_owner(struct stream *stream, uint32_t process);
void capture_plain_data(struct stream *stream, bool outgoing, const void *bytes, size_t size, uint64_t time);
void capture_plain_finish(struct stream *stream, bool outgoing, uint64_t time);
void capture_plain_reset(struct stream *stream, bool outgoing, uint64_t time);
void capture_plain_close(struct stream *stream);	// not closed: still open at the capture's end

// --- secrets ----------------------------------------------------------------------

// From here the flow's packets wait, in order with each other, until released;
// at the latest until hold_time or hold_bytes is over. Other flows' packets do
// not wait for them (each interface's file order is by time within that bound).
// The time begins now. A flow held already stays as it is. When all held
// packets together outgrow the queue's size, the flow held longest is let go.
// In the classic format, which has no secrets, nothing is held.
void capture_hold(struct capture *capture, uint64_t flow);
// Lines of NSS key log that decrypt the flow: a decryption secrets block (type
// "TLSK") before whatever of the flow is written after it. May be called
// several times; the lines are gathered and written with the release.
void capture_secret(struct capture *capture, uint64_t flow, const char *line);
void capture_release(struct capture *capture, uint64_t flow);

// The flow is over; what the next file of a ring would have repeated of it goes.
void capture_forget(struct capture *capture, uint64_t flow);

// A name the app looked up: name resolution block records.
void capture_name(struct capture *capture, const struct sockaddr *address, const char *name);

bool capture_full(const struct capture *capture);
int capture_fd(const struct capture *capture);	// poll for reading, then:
void capture_wake(struct capture *capture);	// takes the event; call capture_full() again
// ns (CLOCK_MONOTONIC) when capture_tick() is due for held packets; UINT64_MAX: never.
uint64_t capture_deadline(const struct capture *capture);
void capture_tick(struct capture *capture, uint64_t now);

// NULL while all is well, else the sentence: what happened, to which file.
const char *capture_error(const struct capture *capture);
// The same, once for each way out: of those that fail, and of those that could not be
// opened while another could. NULL: no more news.
const char *capture_news(struct capture *capture);

// `plain`: packets of plaintext; `lost`: packets, by readers that were too slow. The others:
// packets that the filter took, and their IP bytes before any cut. Of a dead capture, `packets`
// are those that the file has.
struct capture_counters { uint64_t packets, bytes, filtered, held_too_long, files, plain, plain_files, readers, lost; };
void capture_count(const struct capture *capture, struct capture_counters *out);

// The next file begins with the next packet's time at the latest: now.
void capture_turn(struct capture *capture, uint64_t time);
// All the packets or files that were asked for are written, and the file is
// closed; capture_fd() tells.
bool capture_done(const struct capture *capture);

// Writes what is held and queued, ends the file, frees; waits for a pipe's
// reader. 0, or the -errno that made a file incomplete, with in `why` the sentences that
// capture_news() has not given.
int capture_close(struct capture *capture, char *why, size_t why_size);
// *lost: the counter's last word, also of what was still on its way to the readers.
int capture_close_counting(struct capture *capture, uint64_t *lost, char *why, size_t why_size);

#endif
