// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_trace_test - what a redirect leaves behind, beside others and without rights.

#include "tests/unit/redirect_world.h"

static char *look(void)
{
	static const char command[] = "ip -o link; ip -o addr; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all;"
		"ip nexthop; sysctl -a 2>/dev/null | grep -E 'rp_filter|route_localnet|accept_local'";
	char *text = calloc(1, 1 << 16);
	FILE *out = popen(command, "r");

	CHECK(out && text && fread(text, 1, (1 << 16) - 1, out) > 0);
	pclose(out);
	return text;
}

// The programs that the kernel holds, by number. Others may load some, too.
struct programs { uint32_t ids[1024]; int count; };

static void list_programs(struct programs *out)
{
	uint32_t id = 0;

	for (out->count = 0; out->count < 1024 && !bpf_prog_get_next_id(id, &id); out->count++)
		out->ids[out->count] = id;
}

static bool has(const struct programs *programs, uint32_t id)
{
	for (int i = 0; i < programs->count; i++)
		if (programs->ids[i] == id)
			return true;
	return false;
}

static struct programs new_since(const struct programs *before)
{
	struct programs now, out = {0};

	list_programs(&now);
	for (int i = 0; i < now.count; i++)
		if (!has(before, now.ids[i]))
			out.ids[out.count++] = now.ids[i];
	return out;
}

static bool none_left(const struct programs *ours)
{
	struct programs now;

	list_programs(&now);
	for (int i = 0; i < ours->count; i++)
		if (has(&now, ours->ids[i]))
			return false;
	return true;
}

// The kernel takes things down a moment after the last descriptor.
static bool comes_back(const char *before, const struct programs *ours)
{
	for (int i = 0; i < 300; i++) {
		char *now = look();
		bool same = !strcmp(now, before) && none_left(ours);

		if (!same && i == 299)
			fprintf(stderr, "before:\n%s\nnow:\n%s\n%s\n", before, now, none_left(ours) ? "" : "programs are left");
		free(now);
		if (same)
			return true;
		usleep(10000);
	}
	return false;
}

static void no_trace(void)
{
	struct programs programs, ours;
	struct packet packet;
	struct world world;
	char *before;

	make_world(&world);
	before = look();
	list_programs(&programs);
	open_redirect(&world, match, (struct redirect_options){0});
	ours = new_since(&programs);
	CHECK(ours.count >= 13);
	pid_t connecting = start(match, "hold", far4, 66);
	taken(&world, far4, 66);
	redirect_close(world.redirect);
	await(connecting);
	CHECK(comes_back(before, &ours));
	for (int i = 0; i < 2; i++) {
		const char *to = i ? far6 : far4;
		int status, ready[2], go;
		pid_t pid, held, held_udp;
		char byte;

		CHECK(!pipe(ready));
		list_programs(&programs);
		pid = fork();
		if (pid == 0) {
			open_redirect(&world, match, (struct redirect_options){0});
			CHECK(write(ready[1], "", 1) == 1);
			taken(&world, to, 66);
			CHECK(write(ready[1], "", 1) == 1);
			taken(&world, to, 68);
			CHECK(write(ready[1], "", 1) == 1);
			pause();
		}
		CHECK(read(ready[0], &byte, 1) == 1);
		ours = new_since(&programs);
		// Conversations of the moment end, and what can go on does.
		held = start(match, "hold", to, 66);
		CHECK(read(ready[0], &byte, 1) == 1);
		held_udp = start_as(match, 0, "hold-udp", to, 68, &go);
		CHECK(read(ready[0], &byte, 1) == 1);
		kill(pid, SIGKILL);
		CHECK(waitpid(pid, &status, 0) == pid);
		await(held);
		CHECK(write(go, "", 1) == 1);
		await(held_udp);
		left_outside(&world, to, 68);
		close(go);
		close(ready[0]);
		close(ready[1]);
		CHECK(comes_back(before, &ours));
		await(start(match, "tcp", far4, 67));
		CHECK(packet_to(world.outside, 67, &packet, SOON_MS));
	}
	free(before);
}

static void two_at_once(void)
{
	struct world world, second;
	struct packet packet;
	pid_t pid;

	make_world(&world);
	second = world;
	open_redirect(&world, match, (struct redirect_options){0});
	open_redirect(&second, other, (struct redirect_options){0});
	CHECK(strcmp(redirect_device(world.redirect), redirect_device(second.redirect)) != 0);
	for (int i = 0; i < 2; i++) {
		const char *to = i ? far6 : far4;

		pid = start(match, "tcp", to, 70 + i);
		CHECK(taken(&world, to, 70 + i).pid == pid);
		await(pid);
		pid = start(other, "udp", to, 72 + i);
		CHECK(taken(&second, to, 72 + i).pid == pid);
		await(pid);
	}
	redirect_close(world.redirect);
	await(start(match, "tcp", far6, 74));
	CHECK(packet_to(world.outside, 74, &packet, SOON_MS));
	redirect_close(second.redirect);
}

// An ordinary user with nothing but the descriptors goes on reading and changing.
static void without_privileges(void)
{
	struct world world;

	make_world(&world);
	open_redirect(&world, match, (struct redirect_options){0});
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct redirect_owner owner;
		struct packet packet;
		struct spec *spec = spec_of(other);

		CHECK(!setresuid(64999, 64999, 64999));
		CHECK(!redirect_change(world.redirect, spec));
		CHECK(packet_to(redirect_tunnel(world.redirect), 76, &packet, SOON_MS));
		CHECK(redirect_read(world.redirect, &owner) == 1);
		CHECK(!strcmp(owner.name, other));
		_exit(0);
	}
	usleep(100000);
	await(start(other, "tcp", far4, 76));
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	redirect_close(world.redirect);
}

#define COMMON(X)

#define ALONE(X) \
	X(no_trace) \
	X(two_at_once) \
	X(without_privileges)

COMMON(DEFINE_COMMON)
ALONE(DEFINE_ALONE)
MAIN
