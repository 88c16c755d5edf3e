// SPDX-License-Identifier: GPL-3.0-or-later
// verify - judges an origin's certificate chain (RFC 5280 6).
//
// Why not let wolfSSL do it in the handshake: it reports one fault and hides the
// rest, and it adds a chain's certificates to the store that all connections
// share. So the handshake verifies nothing and the judging is done here: a path
// from the leaf to a root is sought by names and signatures, then walked from
// the root down with a certificate manager of its own that lives for this one
// chain, dates left aside, so that a leaf's wrong date never hides a fault of
// the chain.
//
// The two kinds of fault are told apart because the app's leaf can only mirror
// the leaf's own. What is in doubt is a fault of the chain: it reaches the app
// under an authority that it does not trust.

#include "tls/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "tls/revoked.h"

enum {
	PATH_MAX_LENGTH = 10,
	SENT_MAX = 16,		// certificates of a chain that are looked at
	RSA_BYTES_MIN = 256,	// what OpenSSL's and browsers' defaults ask for
};

struct path {
	const struct certificate *step[PATH_MAX_LENGTH];	// leaf first, root last
	size_t count;
	const struct certificate *top;	// the last one found when no root was
};

struct chain {
	const struct der *der;		// as it was sent
	size_t der_count;
	struct certificate sent[SENT_MAX];
	size_t count;
	const struct roots *roots;
	int64_t now;
};

static const char expired[] = "certificate has expired";
static const char early[] = "certificate is not yet valid";

static const char *date_fault(const struct certificate *certificate, int64_t now)
{
	return now > certificate->not_after ? expired : now < certificate->not_before ? early : NULL;
}

// Did the key of `issuer` sign `certificate`? Names alone prove nothing.
static bool signed_by(const struct certificate *certificate, const struct certificate *issuer)
{
	DecodedCert *decoded;
	bool good = false;

	if (!der_equal(certificate->issuer, issuer->subject))
		return false;
	decoded = malloc(sizeof(*decoded));
	if (!decoded)
		return false;
	wc_InitDecodedCert(decoded, issuer->whole.at, issuer->whole.size, NULL);
	if (wc_ParseCert(decoded, CERT_TYPE, NO_VERIFY, NULL) == 0)
		good = wc_CheckCertSigPubKey(certificate->whole.at, certificate->whole.size, NULL,
					     decoded->publicKey, decoded->pubKeySize,
					     (int)decoded->keyOID) == 0;
	wc_FreeDecodedCert(decoded);
	free(decoded);
	return good;
}

// --- the path ---------------------------------------------------------------

static const struct certificate *pick(const struct certificate *of, const struct certificate *list,
				      size_t count, int64_t now)
{
	const struct certificate *stale = NULL;

	for (size_t i = 0; i < count; i++) {
		if (&list[i] == of || !signed_by(of, &list[i]))
			continue;
		if (!date_fault(&list[i], now))
			return &list[i];
		if (!stale)
			stale = &list[i];
	}
	return stale;
}

static bool in_path(const struct path *path, const struct certificate *certificate)
{
	for (size_t i = 0; i < path->count; i++)
		if (der_equal(path->step[i]->key, certificate->key) &&
		    der_equal(path->step[i]->subject, certificate->subject))
			return true;
	return false;
}

static const struct certificate *same_root(const struct roots *roots,
					   const struct certificate *certificate)
{
	for (size_t i = 0; i < roots->count; i++)
		if (der_equal(roots->list[i].whole, certificate->whole))
			return &roots->list[i];
	return NULL;
}

// A root is taken as soon as one fits, whatever the origin sent beyond it: what
// it sent may lead to one that has expired. True when a root was reached.
static bool find_path(const struct chain *chain, struct path *path)
{
	const struct certificate *at = &chain->sent[0], *next;

	path->count = 0;
	while (path->count < PATH_MAX_LENGTH) {
		path->step[path->count++] = path->top = at;
		if (same_root(chain->roots, at))
			return true;
		if (path->count == PATH_MAX_LENGTH)
			break;
		next = pick(at, chain->roots->list, chain->roots->count, chain->now);
		if (next) {
			path->step[path->count++] = next;
			return true;
		}
		next = pick(at, chain->sent, chain->count, chain->now);
		if (!next || in_path(path, next))
			break;
		at = next;
	}
	return false;
}

// --- walking it -------------------------------------------------------------

static const char *weakness(const DecodedCert *certificate)
{
	switch (certificate->signatureOID) {
	case CTC_MD2wRSA:
	case CTC_MD5wRSA:
	case CTC_SHAwRSA:
	case CTC_SHAwECDSA:
	case CTC_SHAwDSA:
		return "certificate signed with a broken digest";
	default:
		return NULL;
	}
}

// MD5 and MD2 are not written here, nor by most of those who would judge.
static bool can_be_shown(const DecodedCert *certificate)
{
	return certificate->signatureOID == CTC_SHAwRSA || certificate->signatureOID == CTC_SHAwECDSA;
}

static const char *key_weakness(const DecodedCert *decoded)
{
	RsaKey rsa;
	word32 at = 0;
	int size = 0;

	if (decoded->keyOID != RSAk && decoded->keyOID != RSAPSSk)
		return NULL;
	if (wc_InitRsaKey(&rsa, NULL) != 0)
		return "out of memory";
	if (wc_RsaPublicKeyDecode(decoded->publicKey, &at, &rsa, decoded->pubKeySize) == 0)
		size = wc_RsaEncryptSize(&rsa);
	wc_FreeRsaKey(&rsa);
	return size < RSA_BYTES_MIN ? "certificate key too weak" : NULL;
}

// What makes a certificate an authority (RFC 5280 6.1.4 k to n).
static const char *authority_fault(const DecodedCert *certificate)
{
	if (!certificate->isCA)
		return "invalid CA certificate";
	if (certificate->extKeyUsageSet && !(certificate->extKeyUsage & KEYUSE_KEY_CERT_SIGN))
		return "invalid CA certificate: it may not sign certificates";
	if (certificate->extExtKeyUsageSet &&
	    !(certificate->extExtKeyUsage & (EXTKEYUSE_SERVER_AUTH | EXTKEYUSE_ANY)))
		return "invalid CA certificate: unsuitable purpose";
	return NULL;
}

static const char *sentence(int error)
{
	switch (error) {
	case ASN_NO_SIGNER_E: return "unable to get local issuer certificate";
	case ASN_SELF_SIGNED_E: return "self-signed certificate";
	case ASN_SIG_CONFIRM_E: return "certificate signature failure";
	case ASN_NAME_INVALID_E: return "permitted subtree violation";
	case ASN_PATHLEN_INV_E: return "path length constraint exceeded";
	case ASN_CRIT_EXT_E: return "unhandled critical extension";
	case KEYUSAGE_E: return "invalid certificate usage";
	default: return NULL;
	}
}

// One step of the path, all signers above it known to `manager`. `constrained`
// says whether a name constraint stood above, and is moved on: wolfSSL holds a
// certificate against those of its own signer only, so one further up than that
// cannot be answered for.
static bool step_fault(const struct certificate *certificate, bool leaf, bool root, void *manager,
		       bool *constrained_above, bool *constrained, int *error_out, struct verdict *out)
{
	DecodedCert *decoded = malloc(sizeof(*decoded));
	const char *fault = NULL;
	int error;

	if (!decoded) {
		snprintf(out->text, sizeof(out->text), "out of memory");
		return true;
	}
	wc_InitDecodedCert(decoded, certificate->whole.at, certificate->whole.size, NULL);
	error = wc_ParseCert(decoded, leaf ? CERT_TYPE : root ? CA_TYPE : CHAIN_CERT_TYPE,
			     root ? NO_VERIFY : VERIFY_SKIP_DATE, manager);
	*error_out = error;
	if (error) {
		fault = sentence(error);
		snprintf(out->text, sizeof(out->text), "%s", fault ? fault : wc_GetErrorString(error));
	} else {
		if (!root)
			fault = weakness(decoded);
		out->weak_digest = fault && leaf && can_be_shown(decoded);
		if (!fault) {
			fault = key_weakness(decoded);
			out->weak_key = fault && leaf;
		}
		if (!fault && !leaf) {
			fault = authority_fault(decoded);
			*error_out = fault ? KEYUSAGE_E : 0;
		}
		if (!fault && *constrained_above) {
			fault = "name constraints that apptap cannot check";
			*error_out = ASN_NAME_INVALID_E;
		}
		*constrained_above = *constrained_above || *constrained;
		*constrained = decoded->extNameConstraintSet;
		if (fault)
			snprintf(out->text, sizeof(out->text), "%s", fault);
	}
	wc_FreeDecodedCert(decoded);
	free(decoded);
	return error || fault;
}

// Which of what was sent is a step of the path: 0 for the leaf and for what was not sent.
static uint8_t place(const struct chain *chain, const struct path *path, size_t step)
{
	if (step >= path->count)
		return 0;
	for (size_t i = 1; i < chain->der_count && i <= UINT8_MAX; i++)
		if (chain->der[i].at == path->step[step]->whole.at)
			return i;
	return 0;
}

// What has to be shown for the fault at a step to be seen again. Names are held against
// the nearest constraints above, whether or not those are the ones that are broken: who
// shows them makes sure.
static void note_faulty(const struct chain *chain, const struct path *path, size_t step, int error,
			struct verdict *out)
{
	switch (error) {
	case KEYUSAGE_E:
		out->faulty[0] = place(chain, path, step);
		break;
	case ASN_PATHLEN_INV_E:
		out->faulty[0] = place(chain, path, step);
		out->faulty[1] = place(chain, path, step + 1);
		if (!out->faulty[1])
			out->faulty[0] = 0;
		break;
	case ASN_NAME_INVALID_E:
		while (++step < path->count && path->step[step]->name_constraints.size == 0)
			;
		out->faulty[0] = place(chain, path, step);
		break;
	}
}

// True when the path holds, from the root down to the leaf.
static bool walk(const struct chain *chain, const struct path *path, struct verdict *out)
{
	WOLFSSL_CERT_MANAGER *manager = wolfSSL_CertManagerNew();
	bool constrained_above = false, constrained = false, good = manager != NULL;

	for (size_t i = path->count; good && i-- > 0;) {
		const struct certificate *at = path->step[i];
		const char *fault = i > 0 ? date_fault(at, chain->now) : NULL;
		int error = 0;

		if (fault) {
			snprintf(out->text, sizeof(out->text), "issuer's %s", fault);
			out->faulty[0] = place(chain, path, i);
			good = false;
		} else if (step_fault(at, i == 0, i + 1 == path->count, manager, &constrained_above,
				      &constrained, &error, out)) {
			note_faulty(chain, path, i, error, out);
			good = false;
		} else if (i + 1 < path->count && revoked(manager, chain->roots, at)) {
			snprintf(out->text, sizeof(out->text), "%scertificate revoked", i > 0 ? "issuer's " : "");
			good = false;
		} else if (i > 0 && wolfSSL_CertManagerLoadCABuffer_ex(manager, at->whole.at,
				(long)at->whole.size, WOLFSSL_FILETYPE_ASN1, 0,
				WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY) != WOLFSSL_SUCCESS) {
			snprintf(out->text, sizeof(out->text), "invalid CA certificate");
			good = false;
		}
	}
	wolfSSL_CertManagerFree(manager);
	return good;
}

// What is forgiven is shown.
static bool parse_fault(const struct certificate *certificate, bool leaf, bool forgive_key, bool forgive_digest)
{
	DecodedCert *decoded = certificate->demanding ? NULL : malloc(sizeof(*decoded));
	bool fault = true;

	if (!decoded)
		return true;
	wc_InitDecodedCert(decoded, certificate->whole.at, certificate->whole.size, NULL);
	if (wc_ParseCert(decoded, leaf ? CERT_TYPE : CHAIN_CERT_TYPE, NO_VERIFY, NULL) == 0)
		fault = (!forgive_digest && weakness(decoded)) || (!forgive_key && key_weakness(decoded)) ||
			(!leaf && authority_fault(decoded));
	wc_FreeDecodedCert(decoded);
	free(decoded);
	return fault;
}

// Whether the lists that were given may name a certificate of the path: also where what
// stands below a fault cannot be asked for, since its lists' signer is none to wolfSSL.
static bool may_be_revoked(const struct chain *chain, const struct path *path)
{
	WOLFSSL_CERT_MANAGER *manager;
	bool known;

	if (chain->roots->list_count == 0)
		return false;
	manager = wolfSSL_CertManagerNew();
	known = manager != NULL;
	for (size_t i = path->count; known && i-- > 0;) {
		const struct certificate *at = path->step[i];

		known = (i + 1 == path->count || !revoked(manager, chain->roots, at)) &&
			(i == 0 || wolfSSL_CertManagerLoadCABuffer_ex(manager, at->whole.at, (long)at->whole.size,
				WOLFSSL_FILETYPE_ASN1, 0, WOLFSSL_LOAD_FLAG_DATE_ERR_OKAY) == WOLFSSL_SUCCESS);
	}
	wolfSSL_CertManagerFree(manager);
	return !known;
}

// Walking ends at the first fault. It is shown by itself only if nothing else is wrong in
// what is left out: an app that forgives the one would not have forgiven the other. What the
// revocation lists have to say cannot be shown at all.
static void keep_sole_fault(const struct chain *chain, const struct path *path, struct verdict *out)
{
	bool sole = !may_be_revoked(chain, path);

	for (size_t i = 0; sole && i + 1 < path->count; i++) {
		const struct certificate *at = path->step[i];
		uint8_t sent = i > 0 ? place(chain, path, i) : 0;

		if (sent && (sent == out->faulty[0] || sent == out->faulty[1])) {
			sole = !at->demanding;
			continue;
		}
		sole = !parse_fault(at, i == 0, i == 0 && out->weak_key, i == 0 && out->weak_digest) &&
		       (i == 0 || !date_fault(at, chain->now));
	}
	if (!sole) {
		out->faulty[0] = out->faulty[1] = 0;
		out->weak_key = out->weak_digest = false;
	}
}

// A leaf that is itself among the roots stands for itself.
static bool chain_holds(const struct chain *chain, const struct path *path, bool found,
			struct verdict *out)
{
	if (found && path->count == 1)
		return true;
	if (found) {
		bool good = walk(chain, path, out);

		if (!good)
			keep_sole_fault(chain, path, out);
		return good;
	}
	snprintf(out->text, sizeof(out->text), "%s",
		 out->self_signed ? "self-signed certificate" :
		 out->closed ? "self-signed certificate in certificate chain" :
		 "unable to get local issuer certificate");
	return false;
}

static bool leaf_holds(const struct certificate *leaf, const char *host, int64_t now,
		       struct verdict *out)
{
	const char *fault = date_fault(leaf, now);

	if (!fault && !certificate_serves(leaf))
		fault = "unsuitable certificate purpose";
	if (fault)
		snprintf(out->text, sizeof(out->text), "%s", fault);
	else if (!certificate_is_for(leaf, host))
		snprintf(out->text, sizeof(out->text), "host name does not match: not for %.100s", host);
	else
		return true;
	return false;
}

bool verify_chain(struct verdict *out, const struct der *der, size_t count,
		  const struct roots *roots, const char *host, bool insecure, int64_t now)
{
	struct chain *chain = calloc(1, sizeof(*chain));
	struct path path;
	bool found, read = false;

	memset(out, 0, sizeof(*out));
	out->trust = TLS_BAD_CHAIN;
	if (!chain)
		return false;
	for (size_t i = 0; i < count && chain->count < SENT_MAX; i++) {
		if (certificate_read(&chain->sent[chain->count], der[i].at, der[i].size))
			chain->count++;
		else if (i == 0)
			goto done;
	}
	read = chain->count > 0;
	if (!read)
		goto done;
	chain->der = der;
	chain->der_count = count;
	chain->roots = roots;
	chain->now = now;
	found = find_path(chain, &path);
	out->closed = signed_by(path.top, path.top);
	out->self_signed = out->closed && path.top == &chain->sent[0];
	out->leaf_fault = !leaf_holds(&chain->sent[0], host, now, out);
	if (insecure) {
		out->trust = TLS_UNCHECKED;
		snprintf(out->text, sizeof(out->text), "certificate not checked");
	} else if (chain_holds(chain, &path, found, out)) {
		out->trust = out->leaf_fault ? TLS_BAD_LEAF : TLS_TRUSTED;
	}
done:
	free(chain);
	return read;
}
