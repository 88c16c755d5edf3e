// SPDX-License-Identifier: GPL-3.0-or-later
// report - a line for each flow that ended, the same as JSON, and the summary.

#ifndef TUNNEL_REPORT_H
#define TUNNEL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flow;
struct report;

// `path`: the JSON lines' file ("-" is not special), made 0600; NULL: none.
// `lines`: flow lines and the summary go to standard error.
int report_open(struct report **out, const char *path, bool lines, char *why, size_t why_size);
void report_flow(struct report *report, const struct flow *flow);
void report_summary(const struct report *report, const char *capture_path, unsigned long long packets);
// 0, or the -errno that made the JSON file incomplete, with a sentence.
int report_close(struct report *report, char *why, size_t why_size);

// The line, without its newline: "curl[4123] tcp localhost:8443 ...".
int report_line(const struct flow *flow, char *out, size_t size);
// "1.2 MB", "12 ms".
const char *report_bytes(uint64_t n, char out[24]);
const char *report_time(uint64_t ns, char out[24]);
// The JSON object as text, to be freed; NULL without memory.
char *report_json(const struct flow *flow);

#endif
