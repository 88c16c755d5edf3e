// SPDX-License-Identifier: GPL-3.0-or-later
// mount - files laid over files, in this mount namespace and nowhere else.

#ifndef EXTENSION_MOUNT_H
#define EXTENSION_MOUNT_H

#include "extension/launch.h"

// Keeps this namespace's mounts from the host; the host's still come in.
// 0 or -errno.
int mount_detach(void);

// The overlays, the folder and its files. 0, or -errno and *where, the path
// that failed. A path that does not exist is added to its folder, where there is one
// and the kernel can, or else passed over.
int mount_lay(const struct launch_options *options, const char **where);

// Lays over a folder a copy of the plain files in it, its owner's alone, that may be changed and
// goes with this namespace. 0 or -errno: -EFBIG where there is more than such a folder has.
int mount_double(const char *folder);

#endif
