/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "base/drop.h"
#include "base/filter.h"
#include "base/str.h"

#define AT(member) offsetof(struct filter_spec, member), sizeof(((struct filter_spec *)0)->member)

const char *const filter_hop_names[] = { "any", "guest", "wire", "drop", NULL };
const char *const filter_protocol_names[] = { "any", "arp", "nd", "icmp", "icmpv6", "tcp", "udp", NULL };

const struct field filter_fields[] = {
	{ "port", FIELD_ID, AT(port), .text = "At this port, and what its guest sent on the wire or lost." },
	{ "member", FIELD_ID, AT(member), .text = "By this team member." },
	{ "hop", FIELD_ENUM, AT(hop), .names = filter_hop_names, .def = "any",
	  .text = "Where: at guests, on the wire, or where it is dropped." },
	{ "vsid", FIELD_UINT, AT(vsid), .flags = FIELD_ZERO_OK, .min = VSID_MIN, .max = VSID_MAX,
	  .text = "Of this virtual subnet." },
	{ "mac", FIELD_MAC, AT(mac), .text = "Customer MAC address at either end." },
	{ "address", FIELD_IP, AT(address), .text = "Customer address at either end." },
	{ "source", FIELD_IP, AT(source), .text = "Customer address of the sender." },
	{ "destination", FIELD_IP, AT(destination), .text = "Customer address of the receiver." },
	{ "provider-address", FIELD_IP, AT(provider_address), .text = "Outer address at either end." },
	{ "protocol", FIELD_ENUM, AT(protocol), .names = filter_protocol_names, .def = "any",
	  .text = "Protocol of the customer's packet." },
	{ "port-number", FIELD_UINT, AT(port_number), .flags = FIELD_ZERO_OK, .min = 1, .max = 65535,
	  .text = "TCP or UDP port at either end." },
	{ "drop", FIELD_STRING, AT(drop), .text = "Only what is dropped for this reason; any for every reason." },
	{ NULL },
};

int filter_check(const struct filter_spec *f, struct errbuf *err)
{
	const char *names[DROP_COUNT + 2], *near;
	unsigned int n = 0;

	if (!*f->drop)
		return 0;
	names[n++] = "any";
	for (unsigned int r = DROP_NONE + 1; r < DROP_COUNT; r++)
		names[n++] = drop_name((enum drop_reason)r);
	names[n] = NULL;
	for (unsigned int i = 0; i < n; i++)
		if (strcmp(names[i], f->drop) == 0)
			return 0;
	near = str_nearest(f->drop, names);
	return err_set(err, EINVAL, "drop: there is no reason \"%s\"%s%s%s", f->drop, near ? ": did you mean \"" : "",
		       near ? near : " (vswitchctl drops --all lists them)", near ? "\"?" : "");
}
