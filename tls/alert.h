// SPDX-License-Identifier: GPL-3.0-or-later
// alert - names of TLS alerts.
//
// Within the room only.

#ifndef TLS_ALERT_H
#define TLS_ALERT_H

// RFC 8446 6: "unknown_ca", or "unknown alert".
const char *alert_name(int number);

#endif
