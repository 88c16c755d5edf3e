// SPDX-License-Identifier: GPL-3.0-or-later
// host - what a program sees of the network on this host, to show it inside.

#include "extension/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const copied[] = {
	"core/somaxconn",
	"ipv4/ip_default_ttl",
	"ipv4/ip_local_port_range",
	"ipv4/ip_local_reserved_ports",
	"ipv4/ip_nonlocal_bind",
	"ipv4/ip_unprivileged_port_start",
	"ipv4/tcp_ecn",
	"ipv4/tcp_fastopen",
	"ipv4/tcp_fin_timeout",
	"ipv4/tcp_keepalive_intvl",
	"ipv4/tcp_keepalive_probes",
	"ipv4/tcp_keepalive_time",
	"ipv4/tcp_max_syn_backlog",
	"ipv4/tcp_notsent_lowat",
	"ipv4/tcp_retries2",
	"ipv4/tcp_rmem",
	"ipv4/tcp_syn_retries",
	"ipv4/tcp_synack_retries",
	"ipv4/tcp_tw_reuse",
	"ipv4/tcp_wmem",
	"ipv6/bindv6only",
	"ipv6/ip_nonlocal_bind",
};
_Static_assert(sizeof copied / sizeof *copied < HOST_SETTINGS, "settings fit");

size_t host_address_size(const struct host_address *address)
{
	return address->family == AF_INET ? 4 : 16;
}

static bool same(const struct host_address *a, const struct host_address *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, host_address_size(a));
}

static void take(struct host_address *to, const struct sockaddr *from)
{
	*to = (struct host_address){.family = from->sa_family};
	if (from->sa_family == AF_INET)
		memcpy(to->bytes, &((const struct sockaddr_in *)from)->sin_addr, 4);
	else
		memcpy(to->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
}

// Connecting a datagram socket sends nothing, but the kernel picks the route
// and with it the source address. Any far address will do.
static void read_main(struct host_address *out, const struct sockaddr *far, socklen_t size)
{
	struct sockaddr_storage near = {.ss_family = AF_UNSPEC};
	socklen_t near_size = sizeof near;
	int fd = socket(far->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	if (!connect(fd, far, size) && !getsockname(fd, (struct sockaddr *)&near, &near_size))
		take(out, (struct sockaddr *)&near);
	close(fd);
}

static bool shown(const struct sockaddr *address)
{
	if (!address)
		return false;
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;
		return ntohl(in->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET && in->sin_addr.s_addr;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 = &((const struct sockaddr_in6 *)address)->sin6_addr;
		return !IN6_IS_ADDR_LOOPBACK(in6) && !IN6_IS_ADDR_LINKLOCAL(in6) &&
		       !IN6_IS_ADDR_UNSPECIFIED(in6) && !IN6_IS_ADDR_MULTICAST(in6);
	}
	return false;
}

static void add(struct host *host, const struct host_address *address)
{
	for (int i = 0; i < host->address_count; i++)
		if (same(&host->address[i], address))
			return;
	if (host->address_count < HOST_ADDRESSES)
		host->address[host->address_count++] = *address;
}

static void add_all(struct host *host, const struct ifaddrs *all, const char *only)
{
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct host_address address;

		if (!(i->ifa_flags & IFF_UP) || !shown(i->ifa_addr))
			continue;
		if (only && strcmp(only, i->ifa_name) != 0)
			continue;
		take(&address, i->ifa_addr);
		if (address.family == AF_INET6 && !host->ipv6)
			continue;
		add(host, &address);
	}
}

static const char *interface_of(const struct ifaddrs *all, const struct host_address *address)
{
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		struct host_address here;

		if (!shown(i->ifa_addr))
			continue;
		take(&here, i->ifa_addr);
		if (same(&here, address))
			return i->ifa_name;
	}
	return NULL;
}

static void first_of(const struct host *host, int family, struct host_address *out)
{
	for (int i = 0; i < host->address_count && !out->family; i++)
		if (host->address[i].family == family)
			*out = host->address[i];
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = fd >= 0 && !bind(fd, (struct sockaddr *)&one, sizeof one);

	if (fd >= 0)
		close(fd);
	return has;
}

static void read_addresses(struct host *host)
{
	struct sockaddr_in far4 = {.sin_family = AF_INET, .sin_port = htons(53)};
	struct sockaddr_in6 far6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	struct host_address main4 = {0}, main6 = {0};
	struct ifaddrs *all = NULL;

	inet_pton(AF_INET, "1.0.0.1", &far4.sin_addr);
	inet_pton(AF_INET6, "2001:4860::1", &far6.sin6_addr);
	read_main(&main4, (struct sockaddr *)&far4, sizeof far4);
	if (host->ipv6)
		read_main(&main6, (struct sockaddr *)&far6, sizeof far6);
	if (getifaddrs(&all))
		all = NULL;

	const char *first4 = main4.family ? interface_of(all, &main4) : NULL;
	const char *first6 = main6.family ? interface_of(all, &main6) : NULL;

	if (first4)
		add(host, &main4);
	if (first6)
		add(host, &main6);
	if (first4)
		add_all(host, all, first4);
	if (first6)
		add_all(host, all, first6);
	add_all(host, all, NULL);
	if (first4)
		host->main4 = main4;
	if (first6)
		host->main6 = main6;
	first_of(host, AF_INET, &host->main4);
	first_of(host, AF_INET6, &host->main6);
	if (all)
		freeifaddrs(all);
}

static bool read_setting(struct host_setting *setting, const char *name)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, setting->value, sizeof setting->value - 1);
	close(fd);
	// A longer list is left as it is rather than cut.
	if (n <= 1 || n == (ssize_t)sizeof setting->value - 1)
		return false;
	setting->value[n] = '\0';
	setting->name = name;
	return true;
}

static void read_settings(struct host *host)
{
	struct host_setting *next;

	for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
		if (read_setting(&host->setting[host->setting_count], copied[i]))
			host->setting_count++;

	next = &host->setting[host->setting_count];
	if (read_setting(next, HOST_CONGESTION))
		host->setting_count++;
}

void host_read(struct host *host)
{
	memset(host, 0, sizeof *host);
	host->ipv6 = has_ipv6();
	read_addresses(host);
	read_settings(host);
}

bool host_owns(const struct host *host, const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
	const void *bytes = address->sa_family == AF_INET ? (const void *)&v4->sin_addr
							  : (const void *)&v6->sin6_addr;

	if (address->sa_family == AF_INET ? ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
					  : IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr))
		return true;
	for (int i = 0; i < host->address_count; i++) {
		const struct host_address *own = &host->address[i];
		if (own->family == address->sa_family && !memcmp(own->bytes, bytes, host_address_size(own)))
			return true;
	}
	return false;
}
