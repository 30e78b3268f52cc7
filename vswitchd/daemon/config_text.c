/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text of the configuration before libconfig sees it. libconfig 1.5 cuts numbers to 32 bits without a word, ends the
 * process when an included "file" is a directory, and stops at a NUL byte. So @include is done here, numbers
 * that need 64 bits get libconfig's L suffix, and what cannot be represented is an error with its place.
 */
#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "daemon/config_private.h"

#define INCLUDE_DEPTH 10
#define FILES_MAX     4096
#define TEXT_MAX      (512u << 20)

struct scan {
	struct config *config;
	struct config_text *out;
	struct config_errors *errors;
	const char *p, *end;
	struct config_where where;
	unsigned int depth;
};

static int scan_file(const char *file, unsigned int depth, const struct scan *from, struct config *c,
		     struct config_text *out, struct config_errors *errors);

int config_grow(void *array, size_t *room, size_t n, size_t size)
{
	size_t want = *room ? *room * 2 : 16;
	void *p;

	if (n < *room)
		return 0;
	p = reallocarray(*(void **)array, want, size);
	if (!p)
		return -ENOMEM;
	*(void **)array = p;
	*room = want;
	return 0;
}

static int emit(struct config_text *t, const char *s, size_t n)
{
	size_t room = t->room ? t->room : 4096;
	char *p;

	if (n > TEXT_MAX - t->len)
		return -EFBIG;
	while (room < t->len + n + 1)
		room *= 2;
	if (room != t->room) {
		p = realloc(t->text, room);
		if (!p)
			return -ENOMEM;
		t->text = p;
		t->room = room;
	}
	memcpy(t->text + t->len, s, n);
	t->len += n;
	t->text[t->len] = '\0';
	return 0;
}

static int segment(struct config_text *t, struct config_where where)
{
	int r = config_grow(&t->segments, &t->segments_room, t->n_segments, sizeof(*t->segments));

	if (r < 0)
		return r;
	t->segments[t->n_segments++] = (struct config_segment){ t->line, where };
	return 0;
}

struct config_where config_text_where(const struct config_text *t, uint32_t line)
{
	size_t lo = 0, hi = t->n_segments;
	struct config_where w = { 0 };

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->segments[mid].first <= line)
			lo = mid;
		else
			hi = mid;
	}
	if (t->n_segments) {
		w = t->segments[lo].where;
		w.line += line > t->segments[lo].first ? line - t->segments[lo].first : 0;
	}
	return w;
}

/* Copy n bytes to the output and count their lines. */
static int take(struct scan *s, size_t n)
{
	int r = emit(s->out, s->p, n);

	for (; n; n--, s->p++) {
		if (*s->p == '\n') {
			s->where.line++;
			s->out->line++;
		}
	}
	return r;
}

static int take_comment(struct scan *s)
{
	const char *stop = NULL;

	if (s->p[0] == '#' || s->p[1] == '/') {
		stop = memchr(s->p, '\n', (size_t)(s->end - s->p));
		return take(s, (size_t)((stop ? stop : s->end) - s->p));
	}
	if (s->end - s->p >= 4)
		stop = memmem(s->p + 2, (size_t)(s->end - s->p) - 2, "*/", 2);
	if (!stop) {
		config_error(s->config, s->errors, s->where, "comment is not closed");
		return take(s, (size_t)(s->end - s->p));
	}
	return take(s, (size_t)(stop + 2 - s->p));
}

static int take_string(struct scan *s)
{
	const char *q = s->p + 1;

	while (q < s->end && *q != '"')
		q += *q == '\\' && q + 1 < s->end ? 2 : 1;
	if (q >= s->end) {
		config_error(s->config, s->errors, s->where, "text is not closed by a quotation mark");
		return take(s, (size_t)(s->end - s->p));
	}
	return take(s, (size_t)(q + 1 - s->p));
}

static int number_error(struct scan *s, size_t n, const char *what)
{
	config_error(s->config, s->errors, s->where, "number %.*s%s %s", n > 40 ? 40 : (int)n, s->p,
		     n > 40 ? "..." : "", what);
	return take(s, n);
}

static int take_number(struct scan *s)
{
	const char *digits = s->p + (*s->p == '-' || *s->p == '+'), *q = digits;
	bool hex = s->end - q > 2 && q[0] == '0' && (q[1] == 'x' || q[1] == 'X') && isxdigit((unsigned char)q[2]);
	char text[24];
	size_t n;
	long long v;
	int r;

	for (q += hex ? 2 : 0; q < s->end && (hex ? isxdigit((unsigned char)*q) : isdigit((unsigned char)*q)); q++)
		;
	if (!hex && q < s->end && (*q == '.' || *q == 'e' || *q == 'E')) {
		while (q < s->end && *q && strchr("0123456789.eE+-", *q))
			q++;
		return take(s, (size_t)(q - s->p)); /* no setting is a fraction: refused by its type */
	}
	n = (size_t)(q - s->p);
	if (!hex && q - digits > 1 && digits[0] == '0')
		return number_error(s, n, "begins with 0: is it octal? Octal values are written as text, \"0660\"");
	if (n >= sizeof(text))
		return number_error(s, n, "is out of range");
	memcpy(text, s->p, n);
	text[n] = '\0';
	errno = 0;
	v = strtoll(text, NULL, hex ? 16 : 10);
	if (errno)
		return number_error(s, n, "is out of range");
	r = take(s, n);
	if (r == 0 && (v > INT_MAX || v < INT_MIN) && (s->p >= s->end || *s->p != 'L'))
		r = emit(s->out, "L", 1);
	return r;
}

static bool is_name(char c, bool first)
{
	return isalpha((unsigned char)c) || c == '*' || (!first && (isdigit((unsigned char)c) || c == '-' || c == '_'));
}

/* At the start of a line: is it @include "path"? Then *ret_path is malloc'ed and the directive skipped. */
static bool skip_include(struct scan *s, char **ret_path)
{
	const char *q = s->p, *start;

	while (q < s->end && (*q == ' ' || *q == '\t'))
		q++;
	if (s->end - q < 9 || memcmp(q, "@include", 8) != 0)
		return false;
	q += 8;
	while (q < s->end && (*q == ' ' || *q == '\t'))
		q++;
	start = ++q;
	if (start > s->end || start[-1] != '"')
		return false;
	while (q < s->end && *q != '"' && *q != '\n')
		q++;
	if (q == s->end || *q != '"')
		return false;
	*ret_path = strndup(start, (size_t)(q - start));
	s->p = q + 1;
	return *ret_path != NULL;
}

static int include(struct scan *s, const char *path)
{
	const char *from = s->config->files[s->where.file], *slash = strrchr(from, '/');
	CLEANUP_FREE char *full = NULL;
	int r;

	if (path[0] == '/' || !slash)
		full = strdup(path);
	else if (asprintf(&full, "%.*s/%s", (int)(slash - from), from, path) < 0)
		full = NULL;
	if (!full)
		return -ENOMEM;
	r = scan_file(full, s->depth + 1, s, s->config, s->out, s->errors);
	return r < 0 ? r : segment(s->out, s->where);
}

static int scan_one(struct scan *s)
{
	const char *q = s->p;

	if (*q == '#' || (*q == '/' && s->end - q > 1 && (q[1] == '/' || q[1] == '*')))
		return take_comment(s);
	if (*q == '"')
		return take_string(s);
	if (isdigit((unsigned char)*q) || ((*q == '-' || *q == '+') && s->end - q > 1 && isdigit((unsigned char)q[1])))
		return take_number(s);
	if (is_name(*q, true)) {
		while (q < s->end && is_name(*q, q == s->p))
			q++;
		return take(s, (size_t)(q - s->p));
	}
	return take(s, 1);
}

static int scan_text(struct scan *s)
{
	bool line_start = true;
	int r;

	r = segment(s->out, s->where);
	while (r == 0 && s->p < s->end) {
		CLEANUP_FREE char *path = NULL;

		if (line_start && skip_include(s, &path)) {
			r = include(s, path);
			line_start = false;
		} else {
			r = scan_one(s);
			line_start = s->p[-1] == '\n';
		}
	}
	/* The next file's first token must not stick to our last one, nor our comment swallow it. */
	if (r == 0) {
		r = emit(s->out, "\n", 1);
		s->out->line++;
	}
	return r;
}

static int scan_named(const char *name, const char *text, size_t len, unsigned int depth, struct config *c,
		      struct config_text *out, struct config_errors *errors)
{
	struct scan s = { .config = c, .out = out, .errors = errors, .p = text, .end = text + len, .depth = depth };
	const char *nul = memchr(text, '\0', len);
	size_t room = c->n_files;
	char *copy;

	/* Doubling by hand: `files` has no room member of its own, its count is a power of two when it is full. */
	if ((room & (room - 1)) == 0) {
		char **p = reallocarray(c->files, room ? room * 2 : 1, sizeof(*p));

		if (!p)
			return -ENOMEM;
		c->files = p;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	c->files[c->n_files] = copy;
	s.where = (struct config_where){ .line = 1, .file = (uint16_t)c->n_files++ };
	if (nul) {
		const char *q;

		for (q = text; q < nul; q++)
			s.where.line += *q == '\n';
		config_error(c, errors, s.where, "a NUL byte: this is not a text file");
		return 0;
	}
	return scan_text(&s);
}

/* @return 0 with a malloc'ed text that a NUL byte follows, or -errno. */
static int read_regular(const char *file, char **ret, size_t *ret_len)
{
	CLEANUP_CLOSE int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	CLEANUP_FREE char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
	if (st.st_size > TEXT_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	do {
		n = read(fd, text + len, (size_t)st.st_size - len);
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	} while (n != 0);
	text[len] = '\0';
	*ret = TAKE(text);
	*ret_len = len;
	return 0;
}

static int scan_file(const char *file, unsigned int depth, const struct scan *from, struct config *c,
		     struct config_text *out, struct config_errors *errors)
{
	struct config_where where = from ? from->where : (struct config_where){ 0 };
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	int r;

	if (depth > INCLUDE_DEPTH || c->n_files >= FILES_MAX) {
		config_error(c, errors, where, "%s: files include each other in a circle, or more than %u deep", file,
			     INCLUDE_DEPTH);
		return 0;
	}
	r = read_regular(file, &text, &len);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		errno = -r;
		config_error(c, errors, where, "cannot read %s: %s", file,
			     r == -EINVAL ? "not a regular file" : strerror(-r));
		return 0;
	}
	return scan_named(file, text, len, depth, c, out, errors);
}

int config_text_load(const char *file, struct config *c, struct config_text *ret, struct config_errors *errors)
{
	ret->line = 1;
	return scan_file(file, 0, NULL, c, ret, errors);
}

int config_text_parse(const char *name, const char *text, size_t len, struct config *c, struct config_text *ret,
		      struct config_errors *errors)
{
	ret->line = 1;
	return scan_named(name, text, len, 0, c, ret, errors);
}

void config_text_free(struct config_text *t)
{
	free(t->text);
	free(t->segments);
	*t = (struct config_text){ 0 };
}
