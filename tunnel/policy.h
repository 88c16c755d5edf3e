// SPDX-License-Identifier: GPL-3.0-or-later
// policy - open it or pass it: what the person asked for, in one place.

#ifndef TUNNEL_POLICY_H
#define TUNNEL_POLICY_H

#include <stdbool.h>

struct policy {
	bool intercept;		// --tls intercept (else pass)
};

// NULL: TLS is to be opened; else the reason why it passes.
const char *policy_tls(const struct policy *policy);

#endif
