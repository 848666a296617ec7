/* SPDX-License-Identifier: Apache-2.0 */
#include <base/log.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

#define LOG_FILE_MAX (5L * 1024 * 1024)
#define LOG_FILES 3
#define LOG_LINE_MAX 2048

static struct {
    pthread_mutex_t lock;
    FILE *file;
    char *path;
    enum pcn_log_level level;
    bool console;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = PCN_LOG_INFO, .console = true};

static const char *const level_names[PCN_LOG_LEVEL_MAX] = {"OFF", "CRITICAL", "ERR", "WARN", "INFO", "DEBUG", "TRACE"};
/* The words of spdlog, which scripts that read the log expect. */
static const char *const level_words[PCN_LOG_LEVEL_MAX] = {"off",  "critical", "error", "warning",
                                                           "info", "debug",    "trace"};

int pcn_log_level_parse(const char *text, enum pcn_log_level *ret_level)
{
    for (int i = 0; i < PCN_LOG_LEVEL_MAX; i++) {
        if (strcasecmp(text, level_names[i]) == 0 || strcasecmp(text, level_words[i]) == 0) {
            *ret_level = (enum pcn_log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *pcn_log_level_name(enum pcn_log_level level)
{
    return level_names[level < PCN_LOG_LEVEL_MAX ? level : PCN_LOG_OFF];
}

int pcn_log_open(const char *path, enum pcn_log_level level)
{
    int r = 0;

    pthread_mutex_lock(&state.lock);
    state.level = level;
    if (path) {
        state.file = fopen(path, "ae");
        if (state.file)
            state.path = strdup(path);
        else
            r = -errno;
    }
    pthread_mutex_unlock(&state.lock);
    return r;
}

void pcn_log_close(void)
{
    pthread_mutex_lock(&state.lock);
    if (state.file)
        (void)fclose(state.file);
    state.file = NULL;
    free(TAKE_PTR(state.path));
    pthread_mutex_unlock(&state.lock);
}

void pcn_log_set_level(enum pcn_log_level level)
{
    state.level = level;
}

void pcn_log_set_console(bool on)
{
    state.console = on;
}

/* x.log -> x.1.log would hide from globs on *.log.N: the usual x.log.1, x.log.2 it is. */
static void log_rotate(void)
{
    char from[4096], to[4096];

    if (!state.path || ftell(state.file) < LOG_FILE_MAX)
        return;
    (void)fclose(state.file);
    for (int i = LOG_FILES - 1; i > 0; i--) {
        (void)snprintf(to, sizeof(to), "%s.%d", state.path, i);
        if (i > 1)
            (void)snprintf(from, sizeof(from), "%s.%d", state.path, i - 1);
        else
            (void)snprintf(from, sizeof(from), "%s", state.path);
        (void)rename(from, to);
    }
    state.file = fopen(state.path, "ae");
}

static void log_write(const char *logger, enum pcn_log_level level, const char *text)
{
    char when[32], line[LOG_LINE_MAX + 256];
    struct timespec now;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)localtime_r(&now.tv_sec, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    (void)snprintf(line, sizeof(line), "[%s.%03ld] %s [%s] %s\n", when, now.tv_nsec / 1000000, logger,
                   level_words[level], text);

    pthread_mutex_lock(&state.lock);
    if (state.console) {
        (void)fputs(line, stdout);
        (void)fflush(stdout);
    }
    if (state.file) {
        (void)fputs(line, state.file);
        (void)fflush(state.file);
        log_rotate();
    }
    pthread_mutex_unlock(&state.lock);
}

void pcn_log_line(enum pcn_log_level level, const char *logger, const char *format, ...)
{
    char text[LOG_LINE_MAX], name[128];
    va_list args;

    if (level > state.level)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(name, sizeof(name), "[%s]", logger);
    log_write(name, level, text);
}

void pcn_log_error_line(int r, const char *format, ...)
{
    char text[LOG_LINE_MAX];
    va_list args;

    if (state.level < PCN_LOG_DEBUG)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pcn_log_line(PCN_LOG_DEBUG, "polycubed", "%s: %s", text, strerror(-r));
}

void pcn_log_cube_line(enum pcn_log_level level, const char *kind, const char *cube, const char *text)
{
    char name[256];

    (void)snprintf(name, sizeof(name), "[%s] [%s]", kind, cube);
    log_write(name, level, text);
}
