/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Watches: they end with the kernel's table, and count what they lose (tests/watch). */

#include "../../watch/equality.h"
#include "matrix.h"

#include <sys/wait.h>
#include <unistd.h>

typedef void run_of(struct plan *, struct outcome *);

/* One run, in a process and a network namespace of its own. */
static struct outcome run_alone(const char *what, run_of *run, struct plan plan)
{
    struct outcome outcome = { 0 };
    int ends[2], status;
    pid_t child;

    fflush(stdout);
    if (pipe(ends) < 0)
        die("pipe");
    child = fork();
    if (child < 0)
        die("process");
    if (child == 0) {
        enter();
        run(&plan, &outcome);
        print_outcome(what, &plan, &outcome);
        _exit(write(ends[1], &outcome, sizeof outcome) != (ssize_t)sizeof outcome);
    }
    close(ends[1]);
    if (read(ends[0], &outcome, sizeof outcome) != (ssize_t)sizeof outcome)
        outcome.wrong++;
    close(ends[0]);
    if (waitpid(child, &status, 0) != child || status != 0)
        outcome.wrong++;
    check(outcome.wrong == 0, "%s of seed %llu: %u faults", what, (unsigned long long)plan.seed, outcome.wrong);
    return outcome;
}

void group_watch(void)
{
    /* Small tables: a kernel in qemu has room for few, and takes its time. */
    struct plan plan = { .tuples = 500, .most_start = 1500 };
    unsigned long long told = 0, drops = 0, verified = 0;
    unsigned lossy = 0, runs = 6;

    for (unsigned i = 0; i < runs; i++) {
        struct outcome outcome;

        draw(&plan, seed * 100 + i);
        /* Half of them with little room, so that something is lost. */
        plan.buffer = i % 2 ? 32 << 10 : plan.buffer;
        plan.udp += !plan.udp;
        outcome = run_alone("watch", run_equality, plan);
        told += outcome.told;
        drops += outcome.drops;
        verified += outcome.verified;
        lossy += outcome.drops > 0;
    }
    check(lossy > 0, "nothing was lost in %u runs", runs);
    run_alone("watch, events counted", run_counts, plan);
    run_alone("watch, silent entries", run_silent, plan);
    snprintf(report.note, sizeof report.note, "%u runs, %u with drops: %llu told, %llu lost, %llu verified", runs,
             lossy, told, drops, verified);
}
