// SPDX-License-Identifier: GPL-3.0-or-later
// ticket - the session of an origin's end: offered, kept, and the app given tickets alike.

#include "tls/ticket.h"

#include "tls/end.h"
#include "tls/house.h"

enum { DUE_MAX = 16 };		// tickets at once, whatever an origin sends

static int see_ticket(WOLFSSL *ssl, const unsigned char *ticket, int size, void *context)
{
	struct tls *end = context;

	(void)ssl;
	(void)ticket;
	(void)size;
	end->ticketed = true;
	if (end->due < DUE_MAX)
		end->due++;
	return 0;
}

// The key holds for what comes of this connection too.
void ticket_offer_session(struct tls *end, const struct hello *hello, const char *address, uint16_t port)
{
	wolfSSL_set_SessionTicket_cb(end->ssl, see_ticket, end);
	if (hello->tickets)
		wolfSSL_UseSessionTicket(end->ssl);
	wolfSSL_only_dhe_psk(end->ssl);
	end->has_session = resumption_key(end->session, hello, address, port);
	if (end->has_session && hello->resumes)
		resumption_offer(house_sessions(end->house), end->session, end->ssl, hello,
				 end->version_min, end->version_max, &end->earlier);
}

void ticket_keep_session(struct tls *end)
{
	end->ticketed = false;
	if (end->has_session)
		resumption_keep(house_sessions(end->house), end->session, end->ssl, end->chain);
}

// Before TLS 1.3 the handshake's end is when it is known; later it comes with tickets.
void ticket_note_session(struct tls *end)
{
	if (end->resumed && !end->chain.bytes) {
		end->chain = end->earlier;
		end->earlier = (struct shown){ 0 };
		end_judge(end);
	}
	if (end->ticketed || (!end->resumed && wolfSSL_version(end->ssl) < TLS1_3_VERSION))
		ticket_keep_session(end);
}

int tls_pass_tickets(struct tls *origin, struct tls *app)
{
	int result;

	if (!app->shaken || app->finished || app->ticketless ||
	    wolfSSL_version(app->ssl) != TLS1_3_VERSION)
		origin->due = 0;
	for (; origin->due; origin->due--) {
		result = wolfSSL_send_SessionTicket(app->ssl);
		if (result != WOLFSSL_SUCCESS)
			return end_settle(app, result);
		if (app->carrier.write_error)
			return app->carrier.write_error;
	}
	return 0;
}
