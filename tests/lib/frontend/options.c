/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { TEXT, NUMBER };

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min, max;
	const char *value; /* default */
	const char *help;
};

#define O(field) offsetof(struct port_options, field)
#define NUM(key, field, lo, hi, def, text)                                                                   \
	{                                                                                                    \
		key, NUMBER, O(field), lo, hi, def, text                                                     \
	}
#define FLAG(key, field, def, text) NUM(key, field, 0, 1, def, text)
#define STR(key, field, def, text)                                                                           \
	{                                                                                                    \
		key, TEXT, O(field), 0, 0, def, text                                                         \
	}
#define HEADING(text)                                                                                        \
	{                                                                                                    \
		NULL, TEXT, 0, 0, 0, NULL, text                                                              \
	}

static const struct key keys[] = {
	HEADING("The port"),
	STR("socket", socket, NULL, "path of the vhost-user socket (required)"),
	FLAG("server", server, "0", "1: listen, the switch connects (QEMU's server=on); 0: connect"),
	STR("name", name, NULL, "name in reports and commands; default p0, p1, ..."),
	STR("mode", mode, "sink", "one of the modes below, or two joined by +, as gen+sink"),
	NUM("queues", queues, 1, 64, "1", "queue pairs"),
	NUM("active", active, 0, 64, "0",
	    "queue pairs enabled at the start, 0: all; the command queues changes it"),
	STR("ring", ring, "split", "split or packed"),
	NUM("size", size, 2, 32768, "256", "descriptors per ring, a power of two"),
	NUM("buf", buf, 64, 1 << 20, "2048", "data bytes per buffer"),
	FLAG("mrg", mrg, "1", "mergeable receive buffers"),
	FLAG("indirect", indirect, "0", "indirect descriptors; every packet to send then uses one"),
	FLAG("event-idx", event_idx, "0", "event index notification"),
	FLAG("hdr-desc", hdr_desc, "0", "virtio header in a descriptor of its own"),
	FLAG("legacy", legacy, "0", "without VIRTIO_F_VERSION_1"),
	FLAG("csum", csum, "0", "the guest leaves checksums to the switch (tap, hostile: 1)"),
	FLAG("gso", gso, "0", "the guest sends TSO frames (tap, hostile: 1)"),
	FLAG("guest-csum", guest_csum, "0", "the guest takes partial checksums (tap, hostile: 1)"),
	FLAG("guest-gso", guest_gso, "0", "the guest takes TSO frames (tap, hostile: 1)"),
	FLAG("no-protocol", no_protocol, "0", "without vhost-user protocol features"),
	NUM("mtu", mtu, 0, 65535, "0", "MTU told to the switch (and set on a tap), 0 none"),
	NUM("regions", regions, 1, 8, "2", "memory regions"),
	FLAG("huge", huge, "0", "guest memory on huge pages"),
	STR("packed-base", packed_base, "own",
	    "index of a packed ring after the switch died: own (right) or qemu (stale)"),
	NUM("timeout", timeout, 1, 600000, "5000",
	    "milliseconds to wait for the switch's answer to a message"),
	NUM("worker", worker, 0, 63, "0", "thread that serves the port"),
	STR("mac", mac, NULL, "MAC address: of the tap, of echo's ARP replies"),
	HEADING("mode=gen: send the frames of a file in turn, as fast as possible"),
	STR("frames", frames, NULL, "pcap file to send; genseq takes its first frame"),
	NUM("rate", rate, 0, 1000000000, "0", "packets per second, 0 without limit (genseq: 1000)"),
	NUM("count", count, 0, UINT64_MAX, "0", "stop after that many, 0 never"),
	FLAG("tx-csum", tx_csum, "0", "leave TCP and UDP checksums to the switch; needs csum=1"),
	NUM("tx-gso", tx_gso, 0, 65535, "0",
	    "leave it to the switch to cut TCP frames by this MSS; needs gso=1, tx-csum=1"),
	HEADING("mode=genseq: number and time stamp frames"),
	NUM("flows", flows, 1, 65536, "1", "UDP source ports, counting up from the frame's"),
	HEADING("mode=sink: receive and count"),
	STR("classify", classify, NULL, "OFFSET:LENGTH, count packets by these bytes (up to 16)"),
	STR("pcap", pcap, NULL, "write what arrives to this file"),
	FLAG("pcap-vouched", pcap_vouched, "0", "only what needs no look at its checksum by the virtio header"),
	NUM("pcap-max", pcap_max, 1, UINT64_MAX, "10000", "at most that many packets"),
	STR("seq", seq, NULL, "check genseq's numbers and times: offset of them, or auto (any UDP payload)"),
	NUM("expect", expect, 0, UINT64_MAX, "0",
	    "say so (event expected) when that many packets have arrived"),
	HEADING("mode=echo: swap addresses and ports and return; answers echo requests, and ARP for ip="),
	STR("ip", ip, NULL, "IPv4 address to answer ARP requests for"),
	HEADING("mode=tap: a tap device is the guest"),
	STR("tap", tap, NULL, "name of the device to make"),
	STR("netns", netns, NULL, "network namespace for it: a name under /run/netns or a path"),
	HEADING("mode=hostile: break the rules (--list-hostile)"),
	STR("hostile", hostile, NULL,
	    "script; rate= attacks per second (1000), count= attacks in all (1000)"),
	NUM("round", round, 1, UINT64_MAX, "64", "attacks per connection"),
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

void options_help(FILE *out)
{
	for (size_t i = 0; i < N_KEYS; i++) {
		const struct key *k = &keys[i];

		if (!k->name)
			fprintf(out, "\n  %s\n", k->help);
		else if (k->value)
			fprintf(out, "    %-12s %s [%s]\n", k->name, k->help, k->value);
		else
			fprintf(out, "    %-12s %s\n", k->name, k->help);
	}
}

static int complain(const char *key, const char *value, const char *wants)
{
	fprintf(stderr, "--port: %s=%s: %s\n", key, value, wants);
	return -EINVAL;
}

static int set_number(const struct key *k, const char *value, struct port_options *o)
{
	char wants[80], *end;
	uint64_t v;

	errno = 0;
	v = strtoull(value, &end, 0);
	if (errno || *end || end == value || *value == '-' || v < k->min || v > k->max) {
		snprintf(wants, sizeof(wants), "a number from %llu to %llu", (unsigned long long)k->min,
			 (unsigned long long)k->max);
		return complain(k->name, value, wants);
	}
	memcpy((char *)o + k->offset, &v, sizeof(v));
	return 0;
}

static int set(const struct key *k, const char *value, struct port_options *o)
{
	char **field = (char **)((char *)o + k->offset);

	if (k->kind == NUMBER)
		return set_number(k, value, o);
	free(*field);
	*field = strdup(value);
	return *field ? 0 : -ENOMEM;
}

static int set_pair(char *pair, struct port_options *o)
{
	char *value = strchr(pair, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; value && i < N_KEYS; i++)
		if (keys[i].name && !strcmp(keys[i].name, pair))
			return set(&keys[i], value, o);
	fprintf(stderr, "--port: %s: no such key, see --help\n", pair);
	return -EINVAL;
}

static int set_defaults(struct port_options *o)
{
	int err = 0;

	for (size_t i = 0; !err && i < N_KEYS; i++)
		if (keys[i].value)
			err = set(&keys[i], keys[i].value, o);
	return err;
}

static bool has_key(const char *group, const char *key)
{
	for (const char *p = group; p; p = strchr(p, ','), p = p ? p + 1 : NULL)
		if (!strncmp(p, key, strlen(key)))
			return true;
	return false;
}

/* tap= and hostile= name the mode as well. A tap guest is a Linux guest and uses what Linux uses; a hostile
 * one's headers would not be looked at else. The group may still say otherwise. */
static int set_mode_defaults(const char *group, struct port_options *o)
{
	bool tap = has_key(group, "tap="), hostile = has_key(group, "hostile=");

	o->csum = o->gso = o->guest_csum = o->guest_gso = tap || hostile;
	if (!tap && !hostile)
		return 0;
	free(o->mode);
	o->mode = strdup(tap ? "tap" : "hostile");
	return o->mode ? 0 : -ENOMEM;
}

int options_parse(const char *group, struct port_options *o)
{
	char *copy = strdup(group), *save = NULL;
	int err;

	*o = (struct port_options){ 0 };
	if (!copy)
		return -ENOMEM;
	err = set_defaults(o);
	if (!err)
		err = set_mode_defaults(group, o);
	for (char *pair = strtok_r(copy, ",", &save); !err && pair; pair = strtok_r(NULL, ",", &save))
		err = set_pair(pair, o);
	free(copy);
	if (!err && !o->socket)
		err = complain("socket", "", "a path is required");
	if (!err && strcmp(o->ring, "split") && strcmp(o->ring, "packed"))
		err = complain("ring", o->ring, "split or packed");
	if (!err && strcmp(o->packed_base, "own") && strcmp(o->packed_base, "qemu"))
		err = complain("packed-base", o->packed_base, "own or qemu");
	if (!err && (o->size & (o->size - 1)))
		err = complain("size", "", "a power of two");
	return err;
}

void options_free(struct port_options *o)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (keys[i].name && keys[i].kind == TEXT)
			free(*(char **)((char *)o + keys[i].offset));
	*o = (struct port_options){ 0 };
}
