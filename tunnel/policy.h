// SPDX-License-Identifier: GPL-3.0-or-later
// policy - open it or pass it: what the person asked for, and what was learned.

#ifndef TUNNEL_POLICY_H
#define TUNNEL_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy;

struct policy_options {
	bool intercept;			// --tls intercept (else pass)
	// Perl's regular expressions, without case, searched for in "name", "name:port"
	// and "address:port". Those to be left alone; and if there are any, the only ones
	// to be opened.
	const char *const *ignore, *const *allow;
	size_t ignore_count, allow_count;
	bool pin_bypass;		// pass what the app has once refused to have opened
	const char *pins_path;		// where that is kept; NULL: for this run
	bool quic_pass;			// else QUIC is refused, where TLS is opened
};

// Borrowed but for the expressions. 0, or -errno with a sentence: -EINVAL for an
// expression, with its place.
int policy_open(struct policy **out, const struct policy_options *options, char *why, size_t why_size);
void policy_close(struct policy *policy);

// A ClientHello: who said it, and to whom.
struct policy_target {
	const char *executable;		// a path; NULL where not known
	int32_t pid;			// 0 where not known
	const char *sni;		// "": none
	const char *address;		// numeric
	uint16_t port;
};

enum policy_answer {
	POLICY_OPEN,
	POLICY_PASS,		// *reason says why
	POLICY_PINNED,		// likewise
};
enum policy_answer policy_tls(const struct policy *policy, const struct policy_target *target, const char **reason);

// The app spoke over a connection that was opened: it takes the certificate.
void policy_took(struct policy *policy, const struct policy_target *target);
// The app refused the certificate that was made for it, in so many words (`said`) or by leaving.
// True where that is remembered and its next connection passes: not where it only left, and the
// same process took one there before; browsers leave connections that they had in store.
bool policy_pinned(struct policy *policy, const struct policy_target *target, bool said);
// The origin wants a certificate of the client's, which only the app has.
void policy_wants_certificate(struct policy *policy, const struct policy_target *target);
// In the middle of a conversation it could not be opened, and so was lost. The next passes.
void policy_lost(struct policy *policy, const struct policy_target *target);

// Is a QUIC connection refused, so that the app takes TCP?
bool policy_refuses_quic(const struct policy *policy);

#endif
