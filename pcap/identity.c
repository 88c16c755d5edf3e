// SPDX-License-Identifier: GPL-3.0-or-later
// identity - how a capture names its maker, its machine and its processes.
//
// A process is told to three kinds of readers: anyone who shows an interface's name
// (frame.interface_name is "curl[4123]"), anyone who shows its description
// ("/usr/bin/curl https://example.com/ (user, started 2026-01-02T03:04:05Z, parent 4100)"),
// and those that know Darwin's process blocks.

#include "pcap/identity.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "pcap/pcapng.h"
#include "pcap/text.h"

enum { NS_PER_S = 1000000000, COMMAND_MOST = 4096 };

// Darwin tells processes of one number apart by a UUID (RFC 9562, version 8:
// made as its maker likes). Ours follows from number and start, so that two
// captures of one process agree.
static void make_uuid(uint8_t uuid[16], const struct capture_process *process)
{
	uint64_t low = process->start, high = 0x6170707461700000u;	// "apptap"

	high ^= (uint64_t)(uint32_t)process->pid * 0x9e3779b97f4a7c15u;
	memcpy(uuid, &high, 8);
	memcpy(uuid + 8, &low, 8);
	uuid[6] = (uuid[6] & 0x0f) | 0x80;
	uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

static const char *name_of(const struct capture_process *process)
{
	return process->name && *process->name ? process->name : "?";
}

static void started(char *text, size_t size, uint64_t start)
{
	time_t seconds = start / NS_PER_S;
	struct tm tm;

	if (start && gmtime_r(&seconds, &tm))
		strftime(text, size, ", started %Y-%m-%dT%H:%M:%SZ", &tm);
	else
		*text = 0;
}

// Not "/usr/bin/curl curl https://example.com/": how a program is called says its path
// once more, mostly.
static const char *behind_own_name(const char *arguments, const char *path)
{
	const char *slash = strrchr(path, '/'), *own[] = { path, slash ? slash + 1 : path };

	for (int i = 0; i < 2; i++) {
		size_t size = strlen(own[i]);

		if (size && !strncmp(arguments, own[i], size) && (!arguments[size] || arguments[size] == ' '))
			return arguments + size;
	}
	return NULL;
}

// Path and arguments, on one line.
static void tell_command(char *to, size_t room, const struct capture_process *process)
{
	const char *path = process->path && *process->path ? process->path : name_of(process);
	const char *arguments = process->arguments ? process->arguments : "";
	const char *behind = behind_own_name(arguments, path);
	char text[2 * COMMAND_MOST];

	snprintf(text, sizeof(text), "%s%s%s", path, behind || !*arguments ? "" : ": ", behind ? behind : arguments);
	text_line(to, room, text);
}

static char *describe(const struct capture_process *process)
{
	char command[COMMAND_MOST], when[64], uid[16], parent[32] = "", *text;
	const char *user = process->user, *container = process->container;

	snprintf(uid, sizeof(uid), "uid %u", process->uid);
	started(when, sizeof(when), process->start);
	if (!user || !*user)
		user = uid;
	if (process->parent > 0)
		snprintf(parent, sizeof(parent), ", parent %d", process->parent);
	if (!container || !*container)
		container = NULL;
	tell_command(command, sizeof(command), process);
	if (asprintf(&text, "%s (%s%s%s%s%s)", command, user, when, parent, container ? ", container " : "",
		     container ? container : "") < 0)
		return NULL;
	return text;
}

void identity_read(struct identity *identity)
{
	struct utsname system;

	if (uname(&system))
		memset(&system, 0, sizeof(system));
	snprintf(identity->os, sizeof(identity->os), "%.64s %.64s", system.sysname, system.release);
	snprintf(identity->hardware, sizeof(identity->hardware), "%.64s", system.machine);
}

int identity_section(const struct identity *identity, struct blocks *to)
{
	struct pcapng_section section = {
		.hardware = identity->hardware, .os = identity->os,
		.application = identity->application, .comment = identity->comment,
	};

	return pcapng_section(to, &section);
}

int identity_interface(const struct identity *identity, struct blocks *to,
		       const struct capture_process *process, bool plain)
{
	char name[256], *description = process ? describe(process) : strdup("packets of no known process");
	struct pcapng_interface interface = {
		.linktype = identity->linktype, .snaplen = identity->snaplen, .name = name,
		.description = description, .filter = identity->filter, .os = identity->os,
	};
	int error = -ENOMEM;

	if (process)
		snprintf(name, sizeof(name), "%.200s[%d]%s", name_of(process), process->pid,
			 plain ? " plaintext" : "");
	else
		snprintf(name, sizeof(name), "apptap%s", plain ? " plaintext" : "");
	if (description)
		error = pcapng_interface(to, &interface);
	free(description);
	return error;
}

int identity_process(struct blocks *to, const struct capture_process *process)
{
	uint8_t uuid[16];

	make_uuid(uuid, process);
	return pcapng_process(to, process->pid, name_of(process), uuid);
}
