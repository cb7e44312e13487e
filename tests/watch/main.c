/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * equality [--runs N] [--jobs N] [--seed N] [--tuples N] [--start N] [--lossy N] [KIND]
 *
 * Each run is a process with a network namespace of its own, and has the seed after that of the one before. KIND: equality (default),
 * counts, silent. --lossy: so many runs must have lost something.
 * Exit code: 0 all is well, 1 something is not, 2 this cannot be asked, 3 the runs could not be made.
 */

#include "equality.h"

#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *name;
    void (*run)(struct plan *, struct outcome *);
} kinds[] = {
    { "equality", run_equality },
    { "counts", run_counts },
    { "silent", run_silent },
};

struct job {
    pid_t pid;
    int from;
};

static struct job begin(size_t kind, struct plan plan)
{
    struct job job;
    int ends[2];

    fflush(stdout);
    if (pipe(ends) < 0 || (job.pid = fork()) < 0) {
        perror("process");
        exit(3);
    }
    if (job.pid == 0) {
        struct outcome outcome = { 0 };

        draw(&plan, plan.seed);
        enter();
        kinds[kind].run(&plan, &outcome);
        print_outcome(kinds[kind].name, &plan, &outcome);
        _exit(write(ends[1], &outcome, sizeof outcome) != (ssize_t)sizeof outcome);
    }
    close(ends[1]);
    job.from = ends[0];
    return job;
}

int main(int argc, char **argv)
{
    struct plan plan = { .seed = 1, .tuples = 20000, .most_start = 100000 };
    unsigned runs = 1, jobs = 1, good = 0, lossy = 0, twins = 0, begun = 0, least = 0;
    struct job running[16];
    size_t kind = 0;
    int at = 1;

    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        unsigned long long number = strtoull(argv[at + 1], NULL, 10);

        if (strcmp(argv[at], "--runs") == 0)
            runs = (unsigned)number;
        else if (strcmp(argv[at], "--jobs") == 0)
            jobs = number > 16 ? 16 : (unsigned)number;
        else if (strcmp(argv[at], "--seed") == 0)
            plan.seed = number;
        else if (strcmp(argv[at], "--tuples") == 0)
            plan.tuples = (unsigned)number;
        else if (strcmp(argv[at], "--start") == 0)
            plan.most_start = (unsigned)number;
        else if (strcmp(argv[at], "--lossy") == 0)
            least = (unsigned)number;
        else
            break;
    }
    if (at < argc)
        while (kind < 3 && strcmp(kinds[kind].name, argv[at]) != 0)
            kind++;
    if (at + 1 < argc || kind == 3 || !jobs) {
        fprintf(stderr, "usage: equality [--runs N] [--jobs N] [--seed N] [--tuples N] [--start N] [--lossy N] "
                        "[equality|counts|silent]\n");
        return 2;
    }
    plan.has_nft = system("PATH=$PATH:/usr/sbin:/sbin command -v nft >/dev/null") == 0;
    plan.has_conntrack = system("PATH=$PATH:/usr/sbin:/sbin command -v conntrack >/dev/null") == 0;
    for (unsigned i = 0; i < runs; i++) {
        struct outcome outcome = { 0 };
        struct job *job = &running[i % jobs];
        int status;

        for (; begun < runs && begun < i + jobs; begun++) {
            running[begun % jobs] = begin(kind, plan);
            plan.seed++;
        }
        if (read(job->from, &outcome, sizeof outcome) != (ssize_t)sizeof outcome)
            outcome.wrong++;
        close(job->from);
        if (waitpid(job->pid, &status, 0) != job->pid || status != 0) {
            printf("run %u ended with status %#x\n", i, (unsigned)status);
            outcome.wrong++;
        }
        good += !outcome.wrong;
        lossy += outcome.drops > 0;
        twins += outcome.twins > 0;
    }
    printf("%s: %u of %u runs, %u with drops, %u with twins\n", kinds[kind].name, good, runs, lossy, twins);
    if (lossy < least)
        printf("WRONG: at least %u were to have drops\n", least);
    return good != runs || lossy < least;
}
