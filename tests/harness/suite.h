/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A test executable is a table of tests, run by CUnit, whose closing summary
 * it prints. Arguments choose tests by a part of their names. Exit code: 0 all
 * passed, 1 some failed, 77 every one was skipped.
 *
 *     static const struct pcn_test tests[] = {
 *         {"a packet to an unknown port is dropped", test_unknown_port},
 *         {"a redirect leaves natively", test_native, .skip = pcn_skip_unless_root},
 *     };
 *     int main(int argc, char **argv)
 *     {
 *         return PCN_SUITE("hub", tests, .setup = start, .teardown = stop);
 *     }
 */
#pragma once
#include <CUnit/CUnit.h>
#include <pcn/base.h>
#include <stdio.h>

struct pcn_test {
    const char *name; /* says what must hold */
    void (*run)(void);
    const char *(*skip)(void); /* a probe: the reason why it cannot run here, or NULL */
};

struct pcn_suite {
    const char *name;
    const struct pcn_test *tests;
    size_t n_tests;
    int (*setup)(void); /* before the first test; not 0: all fail */
    int (*teardown)(void);
    const char *(*skip)(void); /* a probe for all of them */
};

int pcn_suite_run(const struct pcn_suite *suite, int argc, char **argv);

#define PCN_SUITE(name_, tests_, ...)                                                                                  \
    pcn_suite_run(                                                                                                     \
        &(struct pcn_suite){.name = (name_), .tests = (tests_), .n_tests = PCN_ARRAY_SIZE(tests_), ##__VA_ARGS__},     \
        argc, argv)

/* Probes. */
const char *pcn_skip_unless_root(void); /* CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_BPF, tried and not looked up */

/* Checks that print what was found. They go on; those of PCN_REQUIRE leave the test. */
#define PCN_CHECK(condition) pcn_check((condition), __LINE__, __FILE__, #condition)
#define PCN_REQUIRE(condition)                                                                                         \
    do {                                                                                                               \
        if (!pcn_check((condition), __LINE__, __FILE__, #condition))                                                   \
            return;                                                                                                    \
    } while (0)
#define PCN_CHECK_EQ(actual, expected)                                                                                 \
    pcn_check_int((long long)(actual), (long long)(expected), __LINE__, __FILE__, #actual " == " #expected)
#define PCN_CHECK_STR(actual, expected) pcn_check_string((actual), (expected), __LINE__, __FILE__, #actual)
#define PCN_CHECK_HAS(text, part) pcn_check_contains((text), (part), __LINE__, __FILE__, #text)
/* r: 0 or more, or a negative errno, whose name is printed. */
#define PCN_CHECK_OK(r) pcn_check_ok((r), __LINE__, __FILE__, #r)
#define PCN_REQUIRE_OK(r)                                                                                              \
    do {                                                                                                               \
        if (!pcn_check_ok((r), __LINE__, __FILE__, #r))                                                                \
            return;                                                                                                    \
    } while (0)

bool pcn_check(bool holds, unsigned int line, const char *file, const char *text);
bool pcn_check_int(long long actual, long long expected, unsigned int line, const char *file, const char *text);
bool pcn_check_string(const char *actual, const char *expected, unsigned int line, const char *file, const char *text);
bool pcn_check_contains(const char *text, const char *part, unsigned int line, const char *file, const char *what);
bool pcn_check_ok(int r, unsigned int line, const char *file, const char *text);

/* Milliseconds of the monotonic clock. */
uint64_t pcn_test_now_ms(void);
void pcn_test_nap(unsigned int ms);
/* Evaluates condition every 2 ms until it holds: true, or until the deadline: false. */
#define PCN_WAIT(timeout_ms, condition)                                                                                \
    ({                                                                                                                 \
        uint64_t deadline_ = pcn_test_now_ms() + (timeout_ms);                                                         \
        bool held_;                                                                                                    \
        while (!(held_ = (condition)) && pcn_test_now_ms() < deadline_)                                                \
            pcn_test_nap(2);                                                                                           \
        held_;                                                                                                         \
    })
