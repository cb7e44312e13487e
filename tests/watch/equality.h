/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * Whether a watch with CT_WATCH_SYNC ends with the kernel's table, and one without it with the number of events that there were.
 *
 * The library is used through ct_watch_*() alone. Who makes the events and who reads the table are this program's own: raw netlink
 * (wire.c), and the program conntrack where there is one. Each run belongs into a process of its own: it enters a network namespace.
 */

#ifndef EQUALITY_H
#define EQUALITY_H

#define _GNU_SOURCE
#include <ctrack.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- wire.c: messages, and the table as the kernel tells it --------------------------------------------------------------- */

/* One direction of a flow. */
struct way {
    uint8_t src[16], dst[16];
    uint16_t sport, dport;
    uint32_t zone;
};

struct row {
    struct way orig, reply;
    uint32_t family, proto;
    uint32_t id, mark, status;
};

/* What makes two rows the same flow: all but id, mark and status. */
enum { FLOW_BYTES = offsetof(struct row, id), ORIG_BYTES = sizeof(struct way) };

struct rows {
    struct row *at;
    size_t count, room;
};

struct batch {
    unsigned char bytes[32768];
    size_t length, last;
    unsigned count;
};

enum zone_kind { NO_ZONE, BOTH_WAYS, ORIG_ONLY, REPLY_ONLY };

enum change { MAKE, MARK, DELETE };

/* Values of an entry, beside what makes it itself. 0: not set. */
struct values {
    uint32_t timeout, mark, status;
    int has_mark;
};

int open_netlink(int room);
int hears(int fd, unsigned group);
void reads_reliably(int fd);
void put_made(struct batch *b, const struct row *r, enum zone_kind kind, const struct values *v);
void put_changed(struct batch *b, const struct row *r, enum zone_kind kind, const struct values *v);
void put_deleted(struct batch *b, const struct row *r, enum zone_kind kind);
unsigned send_batch(int fd, struct batch *b);
void dump_table(int fd, struct rows *rows);
void sort_rows(struct rows *rows);
int track_without_nft(void);

/* --- churn.c: whoever makes, changes and destroys entries ----------------------------------------------------------------- */

struct plan {
    uint64_t seed;
    /* How large it may get. */
    unsigned tuples, most_start;
    /* What is drawn. */
    unsigned start, buffer, mode, millis, stuck, unheard, cap, naps, nap_millis, first, resyncs, quick, pace;
    unsigned netlink, udp, tcp;
    /* There is a program nft, so that there is NAT. */
    unsigned has_nft, has_conntrack, nat;
};

uint32_t drawn(uint64_t *chance, uint32_t n);
struct row flow_of(unsigned number, unsigned variant, enum zone_kind *kind);
void put_something(struct batch *b, uint64_t *chance, const struct plan *plan);
struct row send_one(unsigned port);
void fill_table(const struct plan *plan);
void start_churn(const struct plan *plan);
void stop_churn(void);
void rest(unsigned millis);
int try_sysctl(const char *name, unsigned value);
void set_sysctl(const char *name, unsigned value);
int get_sysctl(const char *name);

/* --- follower.c: the table as a watch tells it ---------------------------------------------------------------------------- */

struct follower {
    uint64_t number, lost, told;
    unsigned synced, losses, unknown_losses, wrong, twins, unfound;
    /* Between a loss and the list that repairs it. */
    int behind;
    /* There is no list, so that events need not fit to each other. */
    int only_counts;
    size_t count;
};

extern struct follower follower;

void reset_follower(void);
void follow(const struct ct_event *event);
void followed_table(struct rows *rows);
void print_row(const char *what, const struct row *r);
void print_story(const struct row *r);
void complain(const char *format, ...);

/* --- equality.c ------------------------------------------------------------------------------------------------------------ */

struct outcome {
    uint64_t drops, received, told, restarts, resyncs, verified, audited;
    unsigned entries, twins, wrong, exact, synced;
};

void draw(struct plan *plan, uint64_t seed);
void enter(void);
void run_equality(struct plan *plan, struct outcome *outcome);
void run_counts(struct plan *plan, struct outcome *outcome);
void run_silent(struct plan *plan, struct outcome *outcome);
void print_outcome(const char *what, const struct plan *plan, const struct outcome *outcome);

#endif
