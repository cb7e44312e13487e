/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* The table that events add up to, kept from them alone. Each of them must fit to those before it. */

#include "equality.h"

#include <arpa/inet.h>

enum { BUCKETS = 1 << 16, HISTORY = 1 << 17, SHOWN = 20 };

struct node {
    struct row row;
    struct node *next;
};

struct told {
    uint64_t number;
    uint32_t type, flags;
    struct row row;
};

struct follower follower;

static struct node *table[BUCKETS], *unused;
/* The last events, to be shown if something is wrong. */
static struct told *history;
static uint64_t remembered;

void complain(const char *format, ...)
{
    va_list arguments;

    if (follower.wrong++ >= SHOWN)
        return;
    printf("WRONG: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

static void print_way(const struct row *r, const struct way *way)
{
    char src[64], dst[64];

    inet_ntop((int)r->family, way->src, src, sizeof src);
    inet_ntop((int)r->family, way->dst, dst, sizeof dst);
    printf(" %s.%u > %s.%u", src, way->sport, dst, way->dport);
    if (way->zone)
        printf(" zone %u", (unsigned)way->zone);
}

void print_row(const char *what, const struct row *r)
{
    printf("%s proto %u", what, (unsigned)r->proto);
    print_way(r, &r->orig);
    printf(" |");
    print_way(r, &r->reply);
    printf(" id %#x mark %u status %#x\n", (unsigned)r->id, (unsigned)r->mark, (unsigned)r->status);
}

/* What was told lately of all that has the same original tuple. */
void print_story(const struct row *r)
{
    static const char *const types[] = { "?", "NEW", "UPDATE", "DESTROY", "LOST", "SYNCED" };
    uint64_t from = remembered > HISTORY ? remembered - HISTORY : 0;

    for (uint64_t i = from; i < remembered; i++) {
        const struct told *told = &history[i % HISTORY];
        char text[64];
        int general = told->type == CT_EVENT_LOST || told->type == CT_EVENT_SYNCED;

        if (!general && memcmp(&told->row.orig, &r->orig, ORIG_BYTES) != 0)
            continue;
        snprintf(text, sizeof text, "    %llu %s flags %#x:", (unsigned long long)told->number,
                 types[told->type < 6 ? told->type : 0], (unsigned)told->flags);
        if (general)
            puts(text);
        else
            print_row(text, &told->row);
    }
}

static void read_way(struct way *way, const struct ct_tuple *t)
{
    memcpy(way->src, t->src, 16);
    memcpy(way->dst, t->dst, 16);
    way->sport = t->sport;
    way->dport = t->dport;
    way->zone = t->zone;
}

static struct row row_of(const struct ct_entry *e)
{
    struct row r;

    memset(&r, 0, sizeof r);
    read_way(&r.orig, &e->orig);
    read_way(&r.reply, &e->reply);
    r.family = e->family == CT_FAMILY_IPV4 ? AF_INET : AF_INET6;
    r.proto = e->proto;
    r.id = e->id;
    r.mark = e->mark;
    r.status = e->status;
    return r;
}

static struct node **bucket_of(const struct row *r)
{
    const unsigned char *at = (const unsigned char *)&r->orig;
    uint32_t hash = r->proto;

    for (size_t i = 0; i < ORIG_BYTES; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return &table[(hash ^ hash >> 16) % BUCKETS];
}

/* The place of a flow; or, of `orig_and_id`, of that with this original tuple and id. */
static struct node **find(const struct row *r, int orig_and_id)
{
    struct node **at = bucket_of(r);

    for (; *at; at = &(*at)->next) {
        const struct row *known = &(*at)->row;

        if (orig_and_id ? memcmp(&known->orig, &r->orig, ORIG_BYTES) == 0 && known->family == r->family &&
                              known->proto == r->proto && known->id == r->id
                        : memcmp(known, r, FLOW_BYTES) == 0)
            break;
    }
    return at;
}

static void wrong_event(const char *what, const struct row *r)
{
    if (follower.wrong < SHOWN) {
        print_row(what, r);
        print_story(r);
    }
    complain("event %llu: %s", (unsigned long long)follower.number, what);
}

static void hear_new(const struct row *r)
{
    struct node **at = find(r, 0), *node = *at;

    if (node) {
        wrong_event("NEW of a flow that is there", r);
        node->row = *r;
        return;
    }
    node = unused;
    if (node)
        unused = node->next;
    else if (!(node = malloc(sizeof *node)))
        exit(3);
    node->row = *r;
    node->next = NULL;
    *at = node;
    follower.count++;
}

static void hear_update(const struct row *r)
{
    struct node *node = *find(r, 0);

    if (!node || node->row.id != r->id) {
        wrong_event(node ? "UPDATE with another id" : "UPDATE of a flow that is not there", r);
        return;
    }
    node->row = *r;
}

/* Of an entry that was found to be gone, only original tuple, zone and id count. */
static void hear_destroy(const struct row *r, int found)
{
    struct node **at = find(r, found), *node = *at;

    if (!node || node->row.id != r->id) {
        wrong_event(node ? "DESTROY with another id" : "DESTROY of a flow that is not there", r);
        return;
    }
    *at = node->next;
    node->next = unused;
    unused = node;
    follower.count--;
}

static void remember(const struct ct_event *event, const struct row *r)
{
    struct told *told;

    if (!history && !(history = calloc(HISTORY, sizeof *history)))
        exit(3);
    told = &history[remembered++ % HISTORY];
    told->number = event->number;
    told->type = event->type;
    told->flags = event->flags;
    told->row = *r;
}

static void hear(const struct ct_event *event, const struct row *r)
{
    switch (event->type) {
    case CT_EVENT_NEW:
        hear_new(r);
        break;
    case CT_EVENT_UPDATE:
        hear_update(r);
        break;
    case CT_EVENT_DESTROY:
        hear_destroy(r, (event->flags & CT_EVENT_FOUND) != 0);
    }
}

void follow(const struct ct_event *event)
{
    struct row r = row_of(&event->entry);

    if (event->number != follower.number + 1)
        complain("event %llu follows %llu", (unsigned long long)event->number, (unsigned long long)follower.number);
    follower.number = event->number;
    remember(event, &r);
    switch (event->type) {
    case CT_EVENT_NEW:
    case CT_EVENT_UPDATE:
    case CT_EVENT_DESTROY:
        if (!follower.only_counts)
            hear(event, &r);
        break;
    case CT_EVENT_LOST:
        follower.losses++;
        follower.behind = 1;
        if (event->lost == UINT64_MAX)
            follower.unknown_losses++;
        else
            follower.lost += event->lost;
        return;
    case CT_EVENT_SYNCED:
        follower.synced++;
        follower.behind = 0;
        return;
    default:
        complain("event %llu has type %u", (unsigned long long)event->number, (unsigned)event->type);
    }
    follower.told++;
    follower.unfound += !(event->flags & CT_EVENT_FOUND);
}

/* Begins anew with another watch; what was wrong stays so. */
void reset_follower(void)
{
    unsigned wrong = follower.wrong;

    for (size_t i = 0; i < BUCKETS; i++)
        while (table[i]) {
            struct node *node = table[i];

            table[i] = node->next;
            node->next = unused;
            unused = node;
        }
    memset(&follower, 0, sizeof follower);
    follower.wrong = wrong;
    remembered = 0;
}

void followed_table(struct rows *rows)
{
    rows->count = 0;
    if (rows->room < follower.count) {
        rows->room = follower.count;
        rows->at = realloc(rows->at, rows->room * sizeof *rows->at);
        if (!rows->at)
            exit(3);
    }
    for (size_t i = 0; i < BUCKETS; i++)
        for (const struct node *node = table[i]; node; node = node->next)
            rows->at[rows->count++] = node->row;
}
