/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * open LIBRARY: opens the library at run time, as ctypes does, and creates, lists and deletes an entry with it. Prints the versions
 * of the library and of its header.
 */
#include <ctrack.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *library;

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void *function(const char *name)
{
    void *found = dlsym(library, name);
    if (!found)
        fail(name, dlerror());
    return found;
}

/* Declares NAME_ as what the library has under NAME. */
#define FUNCTION(name) __typeof__(name) *name##_ = (__typeof__(name) *)function(#name)

int main(int argc, char **argv)
{
    if (argc != 2)
        fail("usage", "open LIBRARY");
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail("dlopen", dlerror());
    FUNCTION(ct_version_number);
    FUNCTION(ct_version_string);
    FUNCTION(ct_handle_open);
    FUNCTION(ct_handle_error);
    FUNCTION(ct_handle_close);
    FUNCTION(ct_create_entries);
    FUNCTION(ct_list);
    FUNCTION(ct_entries_free);
    FUNCTION(ct_delete);

    struct ct_handle *h;
    struct ct_result result = { .size = sizeof result };
    struct ct_entry flow = { .has = CT_HAS_ORIG | CT_HAS_PORTS | CT_HAS_TIMEOUT | CT_HAS_ZONE,
                             .timeout = 600,
                             .zone = 7,
                             .family = CT_FAMILY_IPV4,
                             .proto = CT_PROTO_UDP,
                             .orig = { .src = { 10, 0, 0, 1 }, .dst = { 10, 0, 0, 53 }, .sport = 40000, .dport = 53 } };
    struct ct_filter zone = { .size = sizeof zone, .match = CT_MATCH_ZONE, .zone = 7 };
    struct ct_entry *entries;
    size_t count;
    int32_t status;

    if (ct_handle_open_(&h, NULL) < 0)
        fail("ct_handle_open", "failed");
    if (ct_create_entries_(h, &flow, 1, &status, &result) < 0 || status != 0)
        fail("ct_create_entries", ct_handle_error_(h));
    if (ct_list_(h, &zone, 1, &entries, &count) < 0)
        fail("ct_list", ct_handle_error_(h));
    if (count != 1 || entries[0].orig.sport != 40000 || entries[0].zone != 7)
        fail("ct_list", "not the entry that was created");
    ct_entries_free_(entries);
    result = (struct ct_result){ .size = sizeof result };
    if (ct_delete_(h, &zone, 1, 0, &result) < 0 || result.done != 1)
        fail("ct_delete", ct_handle_error_(h));
    if (ct_list_(h, NULL, 0, &entries, &count) < 0 || count != 0)
        fail("ct_list", "the entry is still there");
    ct_handle_close_(h);
    printf("%s %u\n", ct_version_string_(), ct_version_number_() == CT_VERSION_NUMBER);
    return 0;
}
