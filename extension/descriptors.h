// SPDX-License-Identifier: GPL-3.0-or-later
// descriptors - what a process forked from apptap holds open of it.
//
// Within the room only. A pipe or a device of the run ends when its owner does, and not when the
// last process forked from it does.

#ifndef EXTENSION_DESCRIPTORS_H
#define EXTENSION_DESCRIPTORS_H

// Closes all of the calling process but these two, which may be one.
void descriptors_keep(int a, int b);

#endif
