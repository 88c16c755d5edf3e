// SPDX-License-Identifier: GPL-3.0-or-later
// redirect_device - a tunnel beside the host's own devices, felt only by what is bound to it.
//
// All that is made here ends with its descriptors, so there is nothing to clean up, no
// helper that would have to, and nothing that a kill could leave.
//
// IPv4 needs no route. A socket bound to a device that has none for a destination
// takes it to be on the device's link. Its source is then the device's address, which
// is nobody's (of 192.0.0.0/24, RFC 6890) and of link scope, so no other device borrows
// it. To lend the host's own address instead would be closer to what a program sees
// without us, but then the program's connection and ours to the same peer could
// differ in nothing but the device, and what is written to the tunnel reach ours.
// (What getsockname(2) says is set right by the kernel's half.)
//
// IPv6 does need a route, which the others must not see. The usual way, a rule
// "oif apptap0", outlives a killed process. So it is a default in the main table with
// the worst of metrics, and right before it a "throw", which sends a lookup on as if
// no route were there. A lookup for a socket bound to the tunnel does not see the
// throw, since that stands on another device; all others do. A throw written
// plainly would be moved to lo by the kernel and stay; by a nexthop on a second device
// of ours, the shadow, it goes when that goes. (Tried on 6.18: a host without a
// default still gets ENETUNREACH, and when the shadow is gone, so is the throw.)
// The address is of the discard prefix (RFC 6666): a unique local one would make
// getaddrinfo(3) of the programs put IPv4 first (RFC 6724, labels). It is deprecated, so
// that it is no source for other devices. Without IPv6 on the host there is
// none here, or programs would believe that there is.
//
// Answers come from anywhere, the host's own addresses and 127.0.0.0/8 included, which
// accept_local and route_localnet of this device allow. Whether the way back is
// checked is the stricter of two settings, the device's and that for all; "loose" is
// the higher number and passes what any device can reach. So where the host is strict
// the device asks for loose, and nothing of the host's is touched.

#include "extension/redirect_device.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "extension/network.h"
#include "extension/route.h"

enum { DEVICES = 64, LOOSE = 2 };

static int refuse(int error, const char *what, char *why, size_t why_size)
{
	const char *hint = "";

	if (error == -EPERM || error == -EACCES)
		hint = ". This needs root, or CAP_NET_ADMIN";
	else if (error == -ENOENT || error == -ENODEV)
		hint = ". The kernel lacks TUN: load its module with \"modprobe tun\"";
	snprintf(why, why_size, "cannot %s: %s%s", what, strerror(-error), hint);
	return error;
}

static void choose_addresses(struct redirect_device *device, int number)
{
	device->own4 = (struct host_address){AF_INET, {192, 0, 0, (uint8_t)(32 + number)}};
	device->own6 = (struct host_address){AF_INET6, {1, [8] = 'a', 'p', [15] = (uint8_t)(1 + number)}};
	device->entry4 = device->own4;
	device->entry4.bytes[3] += DEVICES;
	device->entry6 = device->local6 = device->own6;
	device->entry6.bytes[13] = 1;
	device->local6.bytes[13] = 2;
}

int redirect_device_open(struct redirect_device *device, char *why, size_t why_size)
{
	char shadow[IFNAMSIZ];
	bool opened;
	int number;

	*device = (struct redirect_device){.tunnel = -1, .shadow = -1, .name = "apptap%d"};
	host_read(&device->host);
	device->ipv6 = device->host.ipv6 && device->host.main6.family;
	device->tunnel = network_open_device(device->name, 0, &opened);
	if (device->tunnel < 0)
		return refuse(device->tunnel, opened ? "make a tunnel device" : "open /dev/net/tun", why, why_size);
	number = atoi(device->name + strlen("apptap"));
	if (number < 0 || number >= DEVICES)
		return refuse(-EMFILE, "have more than 64 tunnel devices", why, why_size);
	choose_addresses(device, number);
	device->index = (int)if_nametoindex(device->name);
	if (!device->ipv6)
		return 0;
	snprintf(shadow, sizeof shadow, "apptap%d-6", number);
	device->shadow = network_open_device(shadow, 0, &opened);
	if (device->shadow < 0)
		return refuse(device->shadow, "make a second tunnel device", why, why_size);
	return 0;
}

static uint32_t read_filter(void)
{
	unsigned int strict = 0;
	FILE *file = fopen("/proc/sys/net/ipv4/conf/all/rp_filter", "re");

	if (file && fscanf(file, "%u", &strict) != 1)
		strict = 0;
	if (file)
		fclose(file);
	return strict ? LOOSE : 0;
}

static int raise_shadow(const struct redirect_device *device, int *index)
{
	struct route r = {0};
	char name[IFNAMSIZ + 4];
	int error = route_open(&r);

	snprintf(name, sizeof name, "%s-6", device->name);
	*index = (int)if_nametoindex(name);
	if (!error)
		error = route_set_link(&r, *index, 0, false, true, true);
	if (!error)
		error = route_set_link(&r, *index, 0, true, false, false);
	route_close(&r);
	return error;
}

static int add_ipv6(const struct redirect_device *device, struct route *r)
{
	uint32_t number = (uint32_t)atoi(device->name + strlen("apptap"));
	int shadow, error = raise_shadow(device, &shadow);

	if (!error)
		error = route_add_address(r, &device->own6, true);
	if (!error)
		error = route_add(r, RT_TABLE_MAIN, &device->entry6, 128, &device->own6);
	return error ? error : route_add_bound_default6(r, shadow, UINT32_MAX - 1 - 2 * number, &device->own6);
}

int redirect_device_up(struct redirect_device *device, uint16_t mtu, char *why, size_t why_size)
{
	struct route r = {.device = device->index};
	const char *what = "netlink";
	int error = route_open(&r);

	if (!error) {
		what = "set up the tunnel device";
		error = route_set_link(&r, device->index, mtu, false, true, device->host.ipv6);
	}
	if (!error)
		error = route_set_open(&r, read_filter());
	if (!error)
		error = route_set_link(&r, device->index, 0, true, false, false);
	if (!error) {
		what = "give the tunnel device an address";
		error = route_add_apart(&r, &device->own4);
	}
	if (!error)
		error = route_add(&r, RT_TABLE_MAIN, &device->entry4, 32, &device->own4);
	if (!error && device->ipv6) {
		what = "route IPv6 to the tunnel device";
		error = add_ipv6(device, &r);
	}
	route_close(&r);
	return error ? refuse(error, what, why, why_size) : 0;
}

void redirect_device_close(struct redirect_device *device)
{
	if (device->tunnel >= 0)
		close(device->tunnel);
	if (device->shadow >= 0)
		close(device->shadow);
	device->tunnel = device->shadow = -1;
}
