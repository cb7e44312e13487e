/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* unload [old]: a library that was unloaded leaves nothing behind that runs in a child. Loads it by itself. */

#include "common.h"

#include <dlfcn.h>

static int old_kernel;

int madvise(void *start, size_t length, int advice)
{
    if (old_kernel && advice == MADV_WIPEONFORK) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(SYS_madvise, start, length, advice);
}

static void fork_once(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    IS(ended(pid), 0);
}

int main(int argc, char **argv)
{
    int (*open_handle)(struct ct_handle **, const struct ct_open_opts *);
    void (*close_handle)(struct ct_handle *);
    int (*count)(struct ct_handle *, uint64_t *);
    int (*open_watch)(struct ct_watch **, const struct ct_watch_opts *);
    int (*start)(struct ct_watch *, const struct ct_filter *, size_t);
    int (*next)(struct ct_watch *, struct ct_event *, size_t, int32_t);
    void (*close_watch)(struct ct_watch *);
    int i, ret;

    (void)argv;
    old_kernel = argc > 1;
    alarm(ENDLESS);
    for (i = 0; i < 20; i++) {
        void *library = dlopen("libctrack.so.0", RTLD_NOW | RTLD_LOCAL);
        struct ct_watch_opts opts = { .size = sizeof opts, .flags = CT_WATCH_SYNC };
        struct ct_handle *h = NULL;
        struct ct_watch *w = NULL;
        struct ct_event ev;
        uint64_t entries = 77;
        pid_t pid;

        if (!library) {
            puts(dlerror());
            return 2;
        }
        *(void **)&open_handle = dlsym(library, "ct_handle_open");
        *(void **)&close_handle = dlsym(library, "ct_handle_close");
        *(void **)&count = dlsym(library, "ct_count");
        *(void **)&open_watch = dlsym(library, "ct_watch_open");
        *(void **)&start = dlsym(library, "ct_watch_start");
        *(void **)&next = dlsym(library, "ct_watch_next");
        *(void **)&close_watch = dlsym(library, "ct_watch_close");
        IS(open_watch(&w, &opts), 0);
        IS(start(w, NULL, 0), 0);
        IS(next(w, &ev, 1, -1), 1);
        IS(ev.type, CT_EVENT_SYNCED);
        IS(open_handle(&h, NULL), 0);
        IS(count(h, &entries), 0);
        pid = fork();
        if (pid == 0) {
            ret = count(h, &entries);
            IS(next(w, &ev, 1, 0), -ECHILD);
            close_watch(w);
            close_handle(h);
            dlclose(library);
            fork_once();
            _exit(ret == -ECHILD ? check_failures : 99);
        }
        IS(ended(pid), 0);
        IS(next(w, &ev, 1, 0), 0);
        close_watch(w);
        close_handle(h);
        fork_once();
        IS(dlclose(library), 0);
        fork_once();
        /* Otherwise nothing was tried. */
        IS(dlopen("libctrack.so.0", RTLD_NOW | RTLD_NOLOAD) == NULL, 1);
    }
    return failed_checks();
}
