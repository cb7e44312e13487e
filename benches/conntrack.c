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
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
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

/* Whether somebody in this network namespace listens: then one of its netlink sockets is in a group. */
static int somebody_listens(void)
{
    char line[256];
    int found = 0;
    FILE *file = fopen("/proc/net/netlink", "re");

    if (!file)
        fail("/proc/net/netlink: %s", strerror(errno));
    while (fgets(line, sizeof line, file)) {
        unsigned protocol, port, groups;
        found |=
            sscanf(line, "%*s %u %u %x", &protocol, &port, &groups) == 3 && protocol == NETLINK_NETFILTER && groups;
    }
    fclose(file);
    return found;
}

static pid_t start_listening(const char *const *arguments, FILE **lines)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        fail("pipe: %s", strerror(errno));
    const pid_t child = fork();
    if (child < 0)
        fail("fork: %s", strerror(errno));
    if (child == 0) {
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (nowhere < 0 || dup2(ends[1], STDOUT_FILENO) < 0 || dup2(nowhere, STDERR_FILENO) < 0)
            _exit(126);
        execvp("conntrack", (char **)(uintptr_t)arguments);
        _exit(127);
    }
    close(ends[1]);
    *lines = fdopen(ends[0], "r");
    for (int tries = 0; !somebody_listens(); tries++) {
        if (tries == 5000)
            fail("conntrack -E does not listen");
        usleep(1000);
    }
    return child;
}

static void stop_listening(pid_t child)
{
    kill(child, SIGINT);
    if (waitpid(child, NULL, 0) != child)
        fail("waitpid: %s", strerror(errno));
}

/* Processor time of a process in nanoseconds, and how its clock ticks fell to the program and to the kernel. */
static uint64_t processor_time(pid_t process, unsigned long ticks[2])
{
    char path[64], line[1024];
    unsigned long long ns = 0;

    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)process);
    FILE *file = fopen(path, "re");
    if (!file || fscanf(file, "%llu", &ns) != 1)
        fail("cannot read %s", path);
    fclose(file);
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    file = fopen(path, "re");
    if (!file || !fgets(line, sizeof line, file) ||
        sscanf(line, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ticks[0], &ticks[1]) != 2)
        fail("cannot read %s", path);
    fclose(file);
    return ns;
}

/* What the queue of its socket holds, whatever option -b says (1.4.7 sets it on another socket). */
enum { QUEUED = 150, QUEUES = 40 };

/* The program is stopped while events are made, and goes on when they wait; that time alone counts. */
static void read_events(const char *op)
{
    char line[4096];
    unsigned long ticks[2];
    uint32_t count = 0;
    uint64_t wall = 0, cpu = 0;
    FILE *lines;

    const pid_t child = start_listening((const char *[]){ "conntrack", "-E", NULL }, &lines);
    for (int queue = 0; queue < QUEUES; queue++) {
        struct timespec from, to;
        kill(child, SIGSTOP);
        make_events(QUEUED);
        const uint64_t before = processor_time(child, ticks);
        clock_gettime(CLOCK_MONOTONIC, &from);
        kill(child, SIGCONT);
        for (int i = 0; i < QUEUED && fgets(line, sizeof line, lines); i++)
            count++;
        clock_gettime(CLOCK_MONOTONIC, &to);
        cpu += processor_time(child, ticks) - before;
        wall += (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000u + (uint64_t)(to.tv_nsec - from.tv_nsec);
    }
    measure_start();
    stop_listening(child);
    measure_stop();
    const uint64_t in_kernel = ticks[0] + ticks[1] ? cpu * ticks[1] / (ticks[0] + ticks[1]) : 0;
    measure_was(wall, cpu - in_kernel, in_kernel);
    measure_report("conntrack", op, QUEUED * QUEUES, count, 0);
    fclose(lines);
}

/* With the defaults of the program, which goes on after ENOBUFS. */
static uint32_t lose_events(uint32_t count)
{
    char bytes[65536];
    FILE *lines;
    uint32_t read_lines = 0;
    int goes_on;

    const pid_t child = start_listening((const char *[]){ "conntrack", "-E", NULL }, &lines);
    measure_start();
    begin_events(count);
    do {
        struct pollfd ready = { .fd = fileno(lines), .events = POLLIN };
        goes_on = events_go_on();
        while (poll(&ready, 1, 300) > 0) {
            const ssize_t got = read(fileno(lines), bytes, sizeof bytes);
            if (got <= 0)
                fail("conntrack -E ended");
            for (ssize_t i = 0; i < got; i++)
                read_lines += bytes[i] == '\n';
        }
    } while (goes_on);
    stop_listening(child);
    fclose(lines);
    return read_lines;
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
    } else if (!strcmp(op, "events")) {
        read_events(op);
        return 0;
    } else if (!strcmp(op, "events-paced")) {
        n = size;
        done = lose_events(size);
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
