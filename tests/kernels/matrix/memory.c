/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/* Counts the memory that this program holds, that of the library among it: the program is linked with --wrap=malloc and so on. */

#include "matrix.h"

#include <malloc.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
int __real_posix_memalign(void **block, size_t alignment, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
int __wrap_posix_memalign(void **block, size_t alignment, size_t size);
void __wrap_free(void *block);

/* In bytes. Threads may add at once; then the most may be a little too low. */
static size_t held, most;

static void *holds(void *block)
{
    size_t now = __atomic_add_fetch(&held, malloc_usable_size(block), __ATOMIC_RELAXED);

    if (now > most)
        most = now;
    return block;
}

void *__wrap_malloc(size_t size)
{
    return holds(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return holds(__real_calloc(count, size));
}

void *__wrap_realloc(void *block, size_t size)
{
    size_t before = malloc_usable_size(block);
    void *moved = __real_realloc(block, size);

    /* Both are there while one is copied into the other. */
    if (moved) {
        holds(moved);
        __atomic_sub_fetch(&held, before, __ATOMIC_RELAXED);
    }
    return moved;
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t size)
{
    int code = __real_posix_memalign(block, alignment, size);

    if (code == 0)
        holds(*block);
    return code;
}

void __wrap_free(void *block)
{
    __atomic_sub_fetch(&held, malloc_usable_size(block), __ATOMIC_RELAXED);
    __real_free(block);
}

/* How many bytes are held now. most_held() is counted from here. */
size_t count_memory(void)
{
    most = held;
    return held;
}

/* The most bytes that were held since count_memory(). */
size_t most_held(void)
{
    return most;
}
