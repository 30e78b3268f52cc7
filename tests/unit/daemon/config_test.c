/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: what is accepted, and the exact messages for what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "daemon/config.h"
#include "daemon/config_policy.h"

/* Parse; the errors joined by line feeds, "" when there are none. */
static char *errors_of(const char *text, size_t len)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	int r = config_parse("t", text, len, &c, &errors);
	char *all;

	if (r == 0)
		config_check_policy(c, NULL, &errors);
	all = config_errors_join(&errors);
	assert_non_null(all);
	assert_int_equal(r == 0, c != NULL);
	assert_true(r == 0 || errors.n_errors);
	config_free(c);
	config_errors_free(&errors);
	return all;
}

static struct config *parse_good(const char *text)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	int r = config_parse("t", text, strlen(text), &c, &errors);
	char *all = config_errors_join(&errors);

	if (r < 0)
		fail_msg("refused:\n%s\n%s", text, all);
	free(all);
	config_errors_free(&errors);
	return c;
}

#define SUBNET	"subnets = ( { vsid = 5001; rdid = \"a\"; gateways = [\"10.1.0.1/24\"]; } );\n"
#define HOSTS	"hosts = ( { id = \"h1\"; pas = ( { address = \"192.0.2.11\"; } ); },\n" \
		"{ id = \"h2\"; pas = ( { address = \"192.0.2.21\"; } ); } );\n"
#define H1	"host = { id = \"h1\"; };\n"

static const struct bad {
	const char *text, *errors;
} bad[] = {
	/* syntax: the first, with its place */
	{"host = { id = \"h1\" \n\n] };", "t:3: syntax error"},
	{"host = { id = \"h1\"\n", "t:1: { is not closed where the file ends"},
	{"host = { id = \"h1\"", "t:1: { is not closed where the file ends"},
	{H1 "subnets = (\n{ vsid = 5001; # }\n /* } */ rdid = \"}\\\"\";\n\n",
	 "t:3: { is not closed where the file ends"},
	{H1 "subnets = (\n{ vsid = 5001; },\n", "t:2: ( is not closed where the file ends"},
	{H1 "subnets = (\n{ vsid = 5001; gateways = [\n\"10.0.0.1/24\",", "t:3: [ is not closed where the file ends"},
	{"host = {\nid = ;\n", "t:2: syntax error"},
	{"host = { };\nhost = { };", "t:2: duplicate setting name"},
	{"/* for ever", "t:1: comment is not closed"},
	{"\nhost = { id = \"h1 };\n", "t:2: text is not closed by a quotation mark"},
	{"workers = { cores = [1, \"x\"]; };", "t:1: mismatched element type in array"},
	/* numbers that libconfig would cut or misread */
	{"workers = {\n count = 99999999999; };", "t:2: workers: count: '99999999999' is out of range, allowed: 1..64"},
	{"workers = { count = 0x100000001; };", "t:1: workers: count: '4294967297' is out of range, allowed: 1..64"},
	{"workers = { count = 99999999999999999999; };", "t:1: number 99999999999999999999 is out of range"},
	{"workers = { count = -1; };", "t:1: workers: count: '-1' is not valid, allowed: 1..64"},
	{"workers = { count = 012; };",
	 "t:1: number 012 begins with 0: is it octal? Octal values are written as text, \"0660\""},
	{"workers = { count = 1.05; };", "t:1: workers: count: a number is needed (1..64), not the fraction 1.05"},
	/* names */
	{"wrokers = { };", "t:1: unknown key 'wrokers', did you mean 'workers'?"},
	{H1 "workers = { cuont = 1; };", "t:2: workers: unknown key 'cuont', did you mean 'count'?"},
	{"log = { zzzzzzzz = 1; };", "t:1: log: unknown key 'zzzzzzzz', allowed: level"},
	{"log = { level = \"inof\"; };",
	 "t:1: log: level: 'inof' is not valid, allowed: error|warning|notice|info|debug (did you mean 'info'?)"},
	/* types */
	{"workers = 3;", "t:1: workers: a group { } is needed, not the number 3"},
	{"workers = { count = \"3\"; };", "t:1: workers: count: a number is needed (1..64), not the text \"3\""},
	{"workers = { cores = 3; };", "t:1: workers: cores: an array [ ] is needed, not the number 3"},
	{"nvgre = { flow-id = 1; };", "t:1: nvgre: flow-id: true or false is needed, not the number 1"},
	{"host = { id = 5; };", "t:1: host: id: text in quotes is needed (name of at most 63 characters A-Z a-z 0-9 . "
				"_ : -), not the number 5"},
	{"workers = { cores = [\"1\\n2\"]; };",
	 "t:1: workers: cores: a number is needed (0..1023), not the text \"1?2\""},
	{"records = { };", "t:1: records: a list ( ) is needed, not a group { }"},
	{"records = ( 7 );", "t:1: records: a group { } is needed, not the number 7"},
	{"hosts = ( { id = \"h2\"; pas = [\"1.2.3.4\"]; } );",
	 "t:1: hosts: pas: a list ( ) is needed, not an array [ ]"},
	{"hosts = ( { id = \"h2\"; pas = ( { address = \"1.2.3.4\";\n weight = 900; } ); } );",
	 "t:2: hosts: pas: weight: '900' is out of range, allowed: 1..255"},
	{"hosts = ( { id = \"h2\"; pas = ( { weight = 9; } ); } );", "t:1: hosts: pas: address is missing"},
	{"underlay = { plain-uplink = true; }; ports = ( { id = \"p\"; } ); members = ( { name = \"a\"; "
	 "type = \"af-xdp\"; } );",
	 "t:1: members: type: af-xdp receives NVGRE only, which underlay.plain-uplink does not go with\n"
	 "t:1: ports: macs: with underlay.plain-uplink a plain port needs at least one"},
	{"underlay = { plain-uplink = true; };\nteam = { device = \"team0\"; member-type = \"af-xdp\"; };",
	 "t:2: team: member-type: af-xdp receives NVGRE only, which underlay.plain-uplink does not go with"},
	{"team = { provider = \"libteam\"; };", "t:1: team: provider libteam needs a device"},
	{"team = { device = \"team0\"; runner = \"lapc\"; };",
	 "t:1: team: runner: 'lapc' is not valid, allowed: "
	 "ask|lacp|activebackup|loadbalance|roundrobin|random|broadcast (did you mean 'lacp'?)"},
	/* settings */
	{"paths = { run-dir = \"run\"; };", "t:1: paths: run-dir: 'run' is not an absolute path\n"
					    "t:1: paths: socket-dir: 'run/ports' is not an absolute path"},
	{"control = { admin-group = \"no such group\"; };",
	 "t:1: control: admin-group: there is no group 'no such group' on this machine"},
	{"workers = { cores = [1, 0, 1]; };", "t:1: workers: cores: 1 is given twice"},
	/* several at once, in the order of the file */
	{"host = { id = \"-\"; };\nrecords = (\n{ vsid = 5; ca = \"10.1.0.300\";\nmac = 7; hosts = \"h1\"; } );",
	 "t:1: host: id: '-' is not valid, allowed: name of at most 63 characters A-Z a-z 0-9 . _ : -\n"
	 "t:3: records: ca: '10.1.0.300' is not an IPv4 or IPv6 address\n"
	 "t:3: records: vsid: '5' is out of range, allowed: 4096..16777214\n"
	 "t:4: records: mac: text in quotes is needed (MAC address), not the number 7\n"
	 "t:4: records: unknown key 'hosts', did you mean 'host'?"},
	/* objects by themselves */
	{"records = ( { vsid = 5001; mac = \"02:00:00:00:00:01\"; host = \"h1\"; } );",
	 "t:1: records: ca: a record of type static needs a customer address"},
	{"records = ( { vsid = 5001; ca = \"10.0.0.1\"; host = \"h1\"; } );", "t:1: records: mac is missing"},
	{"records = ( { vsid = 16777215; } );",
	 "t:1: records: vsid: '16777215' is out of range, allowed: 4096..16777214"},
	{"records = ( { unusable = true; } );",
	 "t:1: records: unknown key 'unusable', allowed: vsid ca mac host provider-address type"},
	{"ports = ( { id = \"a\"; type = \"tap\"; } );",
	 "t:1: ports: type: tap is not available in this version, allowed: vhost-user"},
	{"ports = ( { id = \"a\"; socket-mode = \"999\"; } );",
	 "t:1: ports: socket-mode: '999' is not valid, allowed: 0000..0777"},
	/* objects against each other */
	{H1 HOSTS SUBNET "records = (\n"
			 "{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h1\"; },\n"
			 "{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:02\"; host = \"h1\"; } );",
	 "t:7: records: 5001/10.1.0.2 is already defined at t:6"},
	{H1 HOSTS SUBNET "records = (\n"
			 "{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h1\"; },\n"
			 "{ vsid = 5001; ca = \"10.1.0.3\"; mac = \"02:00:00:00:00:01\"; host = \"h2\"; } );",
	 "t:7: records: MAC 02:00:00:00:00:01 of virtual subnet 5001 is on host h2 here, on host h1 at t:6"},
	{H1 HOSTS SUBNET
	 "records = ( {\n vsid = 5001; ca = \"10.1.0.1\"; mac = \"02:00:00:00:00:01\"; host = \"h1\"; } );",
	 "t:5: records: ca: 10.1.0.1 is the gateway of virtual subnet 5001 (t:4)"},
	{H1 HOSTS SUBNET "records = ( { vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h1\";\n"
			 "provider-address = \"192.0.2.21\"; } );",
	 "t:5: records: provider-address: 192.0.2.21 is not one of host h1 (t:2)"},
	{"hosts = ( { id = \"h1\"; pas = ( { address = \"192.0.2.1\"; } ); },\n"
	 "{ id = \"h2\"; pas = ( { address = \"192.0.2.1\"; } ); } );",
	 "t:2: hosts: provider address 192.0.2.1 of host h2 is host h1's (t:1)"},
	{H1 HOSTS "provider-addresses = ( { address = \"192.0.2.21\"; prefix-length = 24; } );",
	 "t:4: provider-addresses: 192.0.2.21 is host h2's (t:3), this host is h1"},
	{H1 HOSTS "provider-addresses = ( { address = \"192.0.2.99\"; prefix-length = 24; } );",
	 "t:4: provider-addresses: 192.0.2.99 is missing in the addresses of host h1 (t:2)"},
	{H1 "members = ( { name = \"a0\"; } );\n"
	    "provider-addresses = ( { address = \"192.0.2.99\"; prefix-length = 24; member = \"a1\"; } );",
	 "t:3: provider-addresses: member: a1 is not one of the members (home of 192.0.2.99)"},
	{SUBNET "\nports = ( { id = \"a\"; vsid = 5001; macs = [\"02:00:00:00:00:01\"]; },\n"
		"{ id = \"b\"; vsid = 5001; macs = [\"02:00:00:00:00:02\", \"02:00:00:00:00:01\"]; } );",
	 "t:4: ports: macs: 02:00:00:00:00:01 is also port a's in virtual subnet 5001 (t:3)"},
	{"ports = ( { id = \"a\"; socket = \"/run/vswitchd/ports/b.sock\"; },\n{ id = \"b\"; } );",
	 "t:2: ports: socket: /run/vswitchd/ports/b.sock is also port a's (t:1)"},
	{"subnets = ( { vsid = 5001; rdid = \"a\"; gateways = [\"10.1.0.1/16\", \"fe80::1/64\"]; },\n"
	 "{ vsid = 5002; rdid = \"b\"; gateways = [\"10.1.0.1/16\"]; },\n"
	 "{ vsid = 5003; rdid = \"a\"; gateways = [\"10.1.9.1/24\", \"fe80::1/64\"]; } );",
	 "t:3: subnets: gateways: 10.1.9.0/24 overlaps with 10.1.0.0/16 of virtual subnet 5001 in routing domain a "
	 "(t:1)"},
	/* many records need room */
	{H1 HOSTS SUBNET "policy = { max-records = 1; };\nrecords = (\n"
			 "{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h1\"; },\n"
			 "{ vsid = 5001; ca = \"10.1.0.3\"; mac = \"02:00:00:00:00:02\"; host = \"h1\"; } );",
	 "t:8: records: there are 2, more than policy.max-records = 1"},
	/* references to what may come from elsewhere are warnings */
	{H1 "records = (\n{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h9\"; } );",
	 "t:3: warning: records: host 'h9' is not in the configuration\n"
	 "t:3: warning: records: virtual subnet 5001 is not in the configuration"},
};

static void test_bad(void **state)
{
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *got = errors_of(bad[i].text, strlen(bad[i].text));

		if (strcmp(got, bad[i].errors) != 0)
			fail_msg("for:\n%s\nexpected:\n%s\ngot:\n%s", bad[i].text, bad[i].errors, got);
		free(got);
	}
}

static void test_nul(void **state)
{
	static const char text[] = "host = { };\n\0host = 3;";
	char *got = errors_of(text, sizeof(text) - 1);

	assert_string_equal(got, "t:2: a NUL byte: this is not a text file");
	free(got);
}

/* ---- every setting ---- */

/* A legal value that is not the default. */
static void other_value(const struct field *f, char *buf, size_t size)
{
	unsigned long long v = f->def ? strtoull(f->def, NULL, 0) : 0;

	switch (f->type) {
	case FIELD_BOOL:
		snprintf(buf, size, "%s", f->def && strcmp(f->def, "true") == 0 ? "false" : "true");
		break;
	case FIELD_UINT:
		snprintf(buf, size, f->max_items ? "[%llu]" : "%llu",
			 v == f->max ? (unsigned long long)f->min : (unsigned long long)f->max);
		break;
	case FIELD_ENUM:
		snprintf(buf, size, "\"%s\"", f->names[1] ? f->names[1] : f->names[0]);
		break;
	default:
		snprintf(buf, size,
			 strstr(f->name, "dir")	    ? "\"/tmp/x\""
			 : strstr(f->name, "group") ? "\"root\""
			 : strstr(f->name, "listen") ? "\"[::1]:9\""
			 : strcmp(f->name, "path") == 0 || strcmp(f->name, "prefix") == 0 ? "\"/other\""
			 : strcmp(f->name, "endpoints") == 0 ? "[ \"https://10.0.0.1:2379\" ]"
						    : "\"other\"");
	}
}

/* What a setting does not go without. */
static const char *companion(const char *name)
{
	static const char *const pairs[][2] = {
		{ "provider", "device = \"team0\"; " },  { "backend", "endpoints = [ \"http://a:1\" ]; " },
		{ "endpoints", "backend = \"etcd\"; " }, { "cert", "key = \"k\"; " },
		{ "key", "cert = \"c\"; " },		 { "user", "password-file = \"p\"; " },
		{ "password-file", "user = \"u\"; " },
	};

	for (unsigned int i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (strcmp(name, pairs[i][0]) == 0)
			return pairs[i][1];
	return "";
}

static void check_row(const struct settings_group *g, const struct field *f)
{
	const struct field one[2] = { *f };
	char value[64], text[512];
	struct settings def;
	struct errbuf err;
	struct config *c;
	int r;

	other_value(f, value, sizeof(value));
	snprintf(text, sizeof(text), "%s = { %s = %s; %s};", g->name, f->name, value,
		 companion(f->name));
	c = parse_good(text);
	settings_defaults(&def);
	settings_complete(&def);
	if (f->type != FIELD_ENUM || f->names[1])
		assert_false(field_equal(one, &def, &c->settings));
	/* Only marked rows may be reloaded, and the refusal names the setting. */
	r = settings_reloadable(&def, &c->settings, &err);
	if (f->flags & FIELD_RELOAD || (f->type == FIELD_ENUM && !f->names[1])) {
		assert_int_equal(r, 0);
	} else {
		snprintf(text, sizeof(text), "%s.%s", g->name, f->name);
		assert_int_equal(r, -EINVAL);
		assert_non_null(strstr(err.text, text));
	}
	config_free(c);
}

static void test_every_setting(void **state)
{
	const struct settings_group *g;
	const struct field *f;
	unsigned int n = 0;

	for (g = settings_groups; g->name; g++)
		for (f = g->rows; f->name; f++, n++)
			check_row(g, f);
	assert_true(n >= 25);
}

/* The sample is a legal configuration, also with every comment sign before a setting or object taken away. */
static void test_sample(void **state)
{
	char *text = NULL, *p;
	struct config *c;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	unsigned int k;

	config_print_sample(f);
	fclose(f);
	c = parse_good(text);
	config_free(c);
	for (p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
		if (*p == '#' && p[1] != ' ')
			*p = ' ';
	/* This default cannot be written down: it stands for what the machine is called. */
	p = strstr(text, "id = \"\"");
	assert_non_null(p);
	*p = '#';
	c = parse_good(text);
	for (k = 0; k < OBJECT_COUNT; k++)
		assert_int_equal(c->objects[k].n, 1);
	config_free(c);
	free(text);
}

/* ---- files ---- */

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	assert_int_equal(fclose(f), 0);
}

static void check_load(const char *dir, const char *name, const char *expected)
{
	struct config_errors errors = { 0 };
	struct config *c = NULL;
	char path[256], *all, *p;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	config_load(path, &c, &errors);
	all = config_errors_join(&errors);
	/* Without the directory's random name. */
	while ((p = strstr(all, dir)))
		memmove(p, p + strlen(dir) + 1, strlen(p + strlen(dir) + 1) + 1);
	if (strcmp(all, expected) != 0)
		fail_msg("%s: expected:\n%s\ngot:\n%s", name, expected, all);
	free(all);
	config_errors_free(&errors);
	config_free(c);
}

static void test_include(void **state)
{
	char dir[] = "/tmp/config-test-XXXXXX", path[256];
	static const char *const files[] = { "main", "sub/a", "b", "loop", "dirs", "gone", "text", "comment" };
	unsigned int i;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sub", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	write_file(dir, "main", "host = { id = \"h1\"; };\n@include \"sub/a\"\nlog = { levle = \"info\"; };\n");
	write_file(dir, "sub/a", "\n  @include \"../b\"\nnvgre = { flow = 1; };");
	write_file(dir, "b", "workers = { cout = 3; };");
	/* A number of lines behind each include, and relative names. */
	check_load(dir, "main",
		   "main:3: log: unknown key 'levle', did you mean 'level'?\n"
		   "sub/a:3: nvgre: unknown key 'flow', allowed: flow-id accept-inner-vid0 redirect\n"
		   "sub/../b:1: workers: unknown key 'cout', did you mean 'count'?");
	write_file(dir, "loop", "\n@include \"loop\"\n");
	check_load(dir, "loop", "loop:2: loop: files include each other in a circle, or more than 10 deep");
	write_file(dir, "dirs", "@include \"sub\"\n");
	check_load(dir, "dirs", "dirs:1: cannot read sub: Is a directory");
	write_file(dir, "gone", "@include \"nothing\"\n");
	check_load(dir, "gone", "gone:1: cannot read nothing: No such file or directory");
	/* No directives: inside text, inside a comment, not at the start of a line. */
	write_file(dir, "text", "host = { id = \"x\n@include \\\"sub\\\"\"; };\n");
	check_load(
		dir, "text",
		"text:1: host: id: 'x?@include \"sub\"' is not valid, allowed: name of at most 63 characters A-Z a-z "
		"0-9 . _ : -");
	write_file(dir, "comment", "/*\n@include \"sub\"\n*/ # @include \"sub\"\n// \\\n@include \"b\"\n");
	check_load(dir, "comment", "b:1: workers: unknown key 'cout', did you mean 'count'?");
	check_load(dir, "sub", "cannot read sub: Is a directory");
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/sub", dir);
	rmdir(path);
	rmdir(dir);
}

/* ---- places at run time ---- */

static void test_index(void **state)
{
	struct config *c = parse_good(H1 HOSTS SUBNET "records = (\n\n"
		"{ vsid = 5001; ca = \"10.1.0.2\"; mac = \"02:00:00:00:00:01\"; host = \"h1\"; } );");
	struct record_spec key = { .vsid = 5001 };
	struct config_index *x = NULL;
	const char *file = NULL;
	unsigned int line = 0;

	assert_int_equal(config_index_new(c, &x), 0);
	config_free(c);
	parse_ip("10.1.0.2", &key.ca);
	assert_true(config_index_find(x, OBJECT_RECORD, &key, &file, &line));
	assert_string_equal(file, "t");
	assert_int_equal(line, 7);
	key.vsid = 5002;
	assert_false(config_index_find(x, OBJECT_RECORD, &key, &file, &line));
	config_index_free(x);
}

/* 100,000 records in one file: parsing must not be quadratic. The bound is loose, for slow machines. */
static void test_large(void **state)
{
	struct config *c;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	unsigned int i, n = 100000;
	clock_t start;

	fputs(H1 HOSTS "policy = { max-records = 100000; };\nrecords = (\n", f);
	for (i = 0; i < n; i++)
		fprintf(f,
			"{ vsid = %u; ca = \"10.%u.%u.%u\"; mac = \"02:00:%02x:%02x:%02x:%02x\"; host = \"h%u\"; }%s\n",
			5000 + i % 100, i >> 16, i >> 8 & 255, i & 255, i >> 24, i >> 16 & 255, i >> 8 & 255, i & 255,
			1 + i % 2, i + 1 < n ? "," : "");
	fputs(");\nsubnets = (", f);
	for (i = 0; i < 100; i++)
		fprintf(f, "%s{ vsid = %u; rdid = \"a\"; }", i ? "," : "", 5000 + i);
	fputs(");\n", f);
	fclose(f);
	start = clock();
	c = parse_good(text);
	assert_int_equal(c->objects[OBJECT_RECORD].n, n);
	assert_true((clock() - start) / CLOCKS_PER_SEC < 20);
	config_free(c);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),	      cmocka_unit_test(test_nul),
		cmocka_unit_test(test_every_setting), cmocka_unit_test(test_sample),
		cmocka_unit_test(test_include),	      cmocka_unit_test(test_index),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
