/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's log: `[YYYY-mm-dd HH:MM:SS.mmm] [logger] [level] text`, to
 * standard output and a file that is rotated at 5 MB, three files kept. A cube's lines
 * have `[Kind] [cube]` for the logger. Scripts parse this layout. Thread-safe.
 *
 * Only daemon/ and http/ log above debug; the layers below report upward.
 */
#pragma once
#include <pcn/abi.h>
#include <pcn/base.h>
#include <stdarg.h>

/* path NULL: no file. -EACCES, -ENOENT...: the file cannot be opened; the log then goes to standard output alone. */
int pcn_log_open(const char *path, enum pcn_log_level level);
void pcn_log_close(void);
void pcn_log_set_level(enum pcn_log_level level);
void pcn_log_set_console(bool on);
/* "trace", "DEBUG", "warn"...: -EINVAL if it is none. */
int pcn_log_level_parse(const char *text, enum pcn_log_level *ret_level);
const char *pcn_log_level_name(enum pcn_log_level level); /* "INFO" */

PCN_EXPORT void pcn_log_line(enum pcn_log_level level, const char *logger, const char *format, ...) PCN_PRINTF(3, 4);
/* A cube's line; no level is checked: the cube's own has been. */
void pcn_log_cube_line(enum pcn_log_level level, const char *kind, const char *cube, const char *text);

#define pcn_log_critical(...) pcn_log_line(PCN_LOG_CRITICAL, "polycubed", __VA_ARGS__)
#define pcn_log_err(...) pcn_log_line(PCN_LOG_ERR, "polycubed", __VA_ARGS__)
#define pcn_log_warn(...) pcn_log_line(PCN_LOG_WARN, "polycubed", __VA_ARGS__)
#define pcn_log_info(...) pcn_log_line(PCN_LOG_INFO, "polycubed", __VA_ARGS__)
#define pcn_log_debug(...) pcn_log_line(PCN_LOG_DEBUG, "polycubed", __VA_ARGS__)

/* Says what failed and returns r: `return pcn_log_error(r, "cannot open %s", path);` Level debug: libraries use it. */
#define pcn_log_error(r_, ...)                                                                                         \
    ({                                                                                                                 \
        int error_ = (r_);                                                                                             \
        pcn_log_error_line(error_, __VA_ARGS__);                                                                       \
        error_;                                                                                                        \
    })
void pcn_log_error_line(int r, const char *format, ...) PCN_PRINTF(2, 3);
