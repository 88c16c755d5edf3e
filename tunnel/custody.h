// SPDX-License-Identifier: GPL-3.0-or-later
// custody - the authority in stores of this machine's while a run goes on.

#ifndef TUNNEL_CUSTODY_H
#define TUNNEL_CUSTODY_H

#include "extension/custodian.h"

struct authority;

// Puts it there and sees to its removal, whatever becomes of this process; see extension/custodian.h
// for when to call it. `stores` is borrowed; NULL: nothing is done. 0, or -errno, said already.
int custody_open(struct custodian *custodian, const struct store_options *stores, const struct authority *authority);
void custody_close(struct custodian *custodian);

#endif
