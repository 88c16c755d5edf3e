// SPDX-License-Identifier: GPL-3.0-or-later
// redact_frames - one direction of HTTP/2, its header blocks coded anew.

#ifndef PCAP_REDACT_FRAMES_H
#define PCAP_REDACT_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redact_frames;

struct redact_frames *redact_frames_open(void (*put)(void *context, const uint8_t *bytes, size_t size), void *context);
// The other direction, whose settings are about this one's tables.
void redact_frames_pair(struct redact_frames *a, struct redact_frames *b);
// Behind the preface. False: it cannot be followed any more.
bool redact_frames_bytes(struct redact_frames *frames, const uint8_t *bytes, size_t size);
void redact_frames_close(struct redact_frames *frames);

// Is the value of a field of this name one that lets others in?
bool redact_hides(const char *name, size_t size);

#endif
