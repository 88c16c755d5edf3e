// SPDX-License-Identifier: GPL-3.0-or-later
// classic - the old pcap format, by libpcap's own hand.
//
// One link type, time stamps in ns (magic 0xa1b23c4d), packets and nothing
// else: no processes, comments, names or secrets.

#ifndef PCAP_CLASSIC_H
#define PCAP_CLASSIC_H

#include "pcap/blocks.h"
#include "pcap/frame.h"

struct classic;

// The file's header is appended to `to`. 0 or -ENOMEM.
int classic_open(struct classic **out, struct blocks *to, uint16_t linktype, uint32_t snaplen);
// 0, -ENOMEM or -EIO.
int classic_packet(struct classic *classic, struct blocks *to, const struct frame *frame);
void classic_close(struct classic *classic);

#endif
