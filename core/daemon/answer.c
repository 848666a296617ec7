/* SPDX-License-Identifier: Apache-2.0 */
#include <daemon/daemon.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic uint64_t generation = 1;

uint64_t pcn_generation(void)
{
    return atomic_load_explicit(&generation, memory_order_acquire);
}

void pcn_generation_next(struct pcn_member *member)
{
    uint64_t next = atomic_fetch_add_explicit(&generation, 1, memory_order_acq_rel) + 1;

    if (member)
        member->generation = next;
}

void pcn_request_done(struct pcn_request *request)
{
    for (size_t i = 0; i < request->n_segments; i++)
        free(request->segments[i]);
    json_decref(request->body);
    free(request->if_match);
    free((char *)request->page.filter);
    free(request->if_none_match);
    *request = (struct pcn_request){};
}

void pcn_answer_done(struct pcn_answer *answer)
{
    free(answer->body);
    free(answer->location);
    free(answer->allow);
    *answer = (struct pcn_answer){};
}

void pcn_answer_take(struct pcn_answer *answer, unsigned int status, char *body, size_t length)
{
    answer->status = status;
    free(answer->body);
    answer->body = body;
    answer->length = length;
}

void pcn_answer_json(struct pcn_answer *answer, unsigned int status, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);

    json_decref(body);
    pcn_answer_take(answer, text ? status : 500, text, text ? strlen(text) : 0);
}

void pcn_answer_text(struct pcn_answer *answer, unsigned int status, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0)
        text = NULL;
    pcn_answer_take(answer, status, text, text ? (size_t)length : 0);
    answer->content_type = "text/plain; charset=utf-8";
}

void pcn_answer_error(struct pcn_answer *answer, const struct pcn_error *error)
{
    json_t *entry = json_pack("{s:s, s:s}", "error-type", "application", "error-tag",
                              pcn_error_tag_name(error->tag ? error->tag : PCN_ERROR_FAILED));

    if (error->path[0])
        json_object_set_new(entry, "error-path", json_string(error->path));
    json_object_set_new(entry, "error-message", json_string(error->message));
    /* Polycube's clients read the field's name here. */
    if (error->path[0]) {
        const char *slash = strrchr(error->path, '/');

        json_object_set_new(entry, "error-info", json_string(slash ? slash + 1 : error->path));
    }
    pcn_answer_json(answer, pcn_error_status(error->tag ? error->tag : PCN_ERROR_FAILED),
                    json_pack("{s:{s:[o]}}", "ietf-restconf:errors", "error", entry));
}

void pcn_answer_not_allowed(struct pcn_answer *answer, const char *allow)
{
    struct pcn_error error = {};

    pcn_error_set(&error, PCN_ERROR_NOT_SUPPORTED, "", "this resource does not take that method; it takes %s", allow);
    pcn_answer_error(answer, &error);
    answer->allow = strdup(allow);
}
