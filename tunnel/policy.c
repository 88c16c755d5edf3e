// SPDX-License-Identifier: GPL-3.0-or-later
// policy - open it or pass it.

#include "tunnel/policy.h"

#define PCRE2_CODE_UNIT_WIDTH 8

#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel/memory.h"

// Steps of one match: an expression that explodes finds nothing, but ends.
enum { STEPS = 100000 };

struct patterns {
	pcre2_code **codes;
	size_t count;
};

struct policy {
	bool intercept, pin_bypass, quic_pass;
	struct patterns ignore, allow;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct memory *pins;		// executable and host
	struct memory *certificates;	// host alone: address or name, and port
	struct memory *lost;		// likewise
	struct memory *takers;		// process and host
};

// --- expressions ------------------------------------------------------------

static int compile(struct patterns *p, const char *const *texts, size_t count, const char *option, char *why,
		   size_t why_size)
{
	p->codes = calloc(count ? count : 1, sizeof(pcre2_code *));
	if (!p->codes) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (; p->count < count; p->count++) {
		PCRE2_UCHAR said[160] = "";
		PCRE2_SIZE at;
		int error;
		const char *text = texts[p->count];

		p->codes[p->count] = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_CASELESS, &error, &at,
						   NULL);
		if (p->codes[p->count])
			continue;
		pcre2_get_error_message(error, said, sizeof(said));
		snprintf(why, why_size, "%s \"%s\", at its character %zu: %s", option, text, (size_t)at + 1,
			 (const char *)said);
		return -EINVAL;
	}
	return 0;
}

static void drop(struct patterns *p)
{
	for (size_t i = 0; i < p->count; i++)
		pcre2_code_free(p->codes[i]);
	free(p->codes);
}

static bool finds(const struct policy *p, const struct patterns *patterns, const char *subject)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (pcre2_match(patterns->codes[i], (PCRE2_SPTR)subject, strlen(subject), 0, 0, p->match, p->limits) >= 0)
			return true;
	return false;
}

static bool names(const struct policy *p, const struct patterns *patterns, const struct policy_target *t)
{
	bool v6 = strchr(t->address, ':');
	char subject[320];

	if (!patterns->count)
		return false;
	snprintf(subject, sizeof(subject), v6 ? "[%s]:%u" : "%s:%u", t->address, t->port);
	if (finds(p, patterns, subject))
		return true;
	if (!t->sni[0])
		return false;
	snprintf(subject, sizeof(subject), "%s:%u", t->sni, t->port);
	return finds(p, patterns, t->sni) || finds(p, patterns, subject);
}

// --- answers ----------------------------------------------------------------

static const char *host_of(const struct policy_target *t)
{
	return t->sni[0] ? t->sni : t->address;
}

// Another server may answer at another port of the host.
static const char *place_of(const struct policy_target *t, char out[320])
{
	snprintf(out, 320, "%s:%u", host_of(t), t->port);
	return out;
}

enum policy_answer policy_tls(const struct policy *p, const struct policy_target *t, const char **reason)
{
	char place[320];

	*reason = NULL;
	if (!p->intercept)
		*reason = "--tls pass";
	else if (names(p, &p->ignore, t))
		*reason = "--ignore-hosts";
	else if (p->allow.count && !names(p, &p->allow, t))
		*reason = "not in --allow-hosts";
	else if (memory_has(p->certificates, NULL, place_of(t, place)))
		*reason = "the origin asked for a client certificate before";
	else if (memory_has(p->lost, NULL, place_of(t, place)))
		*reason = "it could not be opened before";
	if (*reason)
		return POLICY_PASS;
	if (!p->pin_bypass || !memory_has(p->pins, t->executable, host_of(t)))
		return POLICY_OPEN;
	*reason = "the app refused our certificate for it before";
	return POLICY_PINNED;
}

static const char *process_of(const struct policy_target *t, char out[16])
{
	snprintf(out, 16, "%d", t->pid);
	return out;
}

void policy_took(struct policy *p, const struct policy_target *t)
{
	char process[16];

	if (p->pin_bypass && t->pid)
		memory_add(p->takers, process_of(t, process), host_of(t));
}

bool policy_pinned(struct policy *p, const struct policy_target *t, bool said)
{
	char process[16];

	if (!p->pin_bypass || (!said && t->pid && memory_has(p->takers, process_of(t, process), host_of(t))))
		return false;
	memory_add(p->pins, t->executable, host_of(t));
	return memory_has(p->pins, t->executable, host_of(t));
}

void policy_wants_certificate(struct policy *p, const struct policy_target *t)
{
	char place[320];

	memory_add(p->certificates, NULL, place_of(t, place));
}

void policy_lost(struct policy *p, const struct policy_target *t)
{
	char place[320];

	memory_add(p->lost, NULL, place_of(t, place));
}

bool policy_refuses_quic(const struct policy *p)
{
	return p->intercept && !p->quic_pass;
}

// --- the whole --------------------------------------------------------------

static int open_all(struct policy *p, const struct policy_options *o, char *why, size_t why_size)
{
	int error = compile(&p->ignore, o->ignore, o->ignore_count, "--ignore-hosts", why, why_size);

	if (!error)
		error = compile(&p->allow, o->allow, o->allow_count, "--allow-hosts", why, why_size);
	p->match = pcre2_match_data_create(1, NULL);
	p->limits = pcre2_match_context_create(NULL);
	if (!error && (!p->match || !p->limits)) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		error = -ENOMEM;
	}
	if (p->limits)
		pcre2_set_match_limit(p->limits, STEPS);
	if (!error)
		error = memory_open(&p->pins, o->pins_path, why, why_size);
	if (!error)
		error = memory_open(&p->certificates, NULL, why, why_size);
	if (!error)
		error = memory_open(&p->takers, NULL, why, why_size);
	return error ? error : memory_open(&p->lost, NULL, why, why_size);
}

int policy_open(struct policy **out, const struct policy_options *options, char *why, size_t why_size)
{
	struct policy *p = calloc(1, sizeof(*p));
	int error;

	*out = NULL;
	if (!p) {
		snprintf(why, why_size, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	p->intercept = options->intercept;
	p->pin_bypass = options->pin_bypass;
	p->quic_pass = options->quic_pass;
	error = open_all(p, options, why, why_size);
	if (error)
		policy_close(p);
	else
		*out = p;
	return error;
}

void policy_close(struct policy *p)
{
	if (!p)
		return;
	drop(&p->ignore);
	drop(&p->allow);
	pcre2_match_data_free(p->match);
	pcre2_match_context_free(p->limits);
	memory_close(p->pins);
	memory_close(p->certificates);
	memory_close(p->lost);
	memory_close(p->takers);
	free(p);
}
