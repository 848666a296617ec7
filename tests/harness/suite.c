/* SPDX-License-Identifier: Apache-2.0 */
#include <CUnit/Basic.h>
#include <harness/suite.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define SKIPPED 77

static const struct pcn_suite *running;

static bool suite_chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strstr(name, argv[i]))
            return true;
    }
    return argc < 2;
}

static const char *suite_skip_reason(const struct pcn_test *test)
{
    const char *reason = running->skip ? running->skip() : NULL;

    if (!reason && test->skip)
        reason = test->skip();
    return reason;
}

/* Adds the tests; returns how many are to run. */
static size_t suite_add(CU_pSuite suite, int argc, char **argv)
{
    size_t active = 0;

    for (size_t i = 0; i < running->n_tests; i++) {
        const struct pcn_test *test = &running->tests[i];
        const char *reason;
        CU_pTest added;

        if (!suite_chosen(test->name, argc, argv))
            continue;
        added = CU_add_test(suite, test->name, test->run);
        if (!added) {
            printf("cannot add test \"%s\": %s\n", test->name, CU_get_error_msg());
            exit(EXIT_FAILURE);
        }
        reason = suite_skip_reason(test);
        if (reason) {
            printf("SKIPPED: %s: %s\n", test->name, reason);
            CU_set_test_active(added, CU_FALSE);
        } else {
            active++;
        }
    }
    return active;
}

int pcn_suite_run(const struct pcn_suite *suite, int argc, char **argv)
{
    CU_pSuite registered;
    unsigned int failures;
    size_t active;

    setvbuf(stdout, NULL, _IOLBF, 0);
    running = suite;
    if (CU_initialize_registry() != CUE_SUCCESS)
        return EXIT_FAILURE;
    registered = CU_add_suite(suite->name, suite->setup, suite->teardown);
    if (!registered)
        return EXIT_FAILURE;
    CU_set_fail_on_inactive(CU_FALSE);
    active = suite_add(registered, argc, argv);
    if (!active) {
        printf("%s: every test is skipped\n", suite->name);
        CU_cleanup_registry();
        return SKIPPED;
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    failures = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Tries, in a child, what the tests will do: a new mount and network namespace. */
const char *pcn_skip_unless_root(void)
{
    static int verdict = -1;
    pid_t child;
    int status;

    if (verdict < 0) {
        child = fork();
        if (child == 0)
            _exit(unshare(CLONE_NEWNS | CLONE_NEWNET) < 0);
        verdict = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    return verdict ? NULL : "needs root: namespaces cannot be made here";
}

bool pcn_check(bool holds, unsigned int line, const char *file, const char *text)
{
    if (!holds)
        printf("\n    %s:%u: does not hold: %s\n", file, line, text);
    return CU_assertImplementation(holds, line, text, file, "", CU_FALSE);
}

bool pcn_check_int(long long actual, long long expected, unsigned int line, const char *file, const char *text)
{
    if (actual != expected)
        printf("\n    %s:%u: %s: found %lld (%#llx), expected %lld (%#llx)\n", file, line, text, actual,
               (unsigned long long)actual, expected, (unsigned long long)expected);
    return CU_assertImplementation(actual == expected, line, text, file, "", CU_FALSE);
}

bool pcn_check_string(const char *actual, const char *expected, unsigned int line, const char *file, const char *text)
{
    bool same = actual && strcmp(actual, expected) == 0;

    if (!same)
        printf("\n    %s:%u: %s: found \"%s\", expected \"%s\"\n", file, line, text, actual ? actual : "(null)",
               expected);
    return CU_assertImplementation(same, line, text, file, "", CU_FALSE);
}

bool pcn_check_contains(const char *text, const char *part, unsigned int line, const char *file, const char *what)
{
    bool has = text && strstr(text, part);

    if (!has)
        printf("\n    %s:%u: %s: \"%s\" is not in \"%s\"\n", file, line, what, part, text ? text : "(null)");
    return CU_assertImplementation(has, line, what, file, "", CU_FALSE);
}

bool pcn_check_ok(int r, unsigned int line, const char *file, const char *text)
{
    if (r < 0)
        printf("\n    %s:%u: %s: %d, %s\n", file, line, text, r, strerror(-r));
    return CU_assertImplementation(r >= 0, line, text, file, "", CU_FALSE);
}

uint64_t pcn_test_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void pcn_test_nap(unsigned int ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}
