// SPDX-License-Identifier: GPL-3.0-or-later
// route - rtnetlink(7): links, addresses, routes and rules, each by one request.

#include "extension/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "extension/network.h"

enum {
	QUEUE = 4096,		// packets the device holds for us
	NEXTHOP = 1,		// its number
};

int route_open(struct route *r)
{
	r->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!r->socket || mnl_socket_bind(r->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	return 0;
}

void route_close(struct route *r)
{
	if (r->socket)
		mnl_socket_close(r->socket);
	r->socket = NULL;
}

static int device_of(const struct route *r)
{
	return r->device ? r->device : NETWORK_TUNNEL_INDEX;
}

static struct nlmsghdr *begin(struct route *r, int type, int flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(r->buffer);

	message->nlmsg_type = type;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	message->nlmsg_seq = ++r->sequence;
	return message;
}

static int ask(struct route *r, const struct nlmsghdr *message)
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

int route_set_link(struct route *r, int index, uint32_t mtu, bool up, bool settings, bool ipv6)
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

int route_add_address(struct route *r, const struct host_address *address, bool deprecated)
{
	struct nlmsghdr *message = begin(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);
	size_t size = host_address_size(address);
	int error;

	header->ifa_family = address->family;
	header->ifa_prefixlen = size * 8;
	header->ifa_scope = RT_SCOPE_UNIVERSE;
	header->ifa_index = (uint32_t)device_of(r);
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

int route_add(struct route *r, unsigned char table, const struct host_address *to, int prefix,
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
	mnl_attr_put_u32(message, RTA_OIF, (uint32_t)device_of(r));
	mnl_attr_put(message, RTA_PREFSRC, host_address_size(source), source->bytes);
	return ask(r, message);
}

int route_add_local(struct route *r, const struct host_address *to)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = to->family;
	route->rtm_dst_len = host_address_size(to) * 8;
	route->rtm_table = ROUTE_OUT;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_LOCAL;
	mnl_attr_put(message, RTA_DST, host_address_size(to), to->bytes);
	mnl_attr_put_u32(message, RTA_OIF, ROUTE_LO);
	return ask(r, message);
}

int route_set_rule(struct route *r, int type, int family, const struct route_rule *rule)
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

int route_set_nexthop(struct route *r, int device, int flags)
{
	struct nlmsghdr *message = begin(r, RTM_NEWNEXTHOP, NLM_F_CREATE | flags);
	struct nhmsg *nexthop = mnl_nlmsg_put_extra_header(message, sizeof *nexthop);

	nexthop->nh_family = AF_INET6;
	nexthop->nh_protocol = RTPROT_STATIC;
	mnl_attr_put_u32(message, NHA_ID, NEXTHOP);
	mnl_attr_put_u32(message, NHA_OIF, (uint32_t)device);
	return ask(r, message);
}

int route_add_by_nexthop(struct route *r, const struct host_address *to, const struct host_address *source)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = AF_INET6;
	route->rtm_dst_len = 128;
	route->rtm_table = ROUTE_OUT;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = RTN_UNICAST;
	mnl_attr_put(message, RTA_DST, 16, to->bytes);
	mnl_attr_put(message, RTA_PREFSRC, 16, source->bytes);
	mnl_attr_put_u32(message, RTA_NH_ID, NEXTHOP);
	return ask(r, message);
}

// --- beside the host's own devices ------------------------------------------------

int route_set_open(struct route *r, uint32_t rp_filter)
{
	struct nlmsghdr *message = begin(r, RTM_NEWLINK, 0);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(message, sizeof *link);
	struct nlattr *all = mnl_attr_nest_start(message, IFLA_AF_SPEC);
	struct nlattr *family = mnl_attr_nest_start(message, AF_INET);
	struct nlattr *settings = mnl_attr_nest_start(message, IFLA_INET_CONF);

	link->ifi_index = device_of(r);
	mnl_attr_put_u32(message, IPV4_DEVCONF_ACCEPT_LOCAL, 1);
	mnl_attr_put_u32(message, IPV4_DEVCONF_RP_FILTER, rp_filter);
	mnl_attr_nest_end(message, settings);
	mnl_attr_nest_end(message, family);
	mnl_attr_nest_end(message, all);
	return ask(r, message);
}

int route_add_apart(struct route *r, const struct host_address *address)
{
	struct nlmsghdr *message = begin(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
	struct ifaddrmsg *header = mnl_nlmsg_put_extra_header(message, sizeof *header);

	header->ifa_family = AF_INET;
	header->ifa_prefixlen = 32;
	header->ifa_scope = RT_SCOPE_LINK;	// no other device borrows it
	header->ifa_index = (uint32_t)device_of(r);
	mnl_attr_put(message, IFA_LOCAL, 4, address->bytes);
	mnl_attr_put(message, IFA_ADDRESS, 4, address->bytes);
	return ask(r, message);
}

static int put_default6(struct route *r, uint8_t type, uint32_t metric, int by, const struct host_address *source)
{
	struct nlmsghdr *message = begin(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(message, sizeof *route);

	route->rtm_family = AF_INET6;
	route->rtm_table = RT_TABLE_MAIN;
	route->rtm_protocol = RTPROT_STATIC;
	route->rtm_type = type;
	mnl_attr_put_u32(message, RTA_PRIORITY, metric);
	mnl_attr_put_u32(message, source ? RTA_OIF : RTA_NH_ID, (uint32_t)by);
	if (source)
		mnl_attr_put(message, RTA_PREFSRC, 16, source->bytes);
	return ask(r, message);
}

int route_add_bound_default6(struct route *r, int shadow, uint32_t metric, const struct host_address *source)
{
	uint32_t number = 0x61700000 + (uint32_t)shadow;
	struct nlmsghdr *message = begin(r, RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
	struct nhmsg *nexthop = mnl_nlmsg_put_extra_header(message, sizeof *nexthop);
	int error;

	nexthop->nh_family = AF_INET6;
	nexthop->nh_protocol = RTPROT_STATIC;
	mnl_attr_put_u32(message, NHA_ID, number);
	mnl_attr_put_u32(message, NHA_OIF, (uint32_t)shadow);
	error = ask(r, message);
	if (!error)
		error = put_default6(r, RTN_THROW, metric, (int)number, NULL);
	return error ? error : put_default6(r, RTN_UNICAST, metric + 1, device_of(r), source);
}
