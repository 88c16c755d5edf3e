// SPDX-License-Identifier: GPL-3.0-or-later
// section - what the present file of an outlet has, and what each next one will need.
//
// All of it goes to the writer at once, so it stands before the packets it is about.
//
// A held packet does not know yet which file it will be in: it is encoded with
// its source's place, which is turned into the file's interface when it is let go.

#include "pcap/section.h"

#include <stdlib.h>

#include "pcap/classic.h"
#include "pcap/names.h"
#include "pcap/pcapng.h"
#include "pcap/secrets.h"

struct section {
	const struct identity *identity;
	bool is_classic;
	struct classic *classic;	// NULL: pcapng
	struct sources *sources;
	struct secrets *secrets;
	struct capture_names names;
	struct blocks said;		// all name records, for the next file
	unsigned files;
};

struct section *section_open(const struct roster *roster, const struct identity *identity, bool classic)
{
	struct section *section = calloc(1, sizeof(*section));

	if (!section)
		return NULL;
	section->identity = identity;
	section->is_classic = classic;
	section->sources = sources_open(roster, identity);
	section->secrets = secrets_open();
	if (section->sources && section->secrets)
		return section;
	section_close(section);
	return NULL;
}

void section_close(struct section *section)
{
	if (!section)
		return;
	classic_close(section->classic);
	sources_close(section->sources);
	secrets_close(section->secrets);
	blocks_free(&section->said);
	free(section);
}

// The old format has nothing but packets: NULL, as from a writer that has stopped.
static struct blocks *begin_news(struct section *section, struct writer *writer)
{
	return section->is_classic ? NULL : writer_begin(writer);
}

// --- files ------------------------------------------------------------------------

static int begin_classic(struct section *section, struct blocks *to)
{
	int error = sources_begin(section->sources, NULL);

	classic_close(section->classic);
	section->classic = NULL;
	return error ? error : classic_open(&section->classic, to, section->identity->linktype,
					    section->identity->snaplen);
}

int section_begin(struct section *section, struct blocks *to)
{
	int error;

	section->files++;
	if (section->is_classic)
		return begin_classic(section, to);
	error = identity_section(section->identity, to);
	if (!error)
		error = sources_begin(section->sources, to);
	return error ? error : blocks_append(to, &section->said);
}

unsigned section_files(const struct section *section)
{
	return section->files;
}

void section_end(struct section *section, struct writer *writer)
{
	struct blocks *to = begin_news(section, writer);

	if (to)
		writer_end(writer, sources_statistics(section->sources, to));
}

// --- sources ----------------------------------------------------------------------

struct source *section_source(struct section *section, uint32_t process, bool plain)
{
	return sources_find(section->sources, process, plain);
}

struct source *section_leaving(struct section *section, uint32_t process, bool plain)
{
	return sources_standing(section->sources, process, plain);
}

void section_forget_source(struct section *section, struct writer *writer, struct source *source)
{
	struct blocks *to = begin_news(section, writer);

	if (to)
		writer_end(writer, source_statistics(source, to));
	*source = (struct source){ 0 };
}

// It has an interface in the present file from here.
static void declare(struct section *section, struct writer *writer, struct source *source)
{
	if (source->interface)
		return;

	struct blocks *to = begin_news(section, writer);
	int error = sources_declare(section->sources, source, to);
	if (to)
		writer_end(writer, error);
}

// --- packets ----------------------------------------------------------------------

static int encode(struct section *section, struct blocks *to, const struct capture_packet *packet,
		  const struct frame *frame, uint32_t interface, int64_t process)
{
	struct pcapng_packet described = {
		.interface = interface, .process = process,
		.outgoing = packet->outgoing, .comment = packet->comment,
	};

	if (section->classic)
		return classic_packet(section->classic, to, frame);
	return pcapng_packet(to, &described, frame);
}

void section_packet(struct section *section, struct writer *writer, struct source *source,
		    const struct capture_packet *packet, const struct frame *frame)
{
	struct blocks *to;

	declare(section, writer, source);
	source_count(source, packet->time);
	to = writer_begin(writer);
	if (to)
		writer_end(writer, encode(section, to, packet, frame, source->interface - 1,
					  (int64_t)source->process_block - 1));
}

int section_hold(struct section *section, struct blocks *to, struct source *source,
		 const struct capture_packet *packet, const struct frame *frame)
{
	int error = encode(section, to, packet, frame, sources_place(section->sources, source),
			   source->process ? 0 : -1);

	source->held += !error;
	return error;
}

static void renumber(struct section *section, struct writer *writer, uint8_t *block)
{
	struct source *source = sources_at(section->sources, pcapng_interface_of(block));

	source->held--;
	declare(section, writer, source);
	source_count(source, pcapng_time_of(block));
	pcapng_renumber(block, source->interface - 1, (int64_t)source->process_block - 1);
}

void section_let_go(struct section *section, struct writer *writer, struct blocks *held)
{
	size_t at = 0;
	struct blocks *to;

	for (size_t i = 0; i < held->count; at = held->list[i++].end)
		if (pcapng_is_packet(held->bytes + at))
			renumber(section, writer, held->bytes + at);
	to = held->size ? writer_begin(writer) : NULL;
	if (to)
		writer_end(writer, blocks_append(to, held));
}

// --- secrets and names ------------------------------------------------------------

static void write_secrets(struct writer *writer, const char *lines, size_t size)
{
	struct blocks *to = size ? writer_begin(writer) : NULL;

	if (to)
		writer_end(writer, pcapng_secrets(to, lines, size));
}

void section_secrets(struct section *section, struct writer *writer, uint64_t flow, const char *lines, size_t size)
{
	write_secrets(writer, lines, size);
	if (size)
		secrets_add(section->secrets, flow, lines, size, section->files);
}

void section_repeat_secrets(struct section *section, struct writer *writer, uint64_t flow)
{
	struct secret *secret = section->files > 1 ? secrets_find(section->secrets, flow) : NULL;

	if (!secret || secret->file == section->files)
		return;
	secret->file = section->files;
	write_secrets(writer, secret->lines, secret->size);
}

void section_forget_secrets(struct section *section, uint64_t flow)
{
	secrets_forget(section->secrets, flow);
}

void section_name(struct section *section, struct writer *writer, const void *address, size_t size,
		  const char *name)
{
	struct blocks *to;

	if (section->is_classic || !capture_names_add(&section->names, address, size, name))
		return;
	if (section->names.count == 1)	// it has started anew
		blocks_empty(&section->said);
	if (pcapng_name(&section->said, address, size, name))
		return;
	to = writer_begin(writer);
	if (to)
		writer_end(writer, pcapng_name(to, address, size, name));
}
