// SPDX-License-Identifier: GPL-3.0-or-later
// classic - the old pcap format, by libpcap's own hand.
//
// libpcap dumps to a FILE. Ours has no buffer and ends in the record being
// made. pcap_dump() wants the frame in one piece, so it is put together where
// it is to stand, behind the room for the record's header, and the copy that
// libpcap then asks for is none: source and place are the same.

#include "pcap/classic.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD_HEADER = 16, NS_PER_S = 1000000000 };

struct classic {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	uint8_t *at, *end;	// where libpcap's bytes go; NULL: nowhere now
};

static ssize_t take(void *cookie, const char *bytes, size_t size)
{
	struct classic *classic = cookie;

	if (!classic->at || size > (size_t)(classic->end - classic->at))
		return 0;
	if ((const char *)classic->at != bytes)
		memmove(classic->at, bytes, size);
	classic->at += size;
	return size;
}

static FILE *open_stream(struct classic *classic)
{
	cookie_io_functions_t functions = { .write = take };
	FILE *file = fopencookie(classic, "w", functions);

	if (file)
		setvbuf(file, NULL, _IONBF, 0);
	return file;
}

// libpcap writes the file header at once; it has 24 bytes.
static int open_dumper(struct classic *classic, struct blocks *to)
{
	enum { FILE_HEADER = 24 };
	uint8_t *at = blocks_reserve(to, FILE_HEADER);
	FILE *file = at ? open_stream(classic) : NULL;

	if (!file)
		return -ENOMEM;
	classic->at = at;
	classic->end = at + FILE_HEADER;
	classic->dumper = pcap_dump_fopen(classic->pcap, file);
	if (!classic->dumper) {
		fclose(file);
		return -ENOMEM;
	}
	if (classic->at != classic->end)
		return -EIO;
	blocks_commit(to, FILE_HEADER, false);
	return 0;
}

int classic_open(struct classic **out, struct blocks *to, uint16_t linktype, uint32_t snaplen)
{
	struct classic *classic = calloc(1, sizeof(*classic));
	int error = -ENOMEM;

	if (!classic)
		return error;
	classic->pcap = pcap_open_dead_with_tstamp_precision(linktype, snaplen,
							     PCAP_TSTAMP_PRECISION_NANO);
	if (classic->pcap)
		error = open_dumper(classic, to);
	if (error) {
		classic_close(classic);
		return error;
	}
	*out = classic;
	return 0;
}

int classic_packet(struct classic *classic, struct blocks *to, const struct frame *frame)
{
	size_t size = RECORD_HEADER + frame->link_size + frame->kept;
	uint8_t *at = blocks_reserve(to, size);
	struct pcap_pkthdr header = {
		.ts = { .tv_sec = frame->time / NS_PER_S, .tv_usec = frame->time % NS_PER_S },
		.caplen = frame->link_size + frame->kept,
		.len = frame->link_size + frame->size,
	};

	if (!at)
		return -ENOMEM;
	frame_put(at + RECORD_HEADER, frame);
	classic->at = at;
	classic->end = at + size;
	pcap_dump((u_char *)classic->dumper, &header, at + RECORD_HEADER);
	if (classic->at != classic->end)
		return -EIO;
	blocks_commit(to, size, true);
	return 0;
}

void classic_close(struct classic *classic)
{
	if (!classic)
		return;
	classic->at = NULL;
	if (classic->dumper)
		pcap_dump_close(classic->dumper);
	if (classic->pcap)
		pcap_close(classic->pcap);
	free(classic);
}
