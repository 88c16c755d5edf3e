// SPDX-License-Identifier: GPL-3.0-or-later
// tls_client - many TLS connections of a plain wolfSSL client: see tls_client.py.
//
// The guest itself, without anything of apptap's around it.

#include <wolfssl/options.h>
#include <wolfssl/ssl.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char end_of_body[] = "the end of the body\n";
enum { ANSWER_MAX = 1 << 20, END_SIZE = sizeof(end_of_body) - 1 };

struct cell {
	int number, port;
	char version[8], offer[32];
};

static char answer[ANSWER_MAX];

static WOLFSSL_CTX *context_for(const char *version)
{
	static WOLFSSL_METHOD *(*const methods[4])(void) = {
		wolfTLSv1_client_method, wolfTLSv1_1_client_method, wolfTLSv1_2_client_method, wolfTLSv1_3_client_method,
	};
	const char *roots = getenv("SSL_CERT_FILE");
	WOLFSSL_CTX *context = wolfSSL_CTX_new(methods[version[2] - '0']());

	if (!context)
		return NULL;
	wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1);
	if (wolfSSL_CTX_load_verify_locations_ex(context, roots ? roots : "/etc/ssl/certs/ca-certificates.crt", NULL,
						 WOLFSSL_LOAD_FLAG_IGNORE_ERR) != WOLFSSL_SUCCESS) {
		wolfSSL_CTX_free(context);
		return NULL;
	}
	return context;
}

static int dial(int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static size_t read_file(const char *folder, const char *name, char *bytes, size_t room)
{
	char path[4096];
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "rb");
	if (file) {
		size = fread(bytes, 1, room, file);
		fclose(file);
	}
	return size;
}

static int keep_answer(const char *folder, int number, size_t size)
{
	char path[4096];
	FILE *file;
	int good;

	snprintf(path, sizeof(path), "%s/%d", folder, number);
	file = fopen(path, "wb");
	if (!file)
		return 0;
	good = fwrite(answer, 1, size, file) == size;
	return fclose(file) == 0 && good;
}

// The answer's size, or 0: nothing was to be had.
static size_t ask(WOLFSSL *ssl, const char *folder, const char *alpn)
{
	char request[4096];
	size_t size = read_file(folder, strcmp(alpn, "h2") == 0 ? "request.h2" : "request.h1", request, sizeof(request));
	size_t got = 0;
	int more;

	if (wolfSSL_write(ssl, request, (int)size) != (int)size)
		return 0;
	while (got < sizeof(answer) && (more = wolfSSL_read(ssl, answer + got, (int)(sizeof(answer) - got))) > 0) {
		size_t from = got < END_SIZE ? 0 : got - END_SIZE;

		got += (size_t)more;
		if (memmem(answer + from, got - from, end_of_body, END_SIZE))
			break;
	}
	return got;
}

static const char *shake(WOLFSSL *ssl, const struct cell *cell, char *alpn, size_t alpn_room)
{
	static char why[80];
	char offer[32], *chosen = NULL;
	word16 size = 0;

	memcpy(offer, cell->offer, sizeof(offer));
	if (wolfSSL_check_domain_name(ssl, "localhost") != WOLFSSL_SUCCESS ||
	    wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, "localhost", 9) != WOLFSSL_SUCCESS)
		return "SNI";
	if (offer[0] != '-' && wolfSSL_UseALPN(ssl, offer, (unsigned)strlen(offer),
					      WOLFSSL_ALPN_FAILED_ON_MISMATCH) != WOLFSSL_SUCCESS)
		return "ALPN";
	if (wolfSSL_connect(ssl) != WOLFSSL_SUCCESS) {
		snprintf(why, sizeof(why), "error %d", wolfSSL_get_error(ssl, 0));
		return why;
	}
	if (wolfSSL_ALPN_GetProtocol(ssl, &chosen, &size) == WOLFSSL_SUCCESS && chosen && size < alpn_room) {
		memcpy(alpn, chosen, size);
		alpn[size] = '\0';
	}
	return NULL;
}

static const char *play(WOLFSSL *ssl, const struct cell *cell, const char *folder)
{
	int fd = dial(cell->port);
	char alpn[32] = "-";
	const char *why;
	size_t size;

	if (fd < 0)
		return strerror(errno);
	wolfSSL_set_fd(ssl, fd);
	why = shake(ssl, cell, alpn, sizeof(alpn));
	if (!why) {
		size = ask(ssl, folder, alpn);
		if (!keep_answer(folder, cell->number, size))
			why = "the answer cannot be kept";
		else
			printf("%d %s %s\n", cell->number, wolfSSL_get_version(ssl), alpn);
		wolfSSL_shutdown(ssl);
	}
	close(fd);
	return why;
}

int main(int argc, char **argv)
{
	struct cell cell;

	if (argc != 2 || wolfSSL_Init() != WOLFSSL_SUCCESS)
		return 64;
	while (scanf("%d %d %7s %31s", &cell.number, &cell.port, cell.version, cell.offer) == 4) {
		WOLFSSL_CTX *context = context_for(cell.version);
		WOLFSSL *ssl = context ? wolfSSL_new(context) : NULL;
		const char *why = ssl ? play(ssl, &cell, argv[1]) : "no context";

		if (why)
			printf("%d failed %s\n", cell.number, why);
		fflush(stdout);
		wolfSSL_free(ssl);
		wolfSSL_CTX_free(context);
	}
	return 0;
}
