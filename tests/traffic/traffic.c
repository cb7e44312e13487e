/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * traffic: one real flow on loopback, in the network namespace it runs in. Both ends are this process.
 *
 *   traffic tcp     SRC SPORT DST DPORT [--close | --half-open | --hold SECONDS | --half-close SECONDS] [--bytes N]
 *   traffic udp     SRC SPORT DST DPORT [--answer] [--bytes N]
 *   traffic udplite SRC SPORT DST DPORT [--answer] [--bytes N]
 *   traffic icmp    SRC ID DST          (ICMP or ICMPv6 echo; the kernel answers)
 *   traffic sctp    SRC SPORT DST DPORT (an INIT chunk; nobody answers)
 *   traffic gre     SRC DST [CALL-ID]   (version 1, as PPTP has it, with a call id; version 0 without)
 *   traffic raw     PROTO SRC DST       (8 bytes of a protocol without ports)
 *
 * The family is that of the addresses. With NAT in the way, --server ADDRESS PORT says where the other end really is.
 *
 * TCP: --close (the default) closes both ends in order. --half-open leaves it at the first SYN. --hold keeps it open,
 * and --half-close keeps it open in one direction: a background process does so for that long, its pid is printed, and
 * the command returns as soon as the connection is as it should be.
 *
 * ICMP, SCTP, GRE and raw need CAP_NET_RAW. Exit code: 0 done, 1 it did not work (and stderr says why), 2 wrong usage.
 */

#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 5000
#define MAX_BYTES 65536

enum tcp_end { END_CLOSE, END_HALF_OPEN, END_HOLD, END_HALF_CLOSE };

struct address {
    struct sockaddr_storage socket;
    socklen_t length;
};

struct flow {
    struct address source, target, server;
    enum tcp_end end;
    unsigned seconds;
    size_t bytes;
    int answer;
};

static const char usage_text[] =
    "usage: traffic tcp SRC SPORT DST DPORT [--close | --half-open | --hold SECONDS | --half-close SECONDS]\n"
    "       traffic udp|udplite SRC SPORT DST DPORT [--answer]   (these three: [--bytes N] [--server ADDRESS PORT])\n"
    "       traffic icmp SRC ID DST\n"
    "       traffic sctp SRC SPORT DST DPORT\n"
    "       traffic gre SRC DST [CALL-ID]\n"
    "       traffic raw PROTO SRC DST\n";

static void usage(void)
{
    fputs(usage_text, stderr);
    exit(2);
}

static void fail(const char *what)
{
    fprintf(stderr, "traffic: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void check(int result, const char *what)
{
    if (result < 0)
        fail(what);
}

static unsigned long number(const char *text, unsigned long max)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || value > max) {
        fprintf(stderr, "traffic: %s is no number from 0 to %lu\n", text, max);
        exit(2);
    }
    return value;
}

static struct address address(const char *text, unsigned long port)
{
    struct address a;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.socket;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.socket;

    memset(&a, 0, sizeof a);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a.length = sizeof *v4;
        return a;
    }
    memset(&a, 0, sizeof a);
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1) {
        fprintf(stderr, "traffic: %s is no address\n", text);
        exit(2);
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    a.length = sizeof *v6;
    return a;
}

static int bound_socket(const struct address *at, int type, int protocol)
{
    int one = 1;
    int fd = socket(at->socket.ss_family, type, protocol);

    check(fd, "socket");
    check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    check(bind(fd, (const struct sockaddr *)&at->socket, at->length), "bind");
    return fd;
}

static void wait_for(int fd, short events, const char *what)
{
    struct pollfd p = { .fd = fd, .events = events, .revents = 0 };
    int ready;

    do
        ready = poll(&p, 1, WAIT_MS);
    while (ready < 0 && errno == EINTR);
    check(ready, what);
    if (ready == 0) {
        errno = ETIMEDOUT;
        fail(what);
    }
}

static void send_bytes(int fd, size_t count)
{
    static const char bytes[MAX_BYTES];

    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

        check((int)sent, "send");
        count -= (size_t)sent;
    }
}

static void receive_bytes(int fd, size_t count)
{
    static char bytes[MAX_BYTES];

    while (count > 0) {
        ssize_t got;

        wait_for(fd, POLLIN, "wait for bytes");
        got = recv(fd, bytes, count, 0);
        check((int)got, "recv");
        if (got == 0) {
            fputs("traffic: the other end closed early\n", stderr);
            exit(1);
        }
        count -= (size_t)got;
    }
}

static void receive_end(int fd)
{
    char byte;

    wait_for(fd, POLLIN, "wait for the end");
    if (recv(fd, &byte, 1, 0) != 0)
        fail("the other end did not close");
}

/* The listener drops whatever comes in, so that neither SYN+ACK nor RST answers the SYN. */
static void tcp_half_open(const struct flow *f, int listener)
{
    struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &drop_all };
    int client;

    check(setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), "SO_ATTACH_FILTER");
    client = bound_socket(&f->source, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(client, (const struct sockaddr *)&f->target.socket, f->target.length) == 0 || errno != EINPROGRESS)
        fail("connect without an answer");
    close(client);
}

/* Returns in the parent once the connection stands; the child keeps it. */
static void keep_in_background(unsigned seconds)
{
    pid_t child;
    int null;

    fflush(stdout);
    child = fork();
    check(child, "fork");
    if (child > 0) {
        printf("%ld\n", (long)child);
        fflush(stdout);
        _exit(0);
    }
    /* Whoever reads our output must not wait for the child. */
    null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        _exit(1);
    while (seconds > 0)
        seconds = sleep(seconds);
    _exit(0);
}

static void tcp(const struct flow *f)
{
    int listener = bound_socket(&f->server, SOCK_STREAM, 0);
    int client, server;

    check(listen(listener, 1), "listen");
    if (f->end == END_HALF_OPEN) {
        tcp_half_open(f, listener);
        return;
    }
    client = bound_socket(&f->source, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(client, (const struct sockaddr *)&f->target.socket, f->target.length) < 0) {
        int error = 0;
        socklen_t length = sizeof error;

        if (errno != EINPROGRESS)
            fail("connect");
        wait_for(client, POLLOUT, "connect");
        check(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length), "SO_ERROR");
        errno = error;
        if (error != 0)
            fail("connect");
    }
    wait_for(listener, POLLIN, "accept");
    server = accept(listener, NULL, NULL);
    check(server, "accept");
    /* So that another flow to this port can be made while this one is kept. */
    close(listener);
    send_bytes(client, f->bytes);
    receive_bytes(server, f->bytes);
    send_bytes(server, f->bytes);
    receive_bytes(client, f->bytes);
    if (f->end == END_HOLD)
        keep_in_background(f->seconds);
    check(shutdown(client, SHUT_WR), "shutdown");
    receive_end(server);
    if (f->end == END_HALF_CLOSE)
        keep_in_background(f->seconds);
    check(shutdown(server, SHUT_WR), "shutdown");
    receive_end(client);
    close(client);
    close(server);
}

static void datagrams(const struct flow *f, int protocol)
{
    static char bytes[MAX_BYTES];
    int client = bound_socket(&f->source, SOCK_DGRAM, protocol);
    int server = bound_socket(&f->server, SOCK_DGRAM, protocol);
    struct address from = { .length = sizeof from.socket };
    ssize_t got;

    check(connect(client, (const struct sockaddr *)&f->target.socket, f->target.length), "connect");
    check((int)send(client, bytes, f->bytes, 0), "send");
    wait_for(server, POLLIN, "wait for the datagram");
    got = recvfrom(server, bytes, sizeof bytes, 0, (struct sockaddr *)&from.socket, &from.length);
    check((int)got, "recvfrom");
    if (!f->answer)
        return;
    check((int)sendto(server, bytes, (size_t)got, 0, (struct sockaddr *)&from.socket, from.length), "sendto");
    wait_for(client, POLLIN, "wait for the answer");
    check((int)recv(client, bytes, sizeof bytes, 0), "recv");
}

/* RFC 1071. ICMPv6, UDP and TCP have theirs made by the kernel. */
static uint16_t internet_checksum(const uint8_t *data, size_t length)
{
    uint32_t sum = 0;
    size_t i;

    for (i = 0; i + 1 < length; i += 2)
        sum += (uint32_t)(data[i] << 8 | data[i + 1]);
    if (i < length)
        sum += (uint32_t)(data[i] << 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* CRC-32C (Castagnoli), reflected, as RFC 9260 appendix A has it. */
static uint32_t crc32c(const uint8_t *data, size_t length)
{
    uint32_t crc = 0xffffffff;

    while (length-- > 0) {
        int bit;

        crc ^= *data++;
        for (bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void put16(uint8_t *at, unsigned long value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static int send_raw(const struct address *from, const struct address *to, int protocol, const uint8_t *data,
                    size_t length)
{
    int fd = bound_socket(from, SOCK_RAW, protocol);

    if (sendto(fd, data, length, 0, (const struct sockaddr *)&to->socket, to->length) != (ssize_t)length)
        fail("sendto");
    return fd;
}

static void echo(const struct address *from, const struct address *to, uint16_t id)
{
    int v4 = from->socket.ss_family == AF_INET;
    uint8_t request[64] = { 0 };
    int fd;

    request[0] = v4 ? 8 : 128;
    put16(request + 4, id);
    put16(request + 6, 1);
    if (v4)
        put16(request + 2, internet_checksum(request, sizeof request));
    fd = send_raw(from, to, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, request, sizeof request);
    /* The raw socket sees all ICMP on loopback, our own request too. */
    for (;;) {
        uint8_t packet[2048];
        const uint8_t *icmp = packet;
        ssize_t got;

        wait_for(fd, POLLIN, "wait for the echo reply");
        got = recv(fd, packet, sizeof packet, 0);
        check((int)got, "recv");
        if (v4) {
            size_t header = (size_t)(packet[0] & 15) * 4;

            icmp += header;
            got -= (ssize_t)header;
        }
        if (got >= 8 && icmp[0] == (v4 ? 0 : 129) && icmp[4] == request[4] && icmp[5] == request[5])
            return;
    }
}

static void sctp_init(const struct address *from, const struct address *to, unsigned long sport, unsigned long dport)
{
    /* RFC 9260: common header, then INIT with a tag, a window, 1 + 1 streams and a first TSN. */
    uint8_t packet[32] = { 0 };
    uint32_t crc;

    put16(packet, sport);
    put16(packet + 2, dport);
    packet[12] = 1;
    put16(packet + 14, 20);
    put16(packet + 16, 0x1a2b);
    put16(packet + 18, 0x3c4d);
    put16(packet + 22, 0xffff);
    put16(packet + 24, 1);
    put16(packet + 26, 1);
    put16(packet + 30, 1);
    crc = crc32c(packet, sizeof packet);
    packet[8] = (uint8_t)crc;
    packet[9] = (uint8_t)(crc >> 8);
    packet[10] = (uint8_t)(crc >> 16);
    packet[11] = (uint8_t)(crc >> 24);
    send_raw(from, to, IPPROTO_SCTP, packet, sizeof packet);
}

static void gre(const struct address *from, const struct address *to, int has_call_id, unsigned long call_id)
{
    /* Version 1 (RFC 2637): key and sequence number present, PPP inside, payload length, call id, sequence number. */
    uint8_t pptp[16] = { 0x30, 0x01, 0x88, 0x0b };
    /* Version 0 (RFC 2784), IPv4 inside. */
    static const uint8_t plain[8] = { 0x00, 0x00, 0x08, 0x00 };

    if (!has_call_id) {
        send_raw(from, to, IPPROTO_GRE, plain, sizeof plain);
        return;
    }
    put16(pptp + 4, 4);
    put16(pptp + 6, call_id);
    put16(pptp + 10, 1);
    send_raw(from, to, IPPROTO_GRE, pptp, sizeof pptp);
}

static void same_family(const struct address *a, const struct address *b)
{
    if (a->socket.ss_family == b->socket.ss_family)
        return;
    fputs("traffic: one address is IPv4, the other IPv6\n", stderr);
    exit(2);
}

static void options(struct flow *f, int is_tcp, int argc, char **argv)
{
    int i;

    for (i = 0; i < argc; i++) {
        const char *option = argv[i];
        int values = argc - i - 1;

        if (is_tcp && strcmp(option, "--close") == 0) {
            f->end = END_CLOSE;
        } else if (is_tcp && strcmp(option, "--half-open") == 0) {
            f->end = END_HALF_OPEN;
        } else if (is_tcp && strcmp(option, "--hold") == 0 && values >= 1) {
            f->end = END_HOLD;
            f->seconds = (unsigned)number(argv[++i], 86400);
        } else if (is_tcp && strcmp(option, "--half-close") == 0 && values >= 1) {
            f->end = END_HALF_CLOSE;
            f->seconds = (unsigned)number(argv[++i], 86400);
        } else if (!is_tcp && strcmp(option, "--answer") == 0) {
            f->answer = 1;
        } else if (strcmp(option, "--bytes") == 0 && values >= 1) {
            f->bytes = number(argv[++i], is_tcp ? MAX_BYTES : 1400);
        } else if (strcmp(option, "--server") == 0 && values >= 2) {
            f->server = address(argv[i + 1], number(argv[i + 2], 65535));
            same_family(&f->source, &f->server);
            i += 2;
        } else {
            usage();
        }
    }
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    char **a = argv + 2;
    int n = argc - 2;
    int is_tcp = strcmp(kind, "tcp") == 0, is_udp = strcmp(kind, "udp") == 0, is_lite = strcmp(kind, "udplite") == 0;

    if ((is_tcp || is_udp || is_lite) && n >= 4) {
        struct flow f = { .end = END_CLOSE, .bytes = 4 };

        f.source = address(a[0], number(a[1], 65535));
        f.target = address(a[2], number(a[3], 65535));
        f.server = f.target;
        same_family(&f.source, &f.target);
        options(&f, is_tcp, n - 4, a + 4);
        if (is_tcp)
            tcp(&f);
        else
            datagrams(&f, is_udp ? IPPROTO_UDP : IPPROTO_UDPLITE);
        return 0;
    }
    {
        int is_icmp = strcmp(kind, "icmp") == 0 && n == 3, is_sctp = strcmp(kind, "sctp") == 0 && n == 4;
        int is_gre = strcmp(kind, "gre") == 0 && (n == 2 || n == 3), is_raw = strcmp(kind, "raw") == 0 && n == 3;
        struct address from, to;

        if (!is_icmp && !is_sctp && !is_gre && !is_raw)
            usage();
        from = address(a[is_raw ? 1 : 0], 0);
        to = address(a[is_gre ? 1 : 2], 0);
        same_family(&from, &to);
        if (is_icmp) {
            echo(&from, &to, (uint16_t)number(a[1], 65535));
        } else if (is_sctp) {
            sctp_init(&from, &to, number(a[1], 65535), number(a[3], 65535));
        } else if (is_gre) {
            gre(&from, &to, n == 3, n == 3 ? number(a[2], 65535) : 0);
        } else {
            static const uint8_t payload[8];

            send_raw(&from, &to, (int)number(a[0], 255), payload, sizeof payload);
        }
    }
    return 0;
}
