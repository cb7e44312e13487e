// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"errors"
	"slices"
	"syscall"
)

// List gives the selected entries; without filters all of them. If the kernel resizes its table meanwhile the list is made again,
// up to four times in all, and EAGAIN after that. Entries that come or go meanwhile may be in it or not; all others are, each
// once.
func (c *Conn) List(ctx context.Context, filters ...Filter) ([]Entry, error) {
	raw, err := encodeFilters("list", filters)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		entries, err := c.list(ctx, raw)
		disturbed := errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.ENOBUFS)
		if !disturbed || try == listTries {
			return entries, err
		}
	}
}

// listTries is how often List begins in all, as ct_list() does. It is not called: what it gives would be copied, and the memory of
// both is what a list costs most (a fifth less time for 250,000 entries).
const listTries = 4

func (c *Conn) list(ctx context.Context, raw []rawFilter) ([]Entry, error) {
	var entries []Entry
	if len(raw) == 0 {
		count, err := c.count(ctx, "list")
		if err != nil {
			return nil, err
		}
		// Some will come meanwhile.
		entries = make([]Entry, 0, count+count/64)
	}
	err := c.dump(ctx, "list", raw, func(batch []rawEntry, names *helperNames) bool {
		at := len(entries)
		entries = slices.Grow(entries, len(batch))[:at+len(batch)]
		for i := range batch {
			decode(&entries[at+i], &batch[i], names)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

// Get gives the entry that the key means: its tuple, direction and zone must be exactly those of the key, and so must the reply
// tuple, the ID and Start if the key has them. ENOENT: there is none.
func (c *Conn) Get(ctx context.Context, key Entry) (Entry, error) {
	var raw, found rawEntry
	if wrong := encode(&raw, &key); wrong != nil {
		return Entry{}, wrong.in("get", "key")
	}
	err := c.handles().with(ctx, "get", func(h *handle) int {
		return h.get(&raw, &found)
	})
	if err != nil {
		return Entry{}, err
	}
	var e Entry
	var names helperNames
	decode(&e, &found, &names)
	return e, nil
}

// Count gives the number of entries of the network namespace: one small request, whatever the size of the table. The count is the
// kernel's own. It includes entries that have expired and are not reaped yet, which lists leave out.
func (c *Conn) Count(ctx context.Context) (int, error) {
	return c.count(ctx, "count")
}

// count is Count for an operation.
func (c *Conn) count(ctx context.Context, op string) (int, error) {
	var count uint64
	err := c.handles().with(ctx, op, func(h *handle) int {
		return h.count(&count)
	})
	return int(count), err
}

// FreeZone gives the lowest zone from first to last that no entry is in, in either direction. ENOSPC: all of them are in use.
// Nothing keeps others from using the zone afterwards.
func (c *Conn) FreeZone(ctx context.Context, first, last uint16) (uint16, error) {
	var zone uint32
	err := c.handles().with(ctx, "zone_find_free", func(h *handle) int {
		return h.findFreeZone(first, last, &zone)
	})
	return uint16(zone), err
}
