/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * watch-places: network namespaces that are gone, that belong to nobody of importance, that are elsewhere; and what is said where
 * something is not permitted.
 */

#include "watching.h"

#include <linux/capability.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/mount.h>

/* Runs a part in a process of its own, which may give up what it is. */
static void apart(const char *name, void (*part)(void))
{
    pid_t pid = fork();
    int code;

    if (pid == 0) {
        check_failures = 0;
        part();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    code = ended(pid);
    if (code)
        printf("that was: %s\n", name);
    IS(code, 0);
}

static void without_capability(int number)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct caps[2];

    IS(syscall(SYS_capget, &header, caps), 0);
    caps[number / 32].effective &= ~(1u << number % 32);
    IS(syscall(SYS_capset, &header, caps), 0);
}

/* --- Gone ------------------------------------------------------------------------------------------------------------------ */

static void gone_with(unsigned int flags)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_NETNS | flags };
    struct story story = { .wanted = 0 };
    struct ct_watch *w = NULL;
    char command[200], byte, path[64];
    int ready[2], end[2];
    pid_t pid;

    IS(pipe(ready) | pipe(end), 0);
    pid = fork();
    if (pid == 0) {
        struct ct_handle *h;

        close(end[1]);
        if (unshare(CLONE_NEWNET) < 0)
            _exit(2);
        h = open_with(0);
        create(h, 0, 10);
        ct_handle_close(h);
        if (write(ready[1], "", 1) != 1)
            _exit(3);
        _exit(read(end[0], &byte, 1) != 0);
    }
    close(ready[1]);
    IS(read(ready[0], &byte, 1), 1);
    snprintf(command, sizeof command, "ip link add here%d type veth peer name there%d netns %d", (int)flags, (int)flags,
             (int)pid);
    IS(system(command), 0);
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    opts.netns_fd = open(path, O_RDONLY | O_CLOEXEC);
    IS(ct_watch_open(&w, &opts), 0);
    close(opts.netns_fd);
    IS(ct_watch_start(w, NULL, 0), 0);
    snprintf(command, sizeof command, "here%d", (int)flags);
    close(end[1]);
    IS(ended(pid), 0);
    close(ready[0]);
    close(end[0]);
    /* No name and no process has it any more; the watch does. */
    if (flags & CT_WATCH_SYNC) {
        hear_until(w, &story, CT_EVENT_SYNCED, 1);
        IS(story.of_type[CT_EVENT_NEW], 10);
        IS(ct_watch_resync(w), 0);
        hear_until(w, &story, CT_EVENT_SYNCED, 2);
    }
    hear_all(w, &story);
    IS(ct_watch_next(w, &(struct ct_event){ 0 }, 1, 50), 0);
    IS(ct_watch_start(w, NULL, 0), 0);
    usleep(100 * 1000);
    IS(if_nametoindex(command) != 0, 1);
    ct_watch_close(w);
    /* The kernel takes it apart some time. */
    while (if_nametoindex(command) != 0)
        usleep(10 * 1000);
}

static void gone(void)
{
    gone_with(0);
    gone_with(CT_WATCH_SYNC);
}

/* --- Not permitted ---------------------------------------------------------------------------------------------------------- */

static void without_net_admin(void)
{
    struct ct_watch *w;
    int sync;

    without_capability(CAP_NET_ADMIN);
    for (sync = 0; sync < 2; sync++) {
        w = open_watch(sync ? CT_WATCH_SYNC : 0, 0);
        IS(ct_watch_start(w, NULL, 0), -EPERM);
        IS(strstr(ct_watch_error(w), "CAP_NET_ADMIN") != NULL, 1);
        IS(ct_watch_next(w, &(struct ct_event){ 0 }, 1, 0), -EINVAL);
        IS(readable(ct_watch_fd(w), 0), 0);
        IS(info_of(w).received, 0);
        ct_watch_close(w);
    }
}

static void without_net_broadcast(void)
{
    struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_ALL_NSID };
    struct ct_watch *w = NULL;
    int files = descriptors();

    without_capability(CAP_NET_BROADCAST);
    IS(ct_watch_open(&w, &opts), -EPERM);
    IS(w == NULL, 1);
    IS(descriptors(), files);
}

/* /proc/sys can be read and not written. */
static void with_enable(void)
{
    struct ct_watch *w;
    struct ct_handle *h = open_with(0);
    int ret;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("/proc/sys", "/proc/sys", NULL, MS_BIND | MS_REC, NULL) < 0 ||
        mount("/proc/sys", "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0) {
        perror("/proc/sys cannot be made read-only");
        check_failures++;
        return;
    }
    w = open_watch(CT_WATCH_ENABLE, 0);
    ret = ct_watch_start(w, NULL, 0);
    if (events_mode() == 1) {
        /* There is nothing to be set. */
        IS(ret, 0);
        ct_watch_close(w);
        ct_handle_close(h);
        return;
    }
    IS(ret == -EROFS || ret == -EACCES || ret == -EPERM, 1);
    IS(strstr(ct_watch_error(w), "nf_conntrack_events") != NULL, 1);
    create(h, 0, 3);
    delete_some(h, 0, 3);
    IS(ct_watch_next(w, &(struct ct_event){ 0 }, 1, 0), -EINVAL);
    IS(readable(ct_watch_fd(w), 0), 0);
    ct_watch_close(w);
    ct_handle_close(h);
}

static void enabled(void)
{
    struct ct_watch *w;

    set_events_mode(0);
    w = start_watch(CT_WATCH_ENABLE, 0);
    IS(events_mode(), 1);
    ct_watch_close(w);
    IS(events_mode(), 1);
    apart("enabled already", with_enable);
    set_events_mode(2);
}

/* --- Nobody's --------------------------------------------------------------------------------------------------------------- */

static void of_nobody(void)
{
    enum { SOME = 5000 };
    struct story story = { .wanted = 0 };
    struct ct_watch *w;
    struct ct_handle *h;

    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) {
        /* In a user namespace with one user alone there is no nobody. */
        puts("no other user");
        return;
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        perror("skipped: no user namespace");
        return;
    }
    h = open_with(0);
    /* What is told and what is lost is all there was. */
    w = start_watch(0, 20000);
    create(h, 0, SOME);
    IS(info_of(w).rcvbuf < 1 << 20, 1);
    hear_all(w, &story);
    IS(story.of_type[CT_EVENT_LOST] > 0, 1);
    IS(story.lost > 0, 1);
    IS(story.of_type[CT_EVENT_NEW] + story.lost, SOME);
    IS(info_of(w).lost, story.lost);
    IS(info_of(w).received, story.of_type[CT_EVENT_NEW]);
    ct_watch_close(w);
    /* With a list what is lost is made up for. */
    memset(&story, 0, sizeof story);
    w = start_watch(CT_WATCH_SYNC, 20000);
    hear_until(w, &story, CT_EVENT_SYNCED, 1);
    IS(story.of_type[CT_EVENT_NEW], SOME);
    hear_all(w, &story);
    delete_some(h, 0, SOME);
    hear_until(w, &story, CT_EVENT_SYNCED, 2);
    hear_all(w, &story);
    IS(story.of_type[CT_EVENT_LOST] > 0, 1);
    IS(story.of_type[CT_EVENT_DESTROY], SOME);
    IS(info_of(w).entries, 0);
    ct_watch_close(w);
    ct_handle_close(h);
}

/* --- Elsewhere -------------------------------------------------------------------------------------------------------------- */

/* As `ip netns set`: the network namespace has this number in ours. */
static void set_nsid(int netns, int number)
{
    struct {
        struct nlmsghdr header;
        struct rtgenmsg message;
        char pad[3];
        struct {
            struct rtattr attr;
            int value;
        } fd, nsid;
    } request = {
        .header = { .nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWNSID, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK },
        .fd = { { 8, NETNSA_FD }, netns },
        .nsid = { { 8, NETNSA_NSID }, number },
    };
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char more[256];
    } answer;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    IS(send(fd, &request, sizeof request, 0), sizeof request);
    IS(recv(fd, &answer, sizeof answer, 0) > 0, 1);
    IS(answer.error.error, 0);
    close(fd);
}

static void elsewhere(void)
{
    int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there, numbers[2] = { 0, 17 }, i, at;
    struct ct_handle *own = open_with(0), *other;
    struct ct_event ev[8];
    struct ct_watch *w;

    for (i = 0; i < 2; i++) {
        IS(unshare(CLONE_NEWNET), 0);
        there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        other = open_with(0);
        IS(setns(here, CLONE_NEWNET), 0);
        set_nsid(there, numbers[i]);
        w = start_watch(CT_WATCH_ALL_NSID, 0);
        create(own, 1, 1);
        create(other, 2, 1);
        create(own, 3, 1);
        for (at = 0; at < 3; at++) {
            IS(ct_watch_next(w, ev, 1, LONG_MS), 1);
            IS(ev[0].nsid, at == 1 ? numbers[i] : -1);
            IS(is_tcp(&ev[0].entry, 1 + (unsigned int)at), 1);
        }
        ct_watch_close(w);
        /* Without it there is one namespace. */
        w = start_watch(0, 0);
        create(other, 4, 1);
        create(own, 5, 1);
        IS(ct_watch_next(w, ev, 8, LONG_MS), 1);
        IS(is_tcp(&ev[0].entry, 5), 1);
        ct_watch_close(w);
        delete_some(own, 1, 1);
        delete_some(own, 3, 1);
        delete_some(own, 5, 1);
        ct_handle_close(other);
        close(there);
    }
    ct_handle_close(own);
    close(here);
}

int main(void)
{
    alarm(ENDLESS);
    apart("gone", gone);
    apart("without CAP_NET_ADMIN", without_net_admin);
    apart("without CAP_NET_BROADCAST", without_net_broadcast);
    apart("enable", with_enable);
    enabled();
    apart("nobody's", of_nobody);
    apart("elsewhere", elsewhere);
    return failed_checks();
}
