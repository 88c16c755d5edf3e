// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_cgroup - the root of the control groups (version 2), wherever it is mounted.

#ifndef EXTENSION_REDIRECT_CGROUP_H
#define EXTENSION_REDIRECT_CGROUP_H

#include <stddef.h>

// A descriptor of its folder, or -errno.
int redirect_cgroup_open(void);

#endif
