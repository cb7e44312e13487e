/* SPDX-License-Identifier: MIT OR Apache-2.0 */

#include "matrix.h"

#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned sets = 300;
uint64_t seed = 1;
unsigned must_have_flow_tables;

static const struct {
    const char *name;
    void (*run)(void);
    /* Only runs when it is asked for. */
    int on_request;
} groups[] = {
    { "filters", group_filters, 0 },
    { "flushes", group_flushes, 0 },
    { "zone", group_zone_trap, 0 },
    { "zone-0", group_zone_0_trap, 0 },
    { "status", group_status_trap, 0 },
    { "family", group_family_trap, 0 },
    { "ipv6-one", group_ipv6_one, 0 },
    { "ipv6-some", group_ipv6_some, 0 },
    { "ipv6-many", group_ipv6_many, 0 },
    { "ipv6-after-empty", group_ipv6_after_empty, 0 },
    { "ports", group_ports_trap, 0 },
    { "inexact", group_inexact_trap, 0 },
    { "overlap", group_overlap, 0 },
    { "directions", group_directions_trap, 0 },
    { "tuple-zone", group_tuple_zone_trap, 0 },
    { "reversed", group_reversed_trap, 0 },
    { "guard", group_guard, 0 },
    { "naive", group_naive, 0 },
    { "reuse", group_reuse, 0 },
    { "nat", group_nat, 0 },
    { "offload", group_offload, 0 },
    { "watch", group_watch, 0 },
    { "million", group_million, 1 },
};

/* Never the table of the machine: without a namespace of its own this program does nothing. */
static void enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) == 0)
        return;
    if (errno != EPERM || unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        die("network namespace");
}

static void run(size_t g, struct report *total)
{
    int fds[2], status;
    pid_t child;
    struct report got = { 0 };

    fflush(stdout);
    if (pipe(fds) < 0)
        die("pipe");
    child = fork();
    if (child < 0)
        die("process");
    if (child == 0) {
        group_name = groups[g].name;
        random_state = seed * 1000 + g;
        enter_namespace();
        reopen();
        groups[g].run();
        ct_handle_close(h);
        fflush(stdout);
        _exit(write(fds[1], &report, sizeof report) != (ssize_t)sizeof report);
    }
    close(fds[1]);
    if (read(fds[0], &got, sizeof got) != (ssize_t)sizeof got) {
        printf("FAILED %s: ended before its time\n", groups[g].name);
        got.failed++;
    }
    close(fds[0]);
    if (waitpid(child, &status, 0) != child || status != 0)
        got.failed += !got.failed;
    printf("%-6s %-16s %6lu checks", got.failed ? "FAILED" : "ok", groups[g].name, got.checks);
    if (got.failed)
        printf(", %lu failed", got.failed);
    printf("%s%s\n", got.note[0] ? ": " : "", got.note);
    total->checks += got.checks;
    total->failed += got.failed;
    total->filtered_dumps += got.filtered_dumps;
    total->ipv6_dumps += got.ipv6_dumps;
    total->look_ups += got.look_ups;
    total->guarded_flushes += got.guarded_flushes;
    total->tuple_flushes += got.tuple_flushes;
    total->deletes += got.deletes;
}

static int wanted(size_t g, char **names, int count)
{
    int found = count == 0 && !groups[g].on_request;

    for (int i = 0; i < count; i++)
        found |= strcmp(names[i], groups[g].name) == 0;
    return found;
}

int main(int argc, char **argv)
{
    struct report total = { 0 };
    struct utsname system;
    int at = 1;

    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        if (strcmp(argv[at], "--sets") == 0)
            sets = (unsigned)strtoul(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--seed") == 0)
            seed = strtoull(argv[at + 1], NULL, 10);
        else if (strcmp(argv[at], "--flow-tables") == 0)
            must_have_flow_tables = (unsigned)strtoul(argv[at + 1], NULL, 10);
        else
            break;
    }
    for (int i = at; i < argc; i++) {
        size_t g = 0;

        while (g < LENGTH(groups) && strcmp(groups[g].name, argv[i]) != 0)
            g++;
        if (g == LENGTH(groups)) {
            fprintf(stderr, "usage: matrix [--sets N] [--seed N] [--flow-tables 1] [GROUP...]\n");
            return 2;
        }
    }
    uname(&system);
    enter_namespace();
    measure();
    printf("kernel %s, libctrack %s, seed %llu\n", system.release, ct_version_string(), (unsigned long long)seed);
    printf(
        "honours: zone %d, status %d, tuple %d, flush by tuple %d, IPv6 addresses %s, ports of SCTP %d UDP-Lite %d GRE %d\n",
        kernel.zone, kernel.status, kernel.tuple, kernel.flush, kernel.ipv6 ? "right" : "inverted", kernel.sctp,
        kernel.udplite, kernel.gre);
    for (size_t g = 0; g < LENGTH(groups); g++)
        if (wanted(g, argv + at, argc - at))
            run(g, &total);
    printf("sent: %lu filtered dumps (%lu by IPv6 address), %lu look-ups, %lu guarded flushes, %lu flushes by tuple, "
           "%lu deletes\n",
           total.filtered_dumps, total.ipv6_dumps, total.look_ups, total.guarded_flushes, total.tuple_flushes,
           total.deletes);
    if (argc == at)
        check(total.filtered_dumps && total.deletes, "what the library sends was not seen");
    total.checks += report.checks;
    total.failed += report.failed;
    printf("matrix: %lu checks, %lu failed\n", total.checks, total.failed);
    return total.failed != 0;
}
