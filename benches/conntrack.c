/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * The conntrack program, as scripts and agents use it: whole processes, with the text that they write thrown away.
 *
 * Usage: conntrack OPERATION SIZE [PODS]
 */

#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 20 };

/* Runs `conntrack` with these arguments and returns how many entries it says it has shown or deleted. */
static uint32_t run(const char *const *arguments)
{
    char *argv[MOST_ARGUMENTS + 2] = { "conntrack" };
    char said[4096];
    size_t length = 0;
    int ends[2], status;

    for (int i = 0; i < MOST_ARGUMENTS && arguments[i]; i++)
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    if (pipe2(ends, O_CLOEXEC) != 0)
        fail("pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere < 0 || dup2(nowhere, STDOUT_FILENO) < 0 || dup2(ends[1], STDERR_FILENO) < 0)
            _exit(126);
        execvp(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    while (length < sizeof said - 1) {
        const ssize_t got = read(ends[0], said + length, sizeof said - 1 - length);
        if (got < 0)
            fail("read: %s", strerror(errno));
        if (got == 0)
            break;
        length += (size_t)got;
    }
    said[length] = '\0';
    close(ends[0]);
    if (waitpid(child, &status, 0) != child)
        fail("waitpid: %s", strerror(errno));
    /* "conntrack v1.4.7 (conntrack-tools): 10 flow entries have been shown." After 0 deletes it exits with 1. */
    const char *sum = strstr(said, "(conntrack-tools): ");
    unsigned count;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1 || !sum ||
        sscanf(strchr(sum, ':'), ": %u flow entries", &count) != 1)
        fail("conntrack failed: %s", said);
    return count;
}

/* An option and its value in text: "-L -w" and "7". */
static uint32_t run_with(const char *command, const char *option, const char *value)
{
    return run((const char *[]){ command, option, value, NULL });
}

static const char *number(uint32_t value)
{
    static char text[4][16];
    static unsigned next;
    char *here = text[next++ % 4];
    snprintf(here, sizeof text[0], "%u", value);
    return here;
}

static const char *address(const void *bytes)
{
    static char text[2][INET_ADDRSTRLEN];
    static unsigned next;
    return inet_ntop(AF_INET, bytes, text[next++ % 2], INET_ADDRSTRLEN);
}

static const char *pod_source(uint32_t pod)
{
    const uint32_t be_address = htonl(pod_address(pod));
    return address(&be_address);
}

static uint32_t delete_one(const struct flow *f)
{
    return run((const char *[]){ "-D", "-p", "tcp", "-s", address(f->src), "-d", address(f->dst), "--sport",
                                 number(f->sport), "--dport", number(f->dport), "-w", number(f->zone), NULL });
}

/* So many calls are enough to tell what one costs: each dumps the whole table. */
enum { PODS = 5, SINGLES = 3 };

int main(int argc, char **argv)
{
    if (argc < 3)
        fail("usage: conntrack OPERATION SIZE [KNOWN]");
    const char *op = argv[1];
    const uint32_t size = must_number(argv[2]);
    const char *command = strncmp(op, "delete-", 7) != 0 ? "-L" : "-D";
    uint32_t n = POD_FLOWS, done = 0;

    measure_children();
    if (!strcmp(op, "stream")) {
        n = size;
        measure_start();
        done = run((const char *[]){ command, NULL });
    } else if (!strcmp(op, "list-zone") || !strcmp(op, "delete-zone")) {
        n = size / FLOW_ZONES;
        measure_start();
        done = run_with(command, "-w", number(BENCH_ZONE));
    } else if (!strcmp(op, "list-pod-zone") || !strcmp(op, "delete-pod-zone")) {
        measure_start();
        done = run_with(command, "-w", number(pod_zone(BENCH_POD)));
    } else if (!strcmp(op, "list-pod-address") || !strcmp(op, "delete-pod-address")) {
        measure_start();
        done = run_with(command, "-s", pod_source(BENCH_POD));
    } else if (!strcmp(op, "list-pod-mark") || !strcmp(op, "delete-pod-mark")) {
        measure_start();
        done = run_with(command, "-m", number(pod_mark(BENCH_POD)));
    } else if (!strcmp(op, "delete-pods")) {
        const uint32_t all = argc > 3 ? must_number(argv[3]) : pod_count(size), pods = all < PODS ? all : PODS;
        n = pods * POD_FLOWS;
        measure_start();
        for (uint32_t pod = 0; pod < pods; pod++)
            done += run_with(command, "-s", pod_source(pod));
    } else if (!strcmp(op, "delete-one")) {
        const struct flow *flows = flow_of_each_pod(size);
        n = SINGLES;
        measure_start();
        for (uint32_t i = 0; i < SINGLES; i++)
            done += delete_one(&flows[i]);
    } else if (!strcmp(op, "empty") || !strcmp(op, "empty-delete")) {
        n = size;
        measure_start();
        for (uint32_t i = 0; i < size; i++)
            done += !strcmp(op, "empty") ? run((const char *[]){ command, NULL })
                                         : run_with("-D", "-w", number(BENCH_ZONE));
    } else {
        fail("no operation %s", op);
    }
    measure_stop();
    measure_report("conntrack", op, n, done, 0);
    return 0;
}
