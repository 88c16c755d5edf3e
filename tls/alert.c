// SPDX-License-Identifier: GPL-3.0-or-later
// alert - names of TLS alerts (the IANA registry "TLS Alerts"), and sending one.
//
// wolfSSL's public interface sends close_notify alone, so this calls within: the library is ours,
// static and of one version.

#include "tls/alert.h"

#include <stddef.h>

static const char *const names[] = {
	[0] = "close_notify",
	[10] = "unexpected_message",
	[20] = "bad_record_mac",
	[21] = "decryption_failed",
	[22] = "record_overflow",
	[30] = "decompression_failure",
	[40] = "handshake_failure",
	[41] = "no_certificate",
	[42] = "bad_certificate",
	[43] = "unsupported_certificate",
	[44] = "certificate_revoked",
	[45] = "certificate_expired",
	[46] = "certificate_unknown",
	[47] = "illegal_parameter",
	[48] = "unknown_ca",
	[49] = "access_denied",
	[50] = "decode_error",
	[51] = "decrypt_error",
	[60] = "export_restriction",
	[70] = "protocol_version",
	[71] = "insufficient_security",
	[80] = "internal_error",
	[86] = "inappropriate_fallback",
	[90] = "user_canceled",
	[100] = "no_renegotiation",
	[109] = "missing_extension",
	[110] = "unsupported_extension",
	[111] = "certificate_unobtainable",
	[112] = "unrecognized_name",
	[113] = "bad_certificate_status_response",
	[114] = "bad_certificate_hash_value",
	[115] = "unknown_psk_identity",
	[116] = "certificate_required",
	[120] = "no_application_protocol",
	[121] = "ech_required",
};

const char *alert_name(int number)
{
	if (number < 0 || (size_t)number >= sizeof(names) / sizeof(*names) || !names[number])
		return "unknown alert";
	return names[number];
}

int SendAlert(WOLFSSL *ssl, int severity, int type);	// src/internal.c

void alert_send(WOLFSSL *ssl, int number)
{
	SendAlert(ssl, alert_fatal, number);
}
