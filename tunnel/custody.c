// SPDX-License-Identifier: GPL-3.0-or-later
// custody - the authority in stores of this machine's while a run goes on.

#include "tunnel/custody.h"

#include "tls/authority.h"
#include "tunnel/log.h"

int custody_open(struct custodian *custodian, const struct store_options *stores, const struct authority *authority)
{
	char why[512];
	size_t size;

	if (!stores)
		return 0;
	const char *pem = authority_pem(authority, &size);
	int failed = custodian_open(custodian, stores, pem, size, authority_fingerprint(authority), why, sizeof(why));
	if (failed < 0)
		log_error("the authority was put nowhere: %s", why);
	return failed < 0 ? failed : 0;
}

void custody_close(struct custodian *custodian)
{
	char why[512];

	if (custodian_close(custodian, why, sizeof(why)))
		log_error("the authority may still be trusted here: %s; \"apptap ca uninstall\" takes it out", why);
}
