/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authors write a module as Polycube's do, with leaves and lists at its top
 * level. libyang hashes the children of a node but not top-level nodes, so
 * the data definitions are moved into one list, an entry of which is a cube.
 * This works on statements: it needs to know where they begin and end, no more.
 */
#include <ctype.h>
#include <model/model.h>
#include <stdio.h>

/* Statements of a module that stay outside; what has a prefix is an extension's and stays too. */
static const char *const header_statements[] = {
    "yang-version", "namespace", "prefix",   "import",  "include",      "organization", "contact",
    "description",  "reference", "revision", "typedef", "grouping",     "extension",    "feature",
    "identity",     "deviation", "augment",  "rpc",     "notification",
};

struct cursor {
    const char *p;
};

static bool skip_blank(struct cursor *c)
{
    for (;;) {
        c->p += strspn(c->p, " \t\r\n");
        if (c->p[0] == '/' && c->p[1] == '/') {
            c->p += strcspn(c->p, "\n");
        } else if (c->p[0] == '/' && c->p[1] == '*') {
            const char *end = strstr(c->p + 2, "*/");

            if (!end)
                return false;
            c->p = end + 2;
        } else {
            return *c->p != '\0';
        }
    }
}

static bool skip_string(struct cursor *c)
{
    char quote = *c->p++;

    for (; *c->p && *c->p != quote; c->p++) {
        if (quote == '"' && *c->p == '\\' && c->p[1])
            c->p++;
    }
    if (!*c->p)
        return false;
    c->p++;
    return true;
}

/* From after the keyword to after the ';' or the closing brace. */
static bool skip_statement(struct cursor *c)
{
    int depth = 0;

    while (skip_blank(c)) {
        if (*c->p == '"' || *c->p == '\'') {
            if (!skip_string(c))
                return false;
            continue;
        }
        if (*c->p == '{') {
            depth++;
        } else if (*c->p == '}') {
            if (--depth == 0) {
                c->p++;
                return true;
            }
        } else if (*c->p == ';' && depth == 0) {
            c->p++;
            return true;
        }
        c->p++;
    }
    return false;
}

static bool is_header(const char *keyword, size_t length)
{
    if (memchr(keyword, ':', length))
        return true;
    for (size_t i = 0; i < PCN_ARRAY_SIZE(header_statements); i++) {
        if (strlen(header_statements[i]) == length && memcmp(header_statements[i], keyword, length) == 0)
            return true;
    }
    return false;
}

/* Reads `module name {`; the cursor is left behind the brace. */
static bool read_module(struct cursor *c, char name[64])
{
    size_t length;
    bool quoted;

    if (!skip_blank(c) || strncmp(c->p, "module", 6) != 0 || !isspace((unsigned char)c->p[6]))
        return false;
    c->p += 6;
    if (!skip_blank(c))
        return false;
    quoted = *c->p == '"' || *c->p == '\'';
    if (quoted)
        c->p++;
    length = strcspn(c->p, " \t\r\n{\"'");
    if (length == 0 || length >= 64)
        return false;
    memcpy(name, c->p, length);
    name[length] = '\0';
    c->p += length + quoted;
    if (!skip_blank(c) || *c->p != '{')
        return false;
    c->p++;
    return true;
}

static bool split(struct cursor *c, FILE *header, FILE *body)
{
    while (skip_blank(c) && *c->p != '}') {
        const char *start = c->p;
        size_t length = strcspn(start, " \t\r\n;{\"'");
        FILE *to = is_header(start, length) ? header : body;

        c->p += length;
        if (!skip_statement(c))
            return false;
        (void)fprintf(to, "%.*s\n", (int)(c->p - start), start);
    }
    return *c->p == '}';
}

int pcn_wrap_module(const char *yang, char **ret_wrapped, struct pcn_error *error)
{
    _cleanup_free_ char *header_text = NULL, *body_text = NULL;
    struct cursor c = {.p = yang};
    size_t header_size, body_size;
    FILE *header, *body;
    char name[64], *wrapped;
    bool ok;

    if (!read_module(&c, name))
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "",
                             "the text is not a YANG module: `module NAME { ... }`");
    header = open_memstream(&header_text, &header_size);
    body = open_memstream(&body_text, &body_size);
    ok = header && body && split(&c, header, body);
    if (header)
        (void)fclose(header);
    if (body)
        (void)fclose(body);
    if (!ok)
        return pcn_error_set(error, PCN_ERROR_INVALID_VALUE, "", "module %s: a statement does not end", name);
    if (asprintf(&wrapped, "module %s {\n%slist %s {\nkey name;\n%s}\n}\n", name, header_text, name, body_text) < 0)
        return -ENOMEM;
    *ret_wrapped = wrapped;
    return 0;
}
