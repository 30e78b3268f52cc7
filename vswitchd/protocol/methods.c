/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "protocol/protocol.h"

const char *const method_level_names[] = { "read", "operate", "admin", NULL };

const struct method_info methods[METHOD_COUNT] = {
#define X(sym, name_, level_, more_, in_, out_, text_)                                                                 \
	[METHOD_##sym] = {.name = name_, .level = LEVEL_##level_, .more = more_, .in = in_, .out = out_, .text = text_},
	METHOD_LIST(X)
#undef X
};

static const struct {
	const char *name;
	int code;
	const char *text;
} errors[PROTOCOL_ERROR_COUNT] = {
#define X(sym, name_, code_, text_) [PROTOCOL_ERROR_##sym] = { PROTOCOL_INTERFACE "." name_, code_, text_ },
	ERROR_LIST(X)
#undef X
};

const char *protocol_error_name(int r)
{
	if (r == -ERANGE) /* a value outside its range is wrong like any other */
		r = -EINVAL;
	for (unsigned int i = 0; i < PROTOCOL_ERROR_COUNT; i++)
		if (errors[i].code == -r)
			return errors[i].name;
	return errors[PROTOCOL_ERROR_FAILED].name;
}

int protocol_error_errno(const char *name)
{
	for (unsigned int i = 0; name && i < PROTOCOL_ERROR_COUNT; i++)
		if (strcmp(errors[i].name, name) == 0)
			return -errors[i].code;
	return -EIO;
}

enum method method_find(const char *full_name)
{
	static const char prefix[] = PROTOCOL_INTERFACE ".";

	if (!full_name || strncmp(full_name, prefix, sizeof(prefix) - 1) != 0)
		return METHOD_COUNT;
	for (unsigned int i = 0; i < METHOD_COUNT; i++)
		if (strcmp(methods[i].name, full_name + sizeof(prefix) - 1) == 0)
			return (enum method)i;
	return METHOD_COUNT;
}

char *protocol_idl(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "# Control interface of vswitchd\ninterface %s\n", PROTOCOL_INTERFACE);
	for (unsigned int i = 0; i < METHOD_COUNT; i++)
		fprintf(f, "\n# %s (%s)\nmethod %s(%s) -> (%s)\n", methods[i].text,
			method_level_names[methods[i].level], methods[i].name, methods[i].in, methods[i].out);
	for (unsigned int i = 0; i < PROTOCOL_ERROR_COUNT; i++)
		fprintf(f, "\n# %s\nerror %s(text: string)\n", errors[i].text,
			errors[i].name + sizeof(PROTOCOL_INTERFACE));
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

struct json_object *call_new(const char *method, struct json_object *parameters, bool more)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "method", json_object_new_string(method));
	json_object_object_add(o, "parameters", parameters ? parameters : json_object_new_object());
	if (more)
		json_object_object_add(o, "more", json_object_new_boolean(true));
	return o;
}

struct json_object *reply_new(struct json_object *parameters, bool continues)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "parameters", parameters ? parameters : json_object_new_object());
	if (continues)
		json_object_object_add(o, "continues", json_object_new_boolean(true));
	return o;
}

struct json_object *error_new(int r, const char *text)
{
	struct json_object *o = json_object_new_object(), *p = json_object_new_object();

	json_object_object_add(o, "error", json_object_new_string(protocol_error_name(r)));
	json_object_object_add(p, "text", json_object_new_string(text));
	json_object_object_add(o, "parameters", p);
	return o;
}

int protocol_connect(const char *path, struct errbuf *err)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd, r;

	if (str_copy(a.sun_path, sizeof(a.sun_path), path) < 0)
		return err_set(err, ENAMETOOLONG, "%s: socket paths have at most %zu characters", path,
			       sizeof(a.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, errno, "socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	r = errno;
	close(fd);
	if (r == ENOENT || r == ECONNREFUSED)
		return err_set(err, r,
			       "%s: vswitchd is not running there (systemctl status vswitchd; --socket names another)",
			       path);
	if (r == EACCES)
		return err_set(err, r, "%s: no permission to connect (root, or a member of the groups in `control`)",
			       path);
	return err_set(err, r, "%s: %s", path, strerror(r));
}
