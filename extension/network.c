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
//
// The kernel drops a packet with ::1 as either address unless it arrives on a
// loopback device. So those go in through lo, from a packet socket; a mark on it
// selects the first rule, else they would be routed out again.
//
// What is sent to ::1 must come from ::1, but a route's source has to be an
// address of its device, and the kernel keeps ::1 off all but lo. It asks when the route
// is made: so that is made through a nexthop object on lo, which is then moved to the
// tunnel. Before Linux 5.3 there are none; a program that has not bound its socket
// then speaks to ::1 from the host's main address, or where there is none from own6.

#include "extension/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/filter.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	TABLE_OUT = 10,
	MARK_IN = 1,
	NEXTHOP = 1,		// its number
	LO = 1,			// its index, in every namespace
	QUEUE = 4096,		// packets the device holds for us
};

// Where the host has no IPv4 address, one that is nobody's (RFC 7335); where
// it has no IPv6 address, a unique local one (RFC 4193), used for ::1 at need.
static const struct host_address own4 = {AF_INET, {192, 0, 0, 2}};
static const struct host_address own6 = {AF_INET6,
	{0xfd, 0x61, 0x70, 0x70, 0x74, 0x61, 0x70, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
static const struct host_address loopback4 = {AF_INET, {127, 0, 0, 1}};
static const struct host_address net127 = {AF_INET, {127}};
static const struct host_address loopback6 = {AF_INET6, {[15] = 1}};

// --- the tunnel ---------------------------------------------------------------

int network_open_tunnel(bool *opened)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	unsigned int index = NETWORK_TUNNEL_INDEX;
	int header = 10;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int error;

	*opened = fd >= 0;
	if (fd < 0)
		return -errno;
	strcpy(request.ifr_name, NETWORK_TUNNEL);
	if (!ioctl(fd, TUNSETIFINDEX, &index) && !ioctl(fd, TUNSETIFF, &request) &&
	    !ioctl(fd, TUNSETVNETHDRSZ, &header) &&
	    !ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

// --- netlink ------------------------------------------------------------------

struct route_socket {
	struct mnl_socket *socket;
	unsigned int sequence;
	char buffer[1024];
};

static struct nlmsghdr *begin(struct route_socket *r, int type, int flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(r->buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	message->nlmsg_seq = ++r->sequence;
	return message;
}

static int ask(struct route_socket *r, const struct nlmsghdr *message)
{
	char answer[4096];
	ssize_t n;

	if (mnl_socket_sendto(r->socket, message, message->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(r->socket, answer, sizeof answer);
	if (n < 0)
		return -errno;
	if (mnl_cb_run(answer, n, r->sequence, mnl_socket_get_portid(r->socket), NULL, NULL) < 0)
		return -errno;
	return 0;
}

// The kernel takes a device's own settings by netlink too, which works even
// where /proc/sys is read-only, as it is in many containers.
static void put_device_settings(struct nlmsghdr *message, bool ipv6)
{
	struct nlattr *all = mnl_attr_nest_start(message, IFLA_AF_SPEC);
	struct nlattr *family = mnl_attr_nest_start(message, AF_INET);
	struct nlattr *settings = mnl_attr_nest_start(message, IFLA_INET_CONF);

	mnl_attr_put_u32(message, IPV4_DEVCONF_ROUTE_LOCALNET, 1);
	mnl_attr_put_u32(message, IPV4_DEVCONF_RP_FILTER, 0);
	mnl_attr_nest_end(message, settings);
	mnl_attr_nest_end(message, family);
	if (ipv6) {
		// No link-local address of its own, so no router solicitations.
		family = mnl_attr_nest_start(message, AF_INET6);
		mnl_attr_put_u8(message, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
		mnl_attr_nest_end(message, family);
	}
	mnl_attr_nest_end(message, all);
}

static int set_link(struct route_socket *r, int index, uint32_t mtu, bool up, bool settings, bool ipv6)
{
	struct nlmsghdr *message = begin(r, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(message, sizeof *link);

	link->ifi_index = index;
	if (up)
		link->ifi_flags = link->ifi_change = IFF_UP;
	if (mtu) {
		mnl_attr_put_u32(message, IFLA_MTU, mtu);
		mnl_attr_put_u32(message, IFLA_TXQLEN, QUEUE);
	}
	if (settings)
		put_device_settings(message, ipv6);
	return ask(r, message);
}

static int add_address(struct route_socket *r, const struct host_address *address, bool deprecated)
{
	struct nlmsghdr *message = begin(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
	size_t size = host_address_size(address);
	int error;

	header->ifa_family = address->family;
	header->ifa_prefixlen = size * 8;
	header->ifa_scope = RT_SCOPE_UNIVERSE;
	header->ifa_index = NETWORK_TUNNEL_INDEX;
	mnl_attr_put(message, IFA_LOCAL, size, address->bytes);
	mnl_attr_put(message, IFA_ADDRESS, size, address->bytes);
	if (address->family == AF_INET6)
		mnl_attr_put_u32(message, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
	if (deprecated) {
		struct ifa_cacheinfo life = {.ifa_prefered = 0, .ifa_valid = UINT32_MAX};
		mnl_attr_put(message, IFA_CACHEINFO, sizeof life, &life);
	}
	error = ask(r, message);
	return error == -EEXIST ? 0 : error;
}

static int add_route(struct route_socket *r, unsigned char table, const struct host_address *to, int prefix,
		     const struct host_address *source)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = source->family;
	route->rtm_dst_len = prefix;
	route->rtm_table = table;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_scope = source->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	route->rtm_type = RTN_UNICAST;
	if (prefix)
		mnl_attr_put(message, RTA_DST, host_address_size(source), to->bytes);
	mnl_attr_put_u32(message, RTA_OIF, NETWORK_TUNNEL_INDEX);
	mnl_attr_put(message, RTA_PREFSRC, host_address_size(source), source->bytes);
	return ask(r, message);
}

static int add_local_route(struct route_socket *r, const struct host_address *to)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = to->family;
	route->rtm_dst_len = host_address_size(to) * 8;
	route->rtm_table = TABLE_OUT;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_LOCAL;
	mnl_attr_put(message, RTA_DST, host_address_size(to), to->bytes);
	mnl_attr_put_u32(message, RTA_OIF, LO);
	return ask(r, message);
}

struct rule {
	uint32_t preference;
	uint8_t table;
	const char *from;	// device
	uint32_t mark;
};

static int set_rule(struct route_socket *r, int type, int family, const struct rule *rule)
{
	struct nlmsghdr *message = begin(r, type, type == RTM_NEWRULE ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct fib_rule_hdr *header = mnl_nlmsg_put_extra_header(message, sizeof *header);

	header->family = family;
	header->table = rule->table;
	header->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(message, FRA_PRIORITY, rule->preference);
	if (rule->from)
		mnl_attr_put_strz(message, FRA_IIFNAME, rule->from);
	if (rule->mark)
		mnl_attr_put_u32(message, FRA_FWMARK, rule->mark);
	return ask(r, message);
}

static int set_rules(struct route_socket *r, int family)
{
	static const struct rule added[] = {
		{.preference = 100, .table = RT_TABLE_LOCAL},
		{.preference = 5, .table = RT_TABLE_LOCAL, .mark = MARK_IN},
		{.preference = 10, .table = TABLE_OUT, .from = "lo"},
	};
	static const struct rule removed = {.preference = 0, .table = RT_TABLE_LOCAL};

	for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
		int error = set_rule(r, RTM_NEWRULE, family, &added[i]);
		if (error)
			return error;
	}
	return set_rule(r, RTM_DELRULE, family, &removed);
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
	if (strncmp(of_host, "bbr", 3) && !write_setting(HOST_CONGESTION, of_host))
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

static int add_addresses(struct route_socket *r, const struct host *host)
{
	int error = 0;

	for (int i = 0; i < host->address_count && !error; i++)
		error = add_address(r, &host->address[i], false);
	if (!error && !host->main4.family)
		error = add_address(r, &own4, false);
	return error;
}

static int add_routes(struct route_socket *r, const struct host *host)
{
	const struct host_address *main4 = host->main4.family ? &host->main4 : &own4;
	int error = add_route(r, TABLE_OUT, NULL, 0, main4);

	if (!error)
		error = add_route(r, TABLE_OUT, &net127, 8, &loopback4);
	if (!error && host->main4.family)
		error = add_route(r, RT_TABLE_MAIN, NULL, 0, main4);
	if (!error && host->main6.family)
		error = add_route(r, TABLE_OUT, NULL, 0, &host->main6);
	if (!error && host->main6.family)
		error = add_route(r, RT_TABLE_MAIN, NULL, 0, &host->main6);
	return error;
}

static int open_route(struct route_socket *r)
{
	r->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

static int set_up(struct route_socket *r, const struct host *host, uint16_t mtu, const char **what)
{
	int error;

	*what = "netlink";
	if ((error = open_route(r)))
		return error;
	*what = "bring up the loopback device";
	if ((error = set_link(r, LO, 0, true, false, false)))
		return error;
	*what = "set up the tunnel device";
	if ((error = set_link(r, NETWORK_TUNNEL_INDEX, mtu, false, true, host->ipv6)))
		return error;
	write_settings(host);
	if ((error = set_link(r, NETWORK_TUNNEL_INDEX, 0, true, false, false)))
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
	struct route_socket r = {0};
	int error = set_up(&r, host, mtu, what);

	if (r.socket)
		mnl_socket_close(r.socket);
	return error;
}

int network_open_diag(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);

	return fd < 0 ? -errno : fd;
}

// --- ::1 ----------------------------------------------------------------------

static int open_packet(void)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {.len = 1, .filter = nothing};
	// Bound for its device: what is written needs no address. The protocol is
	// 0, so nothing is received, and the filter says so again.
	struct sockaddr_ll lo = {.sll_family = AF_PACKET, .sll_ifindex = LO};
	int on = 1, mark = MARK_IN;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int error;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) &&
	    !setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) &&
	    !setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) &&
	    !bind(fd, (struct sockaddr *)&lo, sizeof lo))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

struct probe {
	struct virtio_net_hdr offload;
	struct ethhdr ethernet;
	struct ip6_hdr ip;
	struct udphdr udp;
} __attribute__((packed));

// The checksum is left unfinished (the sum over the pseudo-header alone, RFC 8200
// section 8.1), so the socket's offload is proven too.
static bool probe(int packet, int receiver, in_port_t port)
{
	struct probe probe = {
		.offload = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
			    .csum_start = sizeof(struct ethhdr) + sizeof(struct ip6_hdr),
			    .csum_offset = offsetof(struct udphdr, check)},
		.ethernet = {.h_proto = htons(ETH_P_IPV6)},
		.ip = {.ip6_src = IN6ADDR_LOOPBACK_INIT, .ip6_dst = IN6ADDR_LOOPBACK_INIT},
		.udp = {.source = port, .dest = port, .len = htons(sizeof(struct udphdr)),
			.check = htons(1 + 1 + sizeof(struct udphdr) + IPPROTO_UDP)},
	};
	struct pollfd poll_for = {.fd = receiver, .events = POLLIN};

	probe.ip.ip6_flow = htonl(6U << 28);
	probe.ip.ip6_plen = htons(sizeof(struct udphdr));
	probe.ip.ip6_nxt = IPPROTO_UDP;
	probe.ip.ip6_hlim = 64;
	if (write(packet, &probe, sizeof probe) != sizeof probe)
		return false;
	return poll(&poll_for, 1, 200) == 1;
}

static bool loopback6_works(int packet)
{
	struct sockaddr_in6 one = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	socklen_t size = sizeof one;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool works = fd >= 0 && !bind(fd, (struct sockaddr *)&one, size) &&
		     !getsockname(fd, (struct sockaddr *)&one, &size) &&
		     probe(packet, fd, one.sin6_port);

	if (fd >= 0)
		close(fd);
	return works;
}

static int set_nexthop(struct route_socket *r, int device, int flags)
{
	struct nlmsghdr *message = begin(r, RTM_NEWNEXTHOP, NLM_F_CREATE | flags);
	struct nhmsg *nexthop = mnl_nlmsg_put_extra_header(message, sizeof *nexthop);

	nexthop->nh_family = AF_INET6;
	nexthop->nh_protocol = RTPROT_STATIC;
	mnl_attr_put_u32(message, NHA_ID, NEXTHOP);
	mnl_attr_put_u32(message, NHA_OIF, (uint32_t)device);
	return ask(r, message);
}

static int add_route_by_nexthop(struct route_socket *r)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = AF_INET6;
	route->rtm_dst_len = 128;
	route->rtm_table = TABLE_OUT;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(message, RTA_DST, 16, loopback6.bytes);
	mnl_attr_put(message, RTA_PREFSRC, 16, loopback6.bytes);
	mnl_attr_put_u32(message, RTA_NH_ID, NEXTHOP);
	return ask(r, message);
}

static int route_from_itself(struct route_socket *r)
{
	int error = set_nexthop(r, LO, NLM_F_EXCL);

	if (!error)
		error = add_route_by_nexthop(r);
	return error ? error : set_nexthop(r, NETWORK_TUNNEL_INDEX, NLM_F_REPLACE);
}

static int route_from_other(struct route_socket *r, const struct host *host)
{
	int error;

	if (host->main6.family)
		return add_route(r, TABLE_OUT, &loopback6, 128, &host->main6);
	error = add_address(r, &own6, true);
	if (!error)
		error = add_route(r, TABLE_OUT, &own6, 128, &own6);
	return error ? error : add_route(r, TABLE_OUT, &loopback6, 128, &own6);
}

// To the tunnel; or if the way back in is not to be had, to the namespace itself.
static int route_loopback6(const struct host *host, bool tunnel)
{
	struct route_socket r = {0};
	int error = open_route(&r);

	if (!error && !tunnel)
		error = add_local_route(&r, &loopback6);
	else if (!error && route_from_itself(&r))
		error = route_from_other(&r, host);
	if (r.socket)
		mnl_socket_close(r.socket);
	return error;
}

int network_open_loopback6(const struct host *host)
{
	int fd, error;

	if (!host->ipv6)
		return -EAFNOSUPPORT;
	fd = open_packet();
	error = fd < 0 ? fd : loopback6_works(fd) ? route_loopback6(host, true) : -EPROTONOSUPPORT;
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	route_loopback6(host, false);
	return error;
}
