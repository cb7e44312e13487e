/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * A kernel that misbehaves, for tests: a library for LD_PRELOAD that stands between libctrack and the C library. It touches netlink
 * sockets alone, and memory that libctrack asks for (the shared library; a static one is not told from its program).
 *
 *   cc -std=gnu99 -O1 -shared -fPIC -o faults.so faults.c
 *   CTRACK_FAULT=overrun LD_PRELOAD=./faults.so program
 *
 * The variable is read at each call, so that a program can set it for itself (setenv(), os.environ, os.Setenv with cgo).
 * NAME, NAME=NUMBER, either perhaps with :SKIP, so many calls that are left alone first. They are counted anew when the variable
 * changes. Without the variable, or with a name that is not below, nothing is changed.
 *
 *   eperm, enospc      the kernel gets no request and refuses each, with words of its own
 *   refuse=ERRNO       the same with this errno
 *   socket=ERRNO       no netlink socket can be made
 *   send-eio, send=ERRNO        nothing can be sent
 *   overrun, receive=ERRNO      nothing can be received; overrun is ENOBUFS
 *   silence            the kernel gets no request and says nothing
 *   drop               the kernel gets requests, and all that it says is lost
 *   intr               all that it says has the flag of a dump that was interrupted
 *   truncated          all that it says is longer than any buffer
 *   malformed          the length of its first message is wrong
 *   malformed-attribute         that of the first attribute is
 *   nomem              libctrack gets no memory
 *
 * Needs glibc, whose real allocator can be called by name: dlsym() allocates.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Whether the variable names this fault, and for calls that are to be counted whether its turn has come. */
static int is(const char *name, int *number)
{
    static char last[64];
    static unsigned long seen;
    const char *fault = getenv("CTRACK_FAULT");
    size_t length = strlen(name);
    int due = 0;

    if (fault == NULL || strncmp(fault, name, length) != 0 || strchr("=:", fault[length]) == NULL)
        return 0;
    if (fault[length] == '=') {
        if (number == NULL)
            return 0;
        *number = atoi(fault + length + 1);
    }
    fault += strcspn(fault, ":");
    if (*fault == '\0')
        return 1;
    pthread_mutex_lock(&lock);
    const char *whole = getenv("CTRACK_FAULT");
    if (whole != NULL) {
        if (strncmp(last, whole, sizeof last - 1) != 0) {
            strncpy(last, whole, sizeof last - 1);
            seen = 0;
        }
        due = seen++ >= strtoul(fault + 1, NULL, 10);
    }
    pthread_mutex_unlock(&lock);
    return due;
}

static int is_netlink(int fd)
{
    int domain = 0;
    socklen_t size = sizeof domain;
    int before = errno;
    int known = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size);

    errno = before;
    return known == 0 && domain == AF_NETLINK;
}

static int fails(int with)
{
    errno = with;
    return -1;
}

/* The requests that are to be refused, oldest first: one answer for each, as the kernel gives them. */
struct refusal {
    struct refusal *next;
    int fd, error;
    struct nlmsghdr request;
};

static struct refusal *refusals;

static void refuse(int fd, const char *bytes, size_t length, int error)
{
    pthread_mutex_lock(&lock);
    struct refusal **end = &refusals;
    while (*end != NULL)
        end = &(*end)->next;
    for (size_t at = 0; at + NLMSG_HDRLEN <= length;) {
        struct refusal *one = calloc(1, sizeof *one);
        if (one == NULL)
            abort();
        one->fd = fd;
        one->error = error;
        memcpy(&one->request, bytes + at, sizeof one->request);
        *end = one;
        end = &one->next;
        /* Who may not is told once, and the rest of the datagram is not looked at. */
        if (error == EPERM || one->request.nlmsg_len < NLMSG_HDRLEN)
            break;
        at += NLMSG_ALIGN(one->request.nlmsg_len);
    }
    pthread_mutex_unlock(&lock);
}

/* Writes the answer to the oldest request on this socket that is to be refused. -1: there is none. */
static ssize_t answer(int fd, char *buffer, size_t room)
{
    static const char words[] = "refused by a test";
    struct sockaddr_nl own = { 0 };
    socklen_t size = sizeof own;
    struct refusal **at, *found;

    pthread_mutex_lock(&lock);
    for (at = &refusals; *at != NULL && (*at)->fd != fd; at = &(*at)->next)
        ;
    found = *at;
    if (found != NULL)
        *at = found->next;
    pthread_mutex_unlock(&lock);
    if (found == NULL)
        return -1;
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        struct nlattr attribute;
        char words[20];
    } message = {
        .header = { sizeof message, NLMSG_ERROR, NLM_F_CAPPED | NLM_F_ACK_TLVS, found->request.nlmsg_seq, 0 },
        .error = { -found->error, found->request },
        .attribute = { NLA_HDRLEN + sizeof words, NLMSGERR_ATTR_MSG },
    };
    free(found);
    getsockname(fd, (struct sockaddr *)&own, &size);
    message.header.nlmsg_pid = own.nl_pid;
    memcpy(message.words, words, sizeof words);
    memcpy(buffer, &message, sizeof message < room ? sizeof message : room);
    return sizeof message;
}

static void forget(int fd)
{
    struct refusal **at = &refusals;

    pthread_mutex_lock(&lock);
    while (*at != NULL) {
        struct refusal *one = *at;
        if (one->fd == fd) {
            *at = one->next;
            free(one);
        } else {
            at = &one->next;
        }
    }
    pthread_mutex_unlock(&lock);
}

int socket(int domain, int type, int protocol)
{
    int error = 0;

    if (domain == AF_NETLINK && is("socket", &error))
        return fails(error);
    int fd = (int)syscall(SYS_socket, domain, type, protocol);
    /* What was to be said on a socket that had this number before. */
    if (fd >= 0 && domain == AF_NETLINK)
        forget(fd);
    return fd;
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *to, socklen_t size)
{
    int error = 0;

    if (is_netlink(fd)) {
        if (is("send-eio", NULL))
            return fails(EIO);
        if (is("send", &error))
            return fails(error);
        if (is("silence", NULL))
            return (ssize_t)length;
        if (is("eperm", NULL))
            error = EPERM;
        else if (is("enospc", NULL))
            error = ENOSPC;
        else
            is("refuse", &error);
        if (error != 0) {
            refuse(fd, bytes, length, error);
            return (ssize_t)length;
        }
    }
    return syscall(SYS_sendto, fd, bytes, length, flags, to, size);
}

/* The real call: a cancellation point less, which libctrack does not want there anyway. */
static ssize_t receive(int fd, void *buffer, size_t room, int flags, struct sockaddr *from, socklen_t *size)
{
    return syscall(SYS_recvfrom, fd, buffer, room, flags, from, size);
}

/* Does to a datagram of the kernel what the variable says, and gives its length. */
static ssize_t spoil(char *bytes, size_t room, size_t length)
{
    struct nlmsghdr header;

    if (length < sizeof header || length > room)
        return (ssize_t)length;
    if (is("truncated", NULL))
        return (ssize_t)room + 1;
    memcpy(&header, bytes, sizeof header);
    if (is("malformed", NULL)) {
        header.nlmsg_len = NLMSG_HDRLEN - 1;
        memcpy(bytes, &header, sizeof header);
    }
    /* Behind the header of the message and that of nfnetlink (4 bytes). */
    size_t first = NLMSG_HDRLEN + 4;
    if (header.nlmsg_type >= NLMSG_MIN_TYPE && length >= first + NLA_HDRLEN && is("malformed-attribute", NULL)) {
        uint16_t wrong = NLA_HDRLEN - 1;
        memcpy(bytes + first, &wrong, sizeof wrong);
    }
    if (is("intr", NULL)) {
        for (size_t at = 0; at + sizeof header <= length; at += NLMSG_ALIGN(header.nlmsg_len)) {
            memcpy(&header, bytes + at, sizeof header);
            if (header.nlmsg_len < sizeof header)
                break;
            header.nlmsg_flags |= NLM_F_DUMP_INTR;
            memcpy(bytes + at, &header, sizeof header);
        }
    }
    return (ssize_t)length;
}

ssize_t recvfrom(int fd, void *restrict buffer, size_t room, int flags, struct sockaddr *restrict from,
                 socklen_t *restrict size)
{
    int error = 0;

    if (!is_netlink(fd))
        return receive(fd, buffer, room, flags, from, size);
    if (is("overrun", NULL))
        return fails(ENOBUFS);
    if (is("receive", &error))
        return fails(error);
    ssize_t length = answer(fd, buffer, room);
    if (length >= 0) {
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        if (from != NULL && size != NULL && *size >= sizeof kernel) {
            memcpy(from, &kernel, sizeof kernel);
            *size = sizeof kernel;
        }
        return length;
    }
    do
        length = receive(fd, buffer, room, flags, from, size);
    while (length >= 0 && is("drop", NULL));
    return length < 0 ? length : spoil(buffer, room, (size_t)length);
}

/* Memory. */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

struct place {
    uintptr_t address;
    int inside;
};

static int look(struct dl_phdr_info *object, size_t size, void *data)
{
    struct place *place = data;

    (void)size;
    if (strstr(object->dlpi_name, "libctrack.so") == NULL)
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        uintptr_t start = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
        if (object->dlpi_phdr[i].p_type == PT_LOAD && place->address >= start &&
            place->address - start < object->dlpi_phdr[i].p_memsz)
            place->inside = 1;
    }
    return place->inside;
}

/* Looked for each time, and only while memory is to be short: libctrack may be loaded late. */
static int denied(void *caller)
{
    const char *fault = getenv("CTRACK_FAULT");
    struct place place = { (uintptr_t)caller, 0 };

    if (fault == NULL || strncmp(fault, "nomem", 5) != 0)
        return 0;
    dl_iterate_phdr(look, &place);
    if (!place.inside || !is("nomem", NULL))
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return denied(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return denied(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    return denied(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return denied(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    void *found = denied(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);

    if (found == NULL)
        return ENOMEM;
    *result = found;
    return 0;
}
