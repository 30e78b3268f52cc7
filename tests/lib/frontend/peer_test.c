/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of vhu-peer that measure: what they say has to be true. */
#include "classify.h"
#include "hist.h"
#include "json.h"
#include "offload.h"
#include "options.h"
#include "pace.h"
#include "pcap.h"
#include "probe.h"

#include "frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_hist(void **state)
{
	struct hist *h = malloc(sizeof(*h));

	assert_non_null(h);
	hist_reset(h);
	assert_int_equal(hist_quantile(h, 500), 0);
	for (uint64_t v = 1; v <= 100000; v++)
		hist_add(h, v * 10);
	assert_int_equal(h->min, 10);
	assert_int_equal(h->max, 1000000);
	/* never below the true value, and at most 1/64 above it */
	assert_in_range(hist_quantile(h, 500), 500000, 507813);
	assert_in_range(hist_quantile(h, 990), 990000, 1000000);
	assert_int_equal(hist_quantile(h, 1000), 1000000);
	hist_reset(h);
	hist_add(h, UINT64_MAX);
	hist_add(h, 0);
	hist_add(h, 63);
	assert_int_equal(hist_quantile(h, 1), 0);
	assert_int_equal(hist_quantile(h, 600), 63);
	assert_int_equal(hist_quantile(h, 1000), UINT64_MAX);
	free(h);
}

static void arrive(struct probe_stats *s, uint16_t flow, uint32_t seq, uint64_t now)
{
	probe_stats_add(s, &(struct probe){ flow, seq, now - 100 }, now);
}

static void test_probe_sequence(void **state)
{
	struct probe_stats s;

	assert_int_equal(probe_stats_init(&s), 0);
	for (uint32_t i = 0xfffffff0; i != 0x10; i++) /* across the end of the numbers */
		arrive(&s, 1, i, 1000);
	assert_int_equal(s.lost, 0);
	arrive(&s, 1, 0x13, 1000); /* 0x10..0x12 missing */
	assert_int_equal(s.lost, 3);
	arrive(&s, 1, 0x11, 1000);
	assert_int_equal(s.lost, 2);
	assert_int_equal(s.reordered, 1);
	arrive(&s, 1, 0x11, 1000);
	arrive(&s, 1, 0x13, 1000);
	assert_int_equal(s.duplicate, 2);
	arrive(&s, 1, 0x13 + 5000, 1000);
	assert_int_equal(s.lost, 2 + 4999);
	arrive(&s, 1, 0x12, 1000);
	assert_int_equal(s.stale, 1);
	arrive(&s, 1, 0x13 + 4999, 1000);
	assert_int_equal(s.reordered, 2);
	assert_int_equal(s.lost, 2 + 4998);
	/* the first two of a flow swapped: nothing is lost */
	arrive(&s, 2, 1, 1000);
	arrive(&s, 2, 0, 1000);
	assert_int_equal(s.reordered, 3);
	assert_int_equal(s.lost, 2 + 4998);
	assert_int_equal(s.flows, 2);
	assert_int_equal(s.latency.n, s.received);
	assert_int_equal(s.latency.max, 100);
	probe_stats_reset(&s);
	arrive(&s, 1, 7, 1000);
	assert_int_equal(s.received, 1);
	assert_int_equal(s.lost + s.duplicate + s.reordered, 0);
	probe_stats_free(&s);
}

static void test_probe_gaps(void **state)
{
	struct probe_stats s;

	assert_int_equal(probe_stats_init(&s), 0);
	arrive(&s, 1, 0, 1000);
	arrive(&s, 2, 0, 1400);
	arrive(&s, 2, 1, 1700);
	arrive(&s, 1, 1, 2000);
	arrive(&s, 2, 2, 2100);
	assert_int_equal(s.gap_ns, 400);
	assert_int_equal(s.gap_at_ns, 1000);
	assert_int_equal(s.flow_gap_ns, 1000);
	assert_int_equal(s.flow_gap_flow, 1);
	probe_stats_free(&s);
}

static void test_probe_bytes(void **state)
{
	const struct probe in = { 0xabcd, 0x12345678, 0x1122334455667788 };
	uint8_t p[PROBE_LEN], frame[80] = { 0 };
	struct probe out;

	probe_put(p, &in);
	assert_memory_equal(p, "\x7e\x57\xab\xcd\x12\x34\x56\x78\x11\x22\x33\x44\x55\x66\x77\x88", PROBE_LEN);
	assert_true(probe_get(p, &out));
	assert_int_equal(out.flow, in.flow);
	assert_int_equal(out.seq, in.seq);
	assert_int_equal(out.sent_ns, in.sent_ns);
	p[0] ^= 1;
	assert_false(probe_get(p, &out));

	memcpy(frame + 12, "\x08\x00\x45", 3);
	frame[23] = 17;
	assert_int_equal(probe_udp_offset(frame, 58), 34);
	assert_int_equal(probe_udp_offset(frame, 57), 0);
	frame[20] = 0x20; /* a fragment */
	assert_int_equal(probe_udp_offset(frame, 58), 0);
	memcpy(frame + 12, "\x81\x00\x00\x05\x86\xdd\x60", 7);
	frame[18 + 6] = 17;
	assert_int_equal(probe_udp_offset(frame, 80), 0);
	memcpy(frame + 12, "\x86\xdd\x60", 3);
	frame[20] = 17;
	assert_int_equal(probe_udp_offset(frame, 78), 54);
}

static void test_classes(void **state)
{
	struct classes c;
	uint32_t key;

	assert_int_equal(classes_init(&c, sizeof(key), 64), 0);
	for (unsigned int round = 0; round < 3; round++)
		for (key = 0; key < 40; key++)
			classes_add(&c, (uint8_t *)&key);
	assert_int_equal(c.n, 40);
	for (unsigned int i = 0; i < 64; i++)
		assert_true(c.entry[i].packets == 0 || c.entry[i].packets == 3);
	for (key = 100; key < 200; key++)
		classes_add(&c, (uint8_t *)&key);
	assert_int_equal(c.n + c.other, 140);
	assert_true(c.other > 80); /* full at 3/4 */
	classes_reset(&c);
	assert_int_equal(c.n + c.other, 0);
	classes_free(&c);
}

/* Sending as it allows gives the rate, whatever the times of asking. */
static void test_pace(void **state)
{
	const uint64_t rates[] = { 1, 3, 999, 1000000, 14880952, 1000000000 };

	for (unsigned int r = 0; r < sizeof(rates) / sizeof(rates[0]); r++) {
		struct pace p = { .rate = rates[r] };
		uint64_t now = 5, steps = 0;

		pace_restart(&p, now);
		while (p.sent < 1000) {
			uint64_t due = pace_deadline(&p);

			assert_true(due >= now || pace_allowed(&p, now, 32) > 0);
			now = due > now ? due : now;
			if (due > 5)
				assert_true(pace_allowed(&p, due, 32) > 0);
			p.sent += pace_allowed(&p, now, 32);
			assert_true(++steps < 3000);
		}
		assert_in_range((now - 5) * rates[r] / 1000000000, 900, 1001);
	}
}

static void test_pace_limits(void **state)
{
	struct pace p = { .rate = 1000, .count = 10 };

	pace_restart(&p, 0);
	assert_int_equal(pace_allowed(&p, 0, 32), 1);
	assert_int_equal(pace_allowed(&p, 5000000, 32), 6);
	assert_int_equal(pace_allowed(&p, 1000000000, 32), 10);
	p.sent = 10;
	assert_true(pace_done(&p));
	assert_int_equal(pace_allowed(&p, 2000000000, 32), 0);
	assert_int_equal(pace_deadline(&p), UINT64_MAX);
	/* held up for a second: it goes on, and does not catch up */
	p = (struct pace){ .rate = 1000 };
	pace_restart(&p, 0);
	assert_int_equal(pace_allowed(&p, 1000000000, 32), 32);
	p.sent += 32;
	assert_int_equal(pace_allowed(&p, 1000000001, 32), 0);
}

/* Frames of every kind, with the checksum done and with it left to the device. */
static size_t build(unsigned int kind, bool partial, uint8_t *room, struct frame *f)
{
	static const uint8_t a6[16] = { 0xfd, [15] = 1 }, b6[16] = { 0xfd, [15] = 2 };
	static const uint8_t opts[4] = { 1, 1, 1, 0 };

	frame_init(f, room, 256);
	f->partial_csum = partial;
	frame_eth(f, FRAME_MAC(2, 0, 0, 0, 0, 2), FRAME_MAC(2, 0, 0, 0, 0, 1), FRAME_AUTO);
	if (kind & 1)
		frame_ip6(f, a6, b6, FRAME_AUTO, 64);
	else
		frame_ip4_full(f, &(struct frame_ip4){ .src = FRAME_IPV4(10, 0, 0, 1),
						       .dst = FRAME_IPV4(10, 0, 0, 2),
						       .opts = opts,
						       .opts_len = kind & 4 ? 4 : 0 });
	if (kind & 2)
		frame_tcp(f, 1000, 2000, 1, 1, 0x10);
	else
		frame_udp(f, 1000, 2000);
	frame_fill(f, 31, 7);
	return (size_t)frame_finish(f);
}

static void test_offload_checksum(void **state)
{
	for (unsigned int kind = 0; kind < 8; kind++) {
		uint8_t got[256], want[256];
		struct frame whole, partial;
		struct vhu_frame f = { .data = got, .len = (uint32_t)build(kind, false, got, &whole) };

		assert_int_equal(build(kind, true, want, &partial), f.len);
		offload_checksum(&f);
		assert_memory_equal(got, want, f.len);
		assert_int_equal(f.hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(f.hdr.csum_start, partial.csum_start);
		assert_int_equal(f.hdr.csum_offset, partial.csum_offset);
	}
}

static void test_offload_leaves_others_alone(void **state)
{
	uint8_t got[256], want[256];
	struct frame frame;
	struct vhu_frame f = { .data = got, .len = (uint32_t)build(0, false, got, &frame) };

	got[20] = 0x20; /* a fragment */
	memcpy(want, got, f.len);
	offload_checksum(&f);
	assert_memory_equal(got, want, f.len);
	assert_int_equal(f.hdr.flags, 0);
	got[20] = 0;
	got[23] = 1; /* not UDP */
	memcpy(want, got, f.len);
	offload_checksum(&f);
	assert_memory_equal(got, want, f.len);
	got[23] = 17;
	for (f.len = 0; f.len < 54; f.len++)
		offload_checksum(&f);
	assert_int_equal(f.hdr.flags, 0);
}

static void test_pcap(void **state)
{
	char path[] = "/tmp/vhu-pcap-XXXXXX";
	uint8_t hdr[12] = { 0 }, a[100], b[1];
	struct iovec iov[3] = { { hdr, 12 }, { a, 100 }, { b, 1 } };
	struct vhu_pkt pkt = { .iov = iov, .n_iov = 3, .len = 101 };
	struct pcap_writer w;
	struct pcap_frames f;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	memset(a, 0xaa, sizeof(a));
	b[0] = 0xbb;
	assert_int_equal(pcap_read(path, &f), -EINVAL); /* empty file */
	assert_int_equal(pcap_create(path, 2, &w), 0);
	assert_int_equal(pcap_flush(&w), 0);
	assert_int_equal(pcap_read(path, &f), -ENODATA);
	for (unsigned int i = 0; i < 3; i++)
		pcap_write(&w, 1500000000123456789, &pkt);
	assert_int_equal(pcap_close(&w), 0);
	assert_int_equal(pcap_read(path, &f), 0);
	assert_int_equal(f.n, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(f.frame[i].len, 101);
		assert_memory_equal(f.frame[i].data, a, 100);
		assert_int_equal(f.frame[i].data[100], 0xbb);
		assert_int_equal((uintptr_t)f.frame[i].data % 64, 0);
	}
	pcap_frames_free(&f);
	assert_int_equal(truncate(path, 24 + 16 + 101 + 16 + 50), 0);
	assert_int_equal(pcap_read(path, &f), -EINVAL); /* cut off in a frame */
	assert_int_equal(truncate(path, 24 + 16 + 101 + 3), 0);
	assert_int_equal(pcap_read(path, &f), -EINVAL); /* cut off in a header */
	close(fd);
	unlink(path);
}

static void test_json(void **state)
{
	struct json j;

	json_begin(&j);
	json_str(&j, "a\"b", "x\\\n");
	json_open(&j, "list", '[');
	json_u64(&j, NULL, 1);
	json_u64(&j, NULL, UINT64_MAX);
	json_close(&j, ']');
	json_open(&j, "none", '{');
	json_close(&j, '}');
	json_bool(&j, "yes", true);
	json_hex(&j, "hex", 255);
	assert_string_equal(json_end(&j),
			    "{\"a\\\"b\":\"x\\\\\\u000a\",\"list\":[1,18446744073709551615],\"none\":{},"
			    "\"yes\":true,\"hex\":\"0xff\"}\n");
	json_free(&j);
}

static int parse(const char *group, struct port_options *o)
{
	int err = options_parse(group, o);

	if (err)
		options_free(o);
	return err;
}

static void test_options(void **state)
{
	static const char *const wrong[] = {
		"",
		"size=256",
		"socket=a,size=100",
		"socket=a,size=65536",
		"socket=a,mrg=2",
		"socket=a,ring=round",
		"socket=a,colour=red",
		"socket=a,rate=fast",
		"socket=a,rate=-1",
		"socket=a,mtu=99999",
		"socket=a,server",
		"socket=a,packed-base=mine",
	};
	struct port_options o;
	int saved = dup(STDERR_FILENO);

	/* what it says there is for people */
	assert_non_null(freopen("/dev/null", "w", stderr));
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(parse(wrong[i], &o), -EINVAL);
	fflush(stderr);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	assert_int_equal(parse("socket=/x/tap=1,rate=0x10,count=5,count=6", &o), 0);
	assert_string_equal(o.socket, "/x/tap=1");
	assert_string_equal(o.mode, "sink");
	assert_int_equal(o.rate, 16);
	assert_int_equal(o.count, 6);
	assert_int_equal(o.csum, 0);
	assert_int_equal(o.mrg, 1);
	options_free(&o);
	assert_int_equal(parse("socket=a,tap=t0,guest-gso=0", &o), 0);
	assert_string_equal(o.mode, "tap");
	assert_int_equal(o.csum, 1);
	assert_int_equal(o.guest_gso, 0);
	options_free(&o);
	assert_int_equal(parse("hostile=header,socket=a", &o), 0);
	assert_string_equal(o.mode, "hostile");
	assert_int_equal(o.gso, 1);
	options_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hist),
		cmocka_unit_test(test_probe_sequence),
		cmocka_unit_test(test_probe_gaps),
		cmocka_unit_test(test_probe_bytes),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_pace),
		cmocka_unit_test(test_pace_limits),
		cmocka_unit_test(test_offload_checksum),
		cmocka_unit_test(test_offload_leaves_others_alone),
		cmocka_unit_test(test_pcap),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests_name("peer", tests, NULL, NULL);
}
