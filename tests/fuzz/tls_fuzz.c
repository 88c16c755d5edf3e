// SPDX-License-Identifier: GPL-3.0-or-later
// tls_fuzz - either end of an interception meets a peer that says anything.
//
// The first byte chooses the end and how the rest is cut.

#include "tests/unit/tls_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct world world;

static void clean_up(void)
{
	world_end(&world);
	world_close(NULL);
}

static void set_up(void)
{
	static const struct app_options app = { .sni = "good.example", .alpn = "\x02h2" };
	static const struct origin_options origin = { .certificate = "good", .alpn = "h2" };

	if (world.connect)
		return;
	if (world_open(NULL) != 0)
		abort();
	world_start(&world, &app, &origin, "root.crt", false);
	world_shake(&world);
	if (world.accept_result != 0)
		abort();
	atexit(clean_up);
}

static void talk(struct tls *end)
{
	char bytes[256];
	int result = tls_handshake(end);

	if (result == 0) {
		while (tls_read(end, bytes, sizeof(bytes)) > 0)
			;
		tls_write(end, "answer", 6);
		tls_finish(end);
	} else if (result != -EAGAIN) {
		if (!tls_error(end)[0] || tls_handshake(end) != result)
			abort();
	}
	tls_flush(end);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct queue in = { 0 }, out = { 0 };
	struct party party = { .in = &in, .out = &out };
	struct tls *end;
	int error;

	set_up();
	if (size < 2)
		return 0;
	error = bytes[0] & 1 ? tls_accept(&end, world.house, &world.hello, world.connect, &world_wire, &party)
			     : tls_connect(&end, world.house, &world.hello, "127.0.0.1", 443, &world_wire, &party);
	if (error)
		abort();
	in.cut = bytes[0] >> 1 & 0x3f;
	talk(end);
	queue_put(&in, bytes + 1, size / 2);
	talk(end);
	queue_put(&in, bytes + 1 + size / 2, size - 1 - size / 2);
	in.ended = bytes[0] & 0x80;
	talk(end);
	tls_close(end);
	free(in.bytes);
	free(out.bytes);
	return 0;
}
