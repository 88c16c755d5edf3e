// SPDX-License-Identifier: GPL-3.0-or-later
// policy - open it or pass it.

#include "tunnel/policy.h"

#include <stddef.h>

const char *policy_tls(const struct policy *policy)
{
	return policy->intercept ? NULL : "--tls pass";
}
