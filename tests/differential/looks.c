/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * Preloaded, so that the stream of events shows when the library looks at entries again: before each of its requests for single
 * entries a given message is sent on a given socket, which makes an event of its own, and the request is kept. Nothing of the
 * library is changed: what it sends goes out as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

static struct {
    int socket;
    const void *mark;
    size_t mark_length;
    /* Each datagram, behind its length as four bytes. `missing`: how many there was no room for. */
    unsigned char *kept;
    size_t room, used, missing;
} looks = { .socket = -1 };

/* From now on, `mark` goes out on `socket` before each look-up, and the look-ups are kept in `kept`. */
void show_looks(int socket, const void *mark, size_t mark_length, void *kept, size_t room)
{
    looks.mark = mark;
    looks.mark_length = mark_length;
    looks.kept = kept;
    looks.room = room;
    looks.socket = socket;
}

/* How many bytes of look-ups were kept since the last time; -1 if there was no room for all. */
long take_looks(void)
{
    long used = looks.missing ? -1 : (long)looks.used;

    looks.used = looks.missing = 0;
    return used;
}

/* For look-ups that are sent otherwise. */
void mark_look(const void *data, size_t length)
{
    uint32_t size = (uint32_t)length;

    if (looks.used + sizeof size + length > looks.room) {
        looks.missing++;
        return;
    }
    memcpy(looks.kept + looks.used, &size, sizeof size);
    memcpy(looks.kept + looks.used + sizeof size, data, length);
    looks.used += sizeof size + length;
    (void)send(looks.socket, looks.mark, looks.mark_length, 0);
}

static int is_look_up(const void *data, size_t length)
{
    struct nlmsghdr header;

    if (length < sizeof header)
        return 0;
    memcpy(&header, data, sizeof header);
    /* IPCTNL_MSG_CT_GET of NFNL_SUBSYS_CTNETLINK, and no dump. */
    return header.nlmsg_type == 0x101 && !(header.nlmsg_flags & NLM_F_DUMP);
}

ssize_t sendto(int socket, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length)
{
    static ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);

    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "sendto");
    if (looks.socket >= 0 && is_look_up(data, length))
        mark_look(data, length);
    return next(socket, data, length, flags, to, to_length);
}
