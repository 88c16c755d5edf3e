// SPDX-License-Identifier: GPL-3.0-or-later
// filter - a libpcap expression over an IP packet.

#include "pcap/filter.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>

#include "pcap/frame.h"

struct capture_filter {
	struct bpf_program program;
	u_char packet[FRAME_MOST];	// a program reads one piece only
};

int capture_filter_open(struct capture_filter **out, const char *expression, char *why,
			size_t why_size)
{
	struct capture_filter *filter = calloc(1, sizeof(*filter));
	pcap_t *pcap = pcap_open_dead(DLT_RAW, FRAME_MOST);
	int error = 0;

	if (!filter || !pcap) {
		snprintf(why, why_size, "no memory for the capture filter");
		error = -ENOMEM;
	} else if (pcap_compile(pcap, &filter->program, expression, 1, PCAP_NETMASK_UNKNOWN)) {
		snprintf(why, why_size, "capture filter \"%.200s\": %s (see pcap-filter(7))",
			 expression, pcap_geterr(pcap));
		error = -EINVAL;
	}
	if (pcap)
		pcap_close(pcap);
	if (error) {
		free(filter);
		return error;
	}
	*out = filter;
	return 0;
}

bool capture_filter_matches(struct capture_filter *filter, const struct iovec *iov, int count,
			    size_t size)
{
	const u_char *packet = filter->packet;
	struct pcap_pkthdr header = { .len = size };

	if (count == 1) {
		packet = iov->iov_base;
		header.caplen = size;
	} else {
		header.caplen = frame_gather(filter->packet, sizeof(filter->packet), iov, count);
	}
	return pcap_offline_filter(&filter->program, &header, packet) != 0;
}

void capture_filter_close(struct capture_filter *filter)
{
	if (!filter)
		return;
	pcap_freecode(&filter->program);
	free(filter);
}
