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
    int i, ret;

    (void)argv;
    old_kernel = argc > 1;
    alarm(ENDLESS);
    for (i = 0; i < 20; i++) {
        void *library = dlopen("libctrack.so.0", RTLD_NOW | RTLD_LOCAL);
        struct ct_handle *h = NULL;
        uint64_t entries = 77;
        pid_t pid;

        if (!library) {
            puts(dlerror());
            return 2;
        }
        *(void **)&open_handle = dlsym(library, "ct_handle_open");
        *(void **)&close_handle = dlsym(library, "ct_handle_close");
        *(void **)&count = dlsym(library, "ct_count");
        IS(open_handle(&h, NULL), 0);
        IS(count(h, &entries), 0);
        pid = fork();
        if (pid == 0) {
            ret = count(h, &entries);
            close_handle(h);
            dlclose(library);
            fork_once();
            _exit(ret == -ECHILD ? check_failures : 99);
        }
        IS(ended(pid), 0);
        close_handle(h);
        fork_once();
        IS(dlclose(library), 0);
        fork_once();
        /* Otherwise nothing was tried. */
        IS(dlopen("libctrack.so.0", RTLD_NOW | RTLD_NOLOAD) == NULL, 1);
    }
    return failed_checks();
}
