// SPDX-License-Identifier: GPL-3.0-or-later
// revoked - does a revocation list that was given name a certificate (RFC 5280 5)?
//
// A list counts for nothing when it is past its time, when none of the path's
// authorities signed it, or when the one that did may not (RFC 5280 6.3.3 f).

#include "tls/revoked.h"

#include <wolfssl/error-ssl.h>

bool revoked(WOLFSSL_CERT_MANAGER *manager, const struct roots *roots,
	     const struct certificate *certificate)
{
	if (roots->list_count == 0 ||
	    wolfSSL_CertManagerEnableCRL(manager, WOLFSSL_CRL_CHECKALL) != WOLFSSL_SUCCESS)
		return false;
	for (size_t i = 0; i < roots->list_count; i++)
		wolfSSL_CertManagerLoadCRLBuffer(manager, roots->lists[i].at, (long)roots->lists[i].size,
						 WOLFSSL_FILETYPE_ASN1);
	return wolfSSL_CertManagerCheckCRL(manager, certificate->whole.at,
					   (int)certificate->whole.size) == CRL_CERT_REVOKED;
}
