// SPDX-License-Identifier: GPL-3.0-or-later
// alert - names of TLS alerts, and sending one.
//
// Within the room only.

#ifndef TLS_ALERT_H
#define TLS_ALERT_H

#include <wolfssl/ssl.h>

// RFC 8446 6: "unknown_ca", or "unknown alert".
const char *alert_name(int number);
// Sends a fatal one, as the connection's state wants it.
void alert_send(WOLFSSL *ssl, int number);

#endif
