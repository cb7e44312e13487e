/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Every function that allocates, in front of those of the C library. All threads are counted together: what a call does on a
 * thread of its own belongs to it.
 */
#define _GNU_SOURCE
#include "failing.h"
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static atomic_int on;
static atomic_int rest_too;
static atomic_long left;
static atomic_long asked;
static atomic_long failed;
static atomic_size_t first_size;
static atomic_long held;

static void *(*real_malloc)(size_t);
static void *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t);
static void *(*real_memalign)(size_t, size_t);
static void (*real_free)(void *);

/* What dlsym() itself allocates, before there is anything else. Never given back. */
static _Alignas(max_align_t) char early[4096];
static size_t early_used;

static void *take_early(size_t size)
{
    char *at = early + early_used;

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (size > sizeof early - early_used)
        _exit(125);
    early_used += size;
    return at;
}

static int is_early(const void *block)
{
    return (const char *)block >= early && (const char *)block < early + sizeof early;
}

/* 0: the real functions are being looked for, and this is one of them asking. */
static int ready(void)
{
    static int looking;

    if (real_free)
        return 1;
    if (looking)
        return 0;
    looking = 1;
    *(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&real_memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&real_free = dlsym(RTLD_NEXT, "free");
    looking = 0;
    if (!real_malloc || !real_calloc || !real_realloc || !real_memalign || !real_free)
        _exit(126);
    return 1;
}

/* Whether this allocation is one of those that fail. */
static int fails(size_t size)
{
    if (!atomic_load(&on))
        return 0;
    atomic_fetch_add(&asked, 1);
    long before = atomic_fetch_sub(&left, 1);
    if (before != 1 && !(before < 1 && atomic_load(&rest_too)))
        return 0;
    if (atomic_fetch_add(&failed, 1) == 0)
        atomic_store(&first_size, size);
    errno = ENOMEM;
    return 1;
}

static void *keep(void *block)
{
    if (block)
        atomic_fetch_add(&held, (long)malloc_usable_size(block));
    return block;
}

static void let_go(void *block)
{
    if (block)
        atomic_fetch_sub(&held, (long)malloc_usable_size(block));
}

void failing_start(long nth, int rest)
{
    atomic_store(&left, nth > 0 ? nth : INTPTR_MAX);
    atomic_store(&rest_too, rest);
    atomic_store(&asked, 0);
    atomic_store(&failed, 0);
    atomic_store(&first_size, 0);
    atomic_store(&on, 1);
}

struct failing failing_stop(void)
{
    atomic_store(&on, 0);
    return (struct failing){ atomic_load(&asked), atomic_load(&failed), atomic_load(&first_size) };
}

long failing_held(void)
{
    return atomic_load(&held);
}

void *malloc(size_t size)
{
    if (!ready())
        return take_early(size);
    return fails(size) ? NULL : keep(real_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    if (!ready())
        return take_early(count * size);
    return fails(count * size) ? NULL : keep(real_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (!ready() || is_early(block))
        _exit(127);
    if (fails(size))
        return NULL;
    let_go(block);
    void *grown = real_realloc(block, size);
    /* A block that did not grow is still there. */
    keep(grown || size == 0 ? grown : block);
    return grown;
}

void *reallocarray(void *block, size_t count, size_t size)
{
    size_t all;

    if (__builtin_mul_overflow(count, size, &all)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, all);
}

void *memalign(size_t alignment, size_t size)
{
    if (!ready())
        _exit(127);
    return fails(size) ? NULL : keep(real_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    int before = errno;
    void *made = memalign(alignment, size);

    errno = before;
    if (!made)
        return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block)
{
    if (!block || is_early(block))
        return;
    if (!ready())
        _exit(127);
    let_go(block);
    real_free(block);
}
