/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* silence: a socket that is always readable and never has anything: the wait for it ends, and does not burn a processor. */

#include "common.h"

static int silent;
static int broken;
static int asked;

ssize_t recvfrom(int fd, void *buf, size_t length, int flags, struct sockaddr *from, socklen_t *from_length)
{
    asked++;
    if (silent) {
        errno = EAGAIN;
        return -1;
    }
    return syscall(SYS_recvfrom, fd, buf, length, flags, from, from_length);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec wait = { timeout / 1000, timeout % 1000 * 1000000L };

    if (broken) {
        fds->revents = POLLERR;
        return 1;
    }
    return (int)syscall(SYS_ppoll, fds, count, timeout < 0 ? NULL : &wait, NULL, 8);
}

int main(void)
{
    struct ct_handle *h = open_with(200);
    struct ct_entry batch[4];
    struct ct_entry key = tcp_key(1);
    uint64_t count = 77;

    alarm(ENDLESS);
    create(h, 0, 100);
    for (broken = 0; broken < 2; broken++) {
        silent = 1;
        asked = 0;
        IS(ct_count(h, &count), -ETIMEDOUT);
        IS(strstr(ct_handle_error(h), "no reply") != NULL, 1);
        IS(ct_get(h, &key, &key), -ETIMEDOUT);
        /* A pause of 20 ms at most, and shorter ones at first: 20 for each call and not a million. */
        IS(asked > 2 && asked < 200, 1);
        silent = 0;
        IS(ct_dump_start(h, NULL, 0), 0);
        silent = 1;
        IS(ct_dump_next(h, batch, 4), -ETIMEDOUT);
        silent = 0;
        IS(ct_count(h, &count), 0);
        IS(count, 100);
    }
    ct_handle_close(h);
    return failed_checks();
}
