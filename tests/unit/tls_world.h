// SPDX-License-Identifier: GPL-3.0-or-later
// tls_world - certificates, byte queues and a raw wolfSSL server to test tls/ with.
//
// Included by the tests of tls/. App, tap and origin meet in memory:
//
//   app (tls_connect) <-> tls_accept | tls_connect <-> origin (raw wolfSSL)

#ifndef TESTS_TLS_WORLD_H
#define TESTS_TLS_WORLD_H

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "tls/authority.h"
#include "tls/hello.h"
#include "tls/tls.h"

// --- certificates -----------------------------------------------------------

static char world_folder[64];

// NAME.pem is what a server shows (with its chain), NAME.key its key.
static const char world_script[] =
	"set -e\n"
	"exec 2>openssl.log\n"
	"key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out $1.key; }\n"
	"root() { key $1; openssl req -x509 -new -key $1.key -subj \"/O=Tests/CN=$2\" -days 30 -out $1.crt"
	" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign; }\n"
	// sign NAME SUBJECT ISSUER DAYS EXTENSIONS... ; KEY may be there already
	"sign() { n=$1 s=$2 i=$3 d=$4; shift 4; [ -e $n.key ] || key $n; printf '%s\\n' \"$@\" >$n.ext;"
	" openssl req -new -key $n.key -subj \"$s\" -out $n.csr;"
	" openssl x509 -req -in $n.csr -CA $i.crt -CAkey $i.key -set_serial 0x$(openssl rand -hex 8)"
	" -days $d ${DIGEST:--sha256} -extfile $n.ext -out $n.crt; }\n"
	"leaf() { n=$1 i=$2 d=$3 names=$4; shift 4; sign $n \"/O=Tests/CN=$n\" $i $d"
	" subjectAltName=$names basicConstraints=critical,CA:FALSE keyUsage=digitalSignature \"$@\";"
	" cat $n.crt >$n.pem; [ $i = root ] || cat $i.crt >>$n.pem; }\n"
	"ca() { n=$1 i=$2 d=$3; shift 3; sign $n \"/O=Tests/CN=$n\" $i $d keyUsage=critical,keyCertSign,cRLSign \"$@\"; }\n"
	"good=DNS:good.example,DNS:*.wild.example,IP:127.0.0.1,IP:::1\n"
	"root root 'Test Root'; root stranger 'Unknown Root'; root narrow Narrow\n"
	"ca inter root 20 basicConstraints=critical,CA:TRUE\n"
	"leaf good inter 10 $good extendedKeyUsage=serverAuth,clientAuth\n"
	"cp good.crt incomplete.pem; cp good.key incomplete.key\n"
	"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key; leaf rsa root 10 $good\n"
	"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa2.key\n"
	"openssl genpkey -algorithm ED25519 -out ed25519.key; leaf ed25519 root 10 $good\n"
	"openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key; leaf p384 inter 10 $good\n"
	"leaf expired inter -1 $good\n"
	"many=DNS:good.example; for i in $(seq 99); do many=$many,DNS:n$i.many.example; done\n"
	"l=$(printf '%063d' 0 | tr 0 a); many=$many,DNS:$l.$l.$l.$(printf '%053d' 0 | tr 0 b).example\n"
	"leaf many inter 10 $many,DNS:xn--bcher-kva.example\n"
	// Only `ca` can begin one in the future.
	"leaf early inter 10 $good\n"
	"printf '[ca]\\ndefault_ca=d\\n[d]\\ndatabase=early.db\\nrand_serial=yes\\nnew_certs_dir=.\\npolicy=p\\n"
	"default_md=sha256\\n[p]\\norganizationName=supplied\\ncommonName=supplied\\n' >early.cnf; : >early.db\n"
	"openssl ca -batch -notext -config early.cnf -startdate 20400101000000Z -enddate 20410101000000Z -in early.csr"
	" -cert inter.crt -keyfile inter.key -extfile early.ext -out early.crt; cat early.crt inter.crt >early.pem\n"
	"leaf other inter 10 DNS:other.example\n"
	"leaf client inter 10 $good extendedKeyUsage=clientAuth\n"
	"leaf critical inter 10 $good 1.2.3.4.5=critical,ASN1:UTF8String:x\n"
	"sign nosan /O=Tests/CN=good.example root 10 basicConstraints=CA:FALSE; cp nosan.crt nosan.pem\n"
	"key selfsigned; openssl req -x509 -new -key selfsigned.key -subj /CN=good.example"
	" -addext subjectAltName=$good -days 10 -out selfsigned.pem\n"
	"leaf unknown stranger 10 $good; cp unknown.pem closed.pem; cp unknown.key closed.key\n"
	"cp unknown.crt unknown.pem\n"
	"leaf doubly stranger -1 $good; cp doubly.crt doubly.pem\n"
	"ca stale root -1 basicConstraints=critical,CA:TRUE; leaf understale stale 10 $good\n"
	"DIGEST=-sha1 leaf thrice stale 10 $good\n"
	"sign notca /O=Tests/CN=notca root 10 basicConstraints=critical,CA:FALSE; leaf undernotca notca 10 $good\n"
	"ca short root 10 basicConstraints=critical,CA:TRUE,pathlen:0\n"
	"ca toolong short 10 basicConstraints=critical,CA:TRUE; leaf undertoolong toolong 10 $good\n"
	"cat short.crt >>undertoolong.pem\n"
	// Somebody else's authority of the same name.
	"key inter2; mv inter2.key forger.key; openssl req -x509 -new -key forger.key -subj /O=Tests/CN=inter -addext keyUsage=critical,keyCertSign,cRLSign"
	" -days 9 -out forger.crt; leaf forged forger 10 $good; cat forged.crt inter.crt >forged.pem\n"
	"DIGEST=-sha1 leaf sha1 inter 10 $good\n"
	"openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key; leaf weak root 10 $good\n"
	"ca fenced root 10 basicConstraints=critical,CA:TRUE 'nameConstraints=critical,permitted;DNS:inside.example'\n"
	"leaf outside fenced 10 DNS:good.example; leaf inside fenced 10 DNS:a.inside.example\n"
	"ca below fenced 10 basicConstraints=critical,CA:TRUE; leaf twicebelow below 10 DNS:good.example\n"
	"cat fenced.crt >>twicebelow.pem\n"
	// The same root with another date: what the origin sends leads nowhere, a root does.
	"leaf needless inter 10 $good; cat stranger.crt root.crt >>needless.pem\n";

static int world_open(void **state)
{
	char command[128], template[] = "/tmp/apptap-tls-XXXXXX";

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(template))
		return -1;
	snprintf(world_folder, sizeof(world_folder), "%s", template);
	setenv("SSL_CERT_FILE", "/dev/null", 1);	// none of this machine's roots
	snprintf(command, sizeof(command), "cd %s && sh -s", world_folder);
	{
		FILE *shell = popen(command, "w");

		if (!shell || fputs(world_script, shell) < 0 || pclose(shell) != 0) {
			fprintf(stderr, "the certificates could not be made: see %s\n", world_folder);
			return -1;
		}
	}
	return 0;
}

static int world_close(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", world_folder);
	return world_folder[0] ? system(command) : 0;
}

static const char *world_path(const char *name)
{
	static char paths[8][128];
	static unsigned turn;
	char *path = paths[turn++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", world_folder, name);
	return path;
}

// --- queues -----------------------------------------------------------------

struct queue {
	uint8_t *bytes;
	size_t at, size, room;
	size_t cut;		// most that one read gives; 0: all
	size_t limit;		// most that it holds; 0: no end of it
	bool ended, broken;
};

static ssize_t queue_put(struct queue *queue, const void *bytes, size_t size)
{
	size_t held = queue->size - queue->at;

	if (queue->broken)
		return -EPIPE;
	if (queue->limit && held >= queue->limit)
		return -EAGAIN;
	if (queue->limit && size > queue->limit - held)
		size = queue->limit - held;
	if (queue->size + size > queue->room) {
		queue->room = 2 * (queue->size + size);
		queue->bytes = realloc(queue->bytes, queue->room);
		assert_non_null(queue->bytes);
	}
	memcpy(queue->bytes + queue->size, bytes, size);
	queue->size += size;
	return size;
}

static ssize_t queue_take(struct queue *queue, void *bytes, size_t size)
{
	size_t held = queue->size - queue->at;

	if (held == 0)
		return queue->ended ? 0 : queue->broken ? -ETIMEDOUT : -EAGAIN;
	if (queue->cut && size > queue->cut)
		size = queue->cut;
	if (size > held)
		size = held;
	memcpy(bytes, queue->bytes + queue->at, size);
	queue->at += size;
	if (queue->at == queue->size)
		queue->at = queue->size = 0;
	return size;
}

// One party's two queues, and the secrets that it told.
struct party {
	struct queue *in, *out;
	char lines[4096];
};

static ssize_t party_read(void *context, void *bytes, size_t size)
{
	return queue_take(((struct party *)context)->in, bytes, size);
}

static ssize_t party_write(void *context, const void *bytes, size_t size)
{
	return queue_put(((struct party *)context)->out, bytes, size);
}

static void party_secret(void *context, const char *line)
{
	struct party *party = context;
	size_t used = strlen(party->lines);

	assert_null(strchr(line, '\n'));
	snprintf(party->lines + used, sizeof(party->lines) - used, "%s\n", line);
}

static const struct tls_wire world_wire = { party_read, party_write, party_secret };

// --- the origin -------------------------------------------------------------

struct origin_options {
	const char *certificate;	// NAME of NAME.pem and NAME.key
	const char *key;		// another NAME than that; NULL: the same
	const char *alpn;		// what it chooses, NULL: it knows no ALPN
	uint16_t version_min;		// 0: 1.2
	uint16_t version_max;		// 0: any
	bool asks, requires;		// a client certificate
};

struct origin {
	WOLFSSL_CTX *context;
	WOLFSSL *ssl;
	struct party party;
	bool shaken, failed;
};

static int origin_receive(WOLFSSL *ssl, char *bytes, int size, void *context)
{
	ssize_t got = party_read(context, bytes, size);

	(void)ssl;
	return got > 0 ? (int)got : got == 0 ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_WANT_READ;
}

static int origin_send(WOLFSSL *ssl, char *bytes, int size, void *context)
{
	ssize_t put = party_write(context, bytes, size);

	(void)ssl;
	return put > 0 ? (int)put : WOLFSSL_CBIO_ERR_WANT_WRITE;
}

static void origin_equip(struct origin *origin, const struct origin_options *options)
{
	char name[64];

	origin->context = wolfSSL_CTX_new(options->version_max == 0x0302 ? wolfTLSv1_1_server_method() :
					  options->version_max == 0x0303 ? wolfTLSv1_2_server_method()
									 : wolfSSLv23_server_method());
	assert_non_null(origin->context);
	wolfSSL_CTX_SetMinVersion(origin->context, options->version_min ?
				  options->version_min - 0x0301 + WOLFSSL_TLSV1 : WOLFSSL_TLSV1_2);
	snprintf(name, sizeof(name), "%s.pem", options->certificate);
	assert_int_equal(wolfSSL_CTX_use_certificate_chain_file(origin->context, world_path(name)),
			 WOLFSSL_SUCCESS);
	snprintf(name, sizeof(name), "%s.key", options->key ? options->key : options->certificate);
	assert_int_equal(wolfSSL_CTX_use_PrivateKey_file(origin->context, world_path(name),
							 WOLFSSL_FILETYPE_PEM), WOLFSSL_SUCCESS);
	wolfSSL_CTX_set_verify(origin->context, options->requires ? WOLFSSL_VERIFY_PEER |
			       WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : options->asks ? WOLFSSL_VERIFY_PEER :
			       WOLFSSL_VERIFY_NONE, NULL);
	if (options->asks)
		assert_int_equal(wolfSSL_CTX_load_verify_locations(origin->context, world_path("root.crt"),
								   NULL), WOLFSSL_SUCCESS);
	wolfSSL_CTX_SetIORecv(origin->context, origin_receive);
	wolfSSL_CTX_SetIOSend(origin->context, origin_send);
}

static void origin_open(struct origin *origin, const struct origin_options *options)
{
	if (!origin->context)
		origin_equip(origin, options);
	origin->ssl = wolfSSL_new(origin->context);
	assert_non_null(origin->ssl);
	wolfSSL_SetIOReadCtx(origin->ssl, &origin->party);
	wolfSSL_SetIOWriteCtx(origin->ssl, &origin->party);
	if (options->alpn)
		assert_int_equal(wolfSSL_UseALPN(origin->ssl, (char *)(uintptr_t)options->alpn,
				strlen(options->alpn), WOLFSSL_ALPN_CONTINUE_ON_MISMATCH), WOLFSSL_SUCCESS);
}

static void origin_step(struct origin *origin)
{
	int result;

	if (origin->shaken || origin->failed)
		return;
	result = wolfSSL_accept(origin->ssl);
	if (result == WOLFSSL_SUCCESS)
		origin->shaken = true;
	else if (wolfSSL_get_error(origin->ssl, result) != WOLFSSL_ERROR_WANT_READ &&
		 wolfSSL_get_error(origin->ssl, result) != WOLFSSL_ERROR_WANT_WRITE)
		origin->failed = true;
}

// --- the world --------------------------------------------------------------

// What the app offers.
struct app_options {
	const char *sni;	// NULL: none
	const char *alpn;	// as on the wire
	uint16_t version_min, version_max;
	bool resumes;		// if it can
};

struct world {
	struct authority *authority;
	struct tls_house *house, *app_house;
	struct queue queues[4];		// app to tap and back, tap to origin and back
	struct party app_party, accept_party, connect_party;
	struct tls *app, *accept, *connect;
	struct origin origin;
	bool origin_stays;		// its context and so its tickets, when the connection ends
	struct hello hello;
	int app_result, accept_result, connect_result;
};

static void world_authority(struct world *world)
{
	char why[256] = "";

	if (authority_open(&world->authority, world_path("authority"), why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

static void house_open(struct tls_house **house, struct authority *authority, const char *roots,
		       bool insecure)
{
	struct tls_options options = { .authority = authority, .upstream_ca = roots,
				       .insecure = insecure };
	char why[256] = "";

	if (tls_open(house, &options, why, sizeof(why)) != 0)
		fail_msg("%s", why);
}

__attribute__((unused))
static void world_start(struct world *world, const struct app_options *app,
			const struct origin_options *origin, const char *roots, bool insecure)
{
	struct hello hello = { .version_min = app->version_min ? app->version_min : 0x0303,
			       .version_max = app->version_max ? app->version_max : 0x0304,
			       .tickets = app->resumes, .resumes = app->resumes };
	struct queue *queues = world->queues;

	if (!world->authority)
		world_authority(world);
	if (!world->house)
		house_open(&world->house, world->authority, world_path(roots), insecure);
	if (!world->app_house)
		house_open(&world->app_house, world->authority, authority_path(world->authority), false);
	world->app_party = (struct party){ .in = &queues[1], .out = &queues[0] };
	world->accept_party = (struct party){ .in = &queues[0], .out = &queues[1] };
	world->connect_party = (struct party){ .in = &queues[3], .out = &queues[2] };
	world->origin.party = (struct party){ .in = &queues[2], .out = &queues[3] };
	if (app->sni)
		snprintf(hello.sni, sizeof(hello.sni), "%s", app->sni);
	if (app->alpn) {
		hello.alpn_size = strlen(app->alpn);
		memcpy(hello.alpn, app->alpn, hello.alpn_size);
	}
	world->app_result = world->accept_result = world->connect_result = -EAGAIN;
	assert_int_equal(tls_connect(&world->app, world->app_house, &hello, "127.0.0.1", 443, &world_wire,
				     &world->app_party), 0);
	origin_open(&world->origin, origin);
}

// One turn for everybody, in the hall's order.
static void world_turn(struct world *world)
{
	struct queue *first = &world->queues[0];

	if (world->app_result == -EAGAIN)
		world->app_result = tls_handshake(world->app);
	if (!world->connect && world->hello.size == 0 &&
	    hello_read(first->bytes + first->at, first->size - first->at, &world->hello) == HELLO_WHOLE)
		assert_int_equal(tls_connect(&world->connect, world->house, &world->hello, "127.0.0.1", 443,
					     &world_wire, &world->connect_party), 0);
	origin_step(&world->origin);
	if (world->connect && world->connect_result == -EAGAIN)
		world->connect_result = tls_handshake(world->connect);
	if (world->connect_result == 0 && !world->accept)
		assert_int_equal(tls_accept(&world->accept, world->house, &world->hello, world->connect,
					    &world_wire, &world->accept_party), 0);
	if (world->accept && world->accept_result == -EAGAIN)
		world->accept_result = tls_handshake(world->accept);
}

// Until everybody is done, or somebody failed.
__attribute__((unused))
static void world_shake(struct world *world)
{
	for (int turn = 0; turn < 20000; turn++) {
		world_turn(world);
		if (world->accept_result == 0 && world->app_result == 0 && world->origin.shaken)
			return;
		if ((world->connect_result && world->connect_result != -EAGAIN) ||
		    (world->accept_result && world->accept_result != -EAGAIN))
			break;
	}
	// So that the app hears of it.
	if (world->app_result == -EAGAIN)
		world->app_result = tls_handshake(world->app);
}

// The connection; the houses stay.
static void world_hang_up(struct world *world)
{
	WOLFSSL_CTX *context = world->origin_stays ? world->origin.context : NULL;

	tls_close(world->app);
	tls_close(world->accept);
	tls_close(world->connect);
	wolfSSL_free(world->origin.ssl);
	if (!context)
		wolfSSL_CTX_free(world->origin.context);
	for (size_t i = 0; i < 4; i++)
		free(world->queues[i].bytes);
	memset(world->queues, 0, sizeof(world->queues));
	memset(&world->origin, 0, sizeof(world->origin));
	world->origin.context = context;
	memset(&world->hello, 0, sizeof(world->hello));
	world->app = world->accept = world->connect = NULL;
}

__attribute__((unused))
static void world_end(struct world *world)
{
	world->origin_stays = false;
	world_hang_up(world);
	tls_close_house(world->house);
	tls_close_house(world->app_house);
	authority_close(world->authority);
	memset(world, 0, sizeof(*world));
}

#endif
