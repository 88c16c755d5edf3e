// SPDX-License-Identifier: GPL-3.0-or-later
// lwipopts - what of lwIP is compiled, and how.
//
// Of lwIP we use TCP and the writing of IP headers, nothing else: packets are
// given to tcp_input() directly, and datagrams, fragments and errors are this
// room's own. (An IPv6 datagram of 65,507 bytes is longer than a pbuf chain's
// 16-bit length can say, so lwIP's reassembly could not carry it.)

#ifndef NETSTACK_LWIPOPTS_H
#define NETSTACK_LWIPOPTS_H

#define NO_SYS				1
#define SYS_LIGHTWEIGHT_PROT		0
#define LWIP_TIMERS			0	// flow.c calls tcp_fasttmr, tcp_slowtmr
#define LWIP_SOCKET			0
#define LWIP_NETCONN			0
#define LWIP_STATS			0

// All memory comes from malloc: nothing runs out at thousands of flows. The
// bounds are netstack.c's, on flows and on bytes per flow.
#define MEM_LIBC_MALLOC			1
#define MEMP_MEM_MALLOC			1
#define MEM_ALIGNMENT			8
#define PBUF_POOL_SIZE			4	// unused: our pbufs are custom ones
#define PBUF_POOL_BUFSIZE		1600
#define LWIP_SUPPORT_CUSTOM_PBUF	1

#define LWIP_IPV4			1
#define LWIP_IPV6			1
// There is one way out, also to 127.0.0.1, which lwIP would not route.
#define LWIP_HOOK_IP4_ROUTE_SRC(src, dest) netif_default
#define LWIP_IPV6_SCOPES		0
#define LWIP_SINGLE_NETIF		1
#define LWIP_NETIF_LOOPBACK		0
#define LWIP_HAVE_LOOPIF		0
#define LWIP_ARP			0
#define LWIP_ETHERNET			0
#define PBUF_LINK_HLEN			0
#define LWIP_RAW			0
#define LWIP_UDP			0
#define LWIP_ICMP			0
#define LWIP_ICMP6			1	// ip6.c does not link without; never reached
#define IP_REASSEMBLY			0
#define IP_FRAG				0
#define LWIP_IPV6_REASS			0
#define LWIP_IPV6_FRAG			0

// Nothing of its own on the tunnel: no solicitations, no probes, no reports.
#define LWIP_IPV6_MLD			0
#define LWIP_IPV6_AUTOCONFIG		0
#define LWIP_IPV6_SEND_ROUTER_SOLICIT	0
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS	0
#define LWIP_ND6_QUEUEING		0
#define LWIP_ND6_ALLOW_RA_UPDATES	0
#define LWIP_ND6_TCP_REACHABILITY_HINTS	0

// The tunnel vouches for what comes in; output.c sums what goes out, or leaves
// it to the kernel.
#define CHECKSUM_GEN_IP			0
#define CHECKSUM_GEN_TCP		0
#define CHECKSUM_CHECK_IP		0
#define CHECKSUM_CHECK_TCP		0
#define LWIP_CHECKSUM_ON_COPY		0

#define LWIP_TCP			1
#define LWIP_EVENT_API			1	// flow.c; five pointers a pcb less than callbacks
#define TCP_LISTEN_BACKLOG		0	// call.c is the backlog
#define LWIP_TCP_KEEPALIVE		0
#define LWIP_TCP_TIMESTAMPS		0
#define LWIP_TCP_SACK_OUT		0
#define TCP_QUEUE_OOSEQ			0	// a tunnel does not reorder; and 64 KB
						// segments overflow its 16-bit sums
#define TCP_OVERSIZE			0	// tcp_write never copies here
#define TCP_CALCULATE_EFF_SEND_MSS	1	// the MSS we announce fits the tunnel

// The largest that any segment may be: an IPv6 packet whose pbuf length still
// fits 16 bits. The MSS announced and the app's own are smaller (flow.c).
#define TCP_MSS				65475
// The most that options.window can ask for; flow.c lowers it per flow.
#define LWIP_WND_SCALE			1
#define TCP_RCV_SCALE			7
#define TCP_WND				(4 * 1024 * 1024)
// ring.c bounds what is queued to send, so lwIP shall not.
#define TCP_SND_BUF			0x40000000
#define TCP_SND_QUEUELEN		0xfff0
// Window updates are decided once per turn in flow.c, never inside tcp_recved.
#define TCP_WND_UPDATE_THRESHOLD	0xffffffffU
#define TCP_MAXRTX			12
#define TCP_TTL				64

// lwIP derives low-water marks for select() from TCP_MSS in 16 bits and checks
// that they fit. Nobody here asks for them; the checks do not apply.
#define LWIP_DISABLE_TCP_SANITY_CHECKS	1
#define TCP_SNDLOWAT			1
#define TCP_SNDQUEUELOWAT		1

// Random sequence numbers (RFC 9293 3.4.1 asks for unpredictable ones).
#define LWIP_HOOK_TCP_ISN(local, local_port, remote, remote_port) netstack_random()
#define LWIP_RAND()			netstack_random()

#endif
