// SPDX-License-Identifier: GPL-3.0-or-later
// network - the new namespace's devices, addresses, routes and rules.
//
// Everything that a program sends goes to the tunnel, loopback and the host's
// own addresses included; what is written to the tunnel is taken in. The kernel
// asks the same tables both ways, and tells them apart by the device that a
// packet came from, which for what is sent is "lo":
//
//	pref 5	   fwmark 1	local	packets on our packet socket (::1)
//	pref 10	   iif lo	OUT	what is sent
//	pref 100		local	what came in (0 on an untouched system)
//	pref 32766		main
//
// Table OUT holds a default through the tunnel with the host's main address
// as source, and for 127.0.0.0/8 a route with source 127.0.0.1, which
// route_localnet lets out and in. The default stands in main as well: no packet
// needs it there, but programs that ask whether there is a network look there.

#include "extension/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "extension/route.h"

// Where the host has no IPv4 address, one that is nobody's (RFC 7335).
static const struct host_address own4 = {AF_INET, {192, 0, 0, 2}};
static const struct host_address loopback4 = {AF_INET, {127, 0, 0, 1}};
static const struct host_address net127 = {AF_INET, {127}};

// --- the tunnel ---------------------------------------------------------------

int network_open_device(char *name, unsigned int index, bool *opened)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int header = 10;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int error;

	*opened = fd >= 0;
	if (fd < 0)
		return -errno;
	strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
	if ((!index || !ioctl(fd, TUNSETIFINDEX, &index)) && !ioctl(fd, TUNSETIFF, &request) &&
	    !ioctl(fd, TUNSETVNETHDRSZ, &header) &&
	    !ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) {
		memcpy(name, request.ifr_name, IFNAMSIZ);
		return fd;
	}
	error = errno;
	close(fd);
	return -error;
}

int network_open_tunnel(bool *opened)
{
	char name[IFNAMSIZ] = NETWORK_TUNNEL;

	return network_open_device(name, NETWORK_TUNNEL_INDEX, opened);
}

// --- rules --------------------------------------------------------------------

static int set_rules(struct route *r, int family)
{
	static const struct route_rule added[] = {
		{.preference = 100, .table = RT_TABLE_LOCAL},
		{.preference = 5, .table = RT_TABLE_LOCAL, .mark = NETWORK_MARK},
		{.preference = 10, .table = ROUTE_OUT, .from = "lo"},
	};
	static const struct route_rule removed = {.preference = 0, .table = RT_TABLE_LOCAL};

	for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
		int error = route_set_rule(r, RTM_NEWRULE, family, &added[i]);
		if (error)
			return error;
	}
	return route_set_rule(r, RTM_DELRULE, family, &removed);
}

// --- settings -----------------------------------------------------------------

static int write_setting(const char *name, const char *value)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, value, strlen(value));
	n = n < 0 ? -errno : 0;
	close(fd);
	return (int)n;
}

// bbr paces by a round trip that a local tunnel does not have, and is three times
// slower for it. Which others a namespace may choose is the host's to say
// (tcp_allowed_congestion_control); reno is always one.
static void write_congestion(const char *of_host)
{
	if (strncmp(of_host, "bbr", 3) != 0 && !write_setting(HOST_CONGESTION, of_host))
		return;
	if (write_setting(HOST_CONGESTION, "cubic"))
		write_setting(HOST_CONGESTION, "reno");
}

// None of these is a reason to stop: each makes the namespace a little more like the
// host, or is the kernel's default anyway.
static void write_settings(const struct host *host)
{
	static const char *const fixed[][2] = {
		{"ipv4/conf/all/rp_filter", "0"},
		{"ipv4/conf/default/rp_filter", "0"},
		{"ipv4/conf/all/route_localnet", "1"},
		{"ipv6/conf/all/accept_ra", "0"},
		{"ipv6/conf/default/accept_ra", "0"},
		{"ipv6/conf/" NETWORK_TUNNEL "/accept_ra", "0"},
		{"ipv6/conf/" NETWORK_TUNNEL "/accept_dad", "0"},
		{"ipv6/conf/" NETWORK_TUNNEL "/autoconf", "0"},
		{"ipv6/conf/" NETWORK_TUNNEL "/router_solicitations", "0"},
	};
	char group[32];

	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		write_setting(fixed[i][0], fixed[i][1]);
	for (int i = 0; i < host->setting_count; i++)
		if (!strcmp(host->setting[i].name, HOST_CONGESTION))
			write_congestion(host->setting[i].value);
		else
			write_setting(host->setting[i].name, host->setting[i].value);
	if (write_setting("ipv4/ping_group_range", "0 2147483647")) {
		// With one group mapped, only that one can be named.
		snprintf(group, sizeof group, "%u %u", (unsigned)getegid(), (unsigned)getegid());
		write_setting("ipv4/ping_group_range", group);
	}
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "ipv6/conf/default/disable_ipv6" : "ipv6/conf/all/disable_ipv6";
		write_setting(name, host->ipv6 ? "0" : "1");
	}
}

// --- all of it ----------------------------------------------------------------

static int add_addresses(struct route *r, const struct host *host)
{
	int error = 0;

	for (int i = 0; i < host->address_count && !error; i++)
		error = route_add_address(r, &host->address[i], false);
	if (!error && !host->main4.family)
		error = route_add_address(r, &own4, false);
	return error;
}

static int add_routes(struct route *r, const struct host *host)
{
	const struct host_address *main4 = host->main4.family ? &host->main4 : &own4;
	int error = route_add(r, ROUTE_OUT, NULL, 0, main4);

	if (!error)
		error = route_add(r, ROUTE_OUT, &net127, 8, &loopback4);
	if (!error && host->main4.family)
		error = route_add(r, RT_TABLE_MAIN, NULL, 0, main4);
	if (!error && host->main6.family)
		error = route_add(r, ROUTE_OUT, NULL, 0, &host->main6);
	if (!error && host->main6.family)
		error = route_add(r, RT_TABLE_MAIN, NULL, 0, &host->main6);
	return error;
}

static int set_up(struct route *r, const struct host *host, uint16_t mtu, const char **what)
{
	int error;

	*what = "netlink";
	if ((error = route_open(r)))
		return error;
	*what = "bring up the loopback device";
	if ((error = route_set_link(r, ROUTE_LO, 0, true, false, false)))
		return error;
	*what = "set up the tunnel device";
	if ((error = route_set_link(r, NETWORK_TUNNEL_INDEX, mtu, false, true, host->ipv6)))
		return error;
	write_settings(host);
	if ((error = route_set_link(r, NETWORK_TUNNEL_INDEX, 0, true, false, false)))
		return error;
	*what = "add the host's addresses";
	if ((error = add_addresses(r, host)))
		return error;
	*what = "add routing rules";
	if ((error = set_rules(r, AF_INET)))
		return error;
	if (host->ipv6 && (error = set_rules(r, AF_INET6)))
		return error;
	*what = "add routes";
	return add_routes(r, host);
}

int network_set_up(const struct host *host, uint16_t mtu, const char **what)
{
	struct route r = {0};
	int error = set_up(&r, host, mtu, what);

	route_close(&r);
	return error;
}

int network_open_diag(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

