// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"errors"
	"syscall"
)

// Delete deletes the selected entries, in one pass over the table for all filters. There must be an including filter, and none
// may match every entry: the whole table goes only with FlushAll. Each entry is deleted by tuple, zone and ID, so one that was
// replaced between the list and the delete stays. One that changed meanwhile so that it is not selected any more stays too
// (Result.Spared). Entries made meanwhile may be missed.
//
// The Result says what was done even if there is an error. EINVAL: a filter is wrong, nothing was sent.
func (c *Conn) Delete(ctx context.Context, filters ...Filter) (Result, error) {
	return c.delete(ctx, 0, filters)
}

// DeleteUncounted is Delete, but the kernel may delete by itself, without saying how many entries, where that is exact for these
// filters on the running kernel: addresses of IPv4, ports of TCP and UDP, ICMP, zone, mark, status, family. Takes about half as
// long. After an error it is not known what it deleted.
func (c *Conn) DeleteUncounted(ctx context.Context, filters ...Filter) (Result, error) {
	return c.delete(ctx, ctDeleteUncounted, filters)
}

func (c *Conn) delete(ctx context.Context, flags uint32, filters []Filter) (Result, error) {
	raw, err := encodeFilters("delete", filters)
	if err != nil {
		return Result{}, err
	}
	result := newResult()
	err = c.handles().with(ctx, "delete", func(h *handle) int {
		return h.deleteBy(raw, flags, &result)
	})
	return resultOf(&result), err
}

// WouldDelete gives what Delete would delete now; nothing is. What that refuses is refused. Since 0.2.
func (c *Conn) WouldDelete(ctx context.Context, filters ...Filter) ([]Entry, error) {
	would, err := c.delete(ctx, ctDeleteDryRun, filters)
	for most := would.Done; err == nil; most *= 2 {
		// Some will come meanwhile.
		deleted, more := c.deleteReturning(ctx, ctDeleteDryRun, most+most/64+64, filters)
		if more != nil || !deleted.More {
			return deleted.Entries, more
		}
	}
	return nil, err
}

// Deleted is what a delete deleted. Since 0.2.
type Deleted struct {
	Result
	// Entries are those that were deleted, as they were at their end.
	Entries []Entry
	// More is selected than was allowed: that was not touched, and is not in the sums.
	More bool
}

// DeleteReturning deletes as Delete does, and gives what was deleted: at most so many. Deleted.More: others are selected and stay; call
// again.
//
// The entries are as they were at their end, with their last packets and bytes, where the kernel says so: for those that report what
// becomes of them (SettingEvents when they were made). Of others the counters are left out. What is given was deleted, whatever the error.
// Since 0.2.
func (c *Conn) DeleteReturning(ctx context.Context, most int, filters ...Filter) (Deleted, error) {
	return c.deleteReturning(ctx, 0, most, filters)
}

func (c *Conn) deleteReturning(ctx context.Context, flags uint32, most int, filters []Filter) (Deleted, error) {
	raw, err := encodeFilters("delete", filters)
	if err != nil {
		return Deleted{}, err
	}
	if most < 1 {
		return Deleted{}, wrongArgument("delete", "most: %d is less than 1", most)
	}
	var count uint
	entries := make([]rawEntry, most)
	result := newResult()
	err = c.handles().with(ctx, "delete", func(h *handle) int {
		return h.deleteReturning(raw, flags, entries, &count, &result)
	})
	deleted := Deleted{Result: resultOf(&result), Entries: make([]Entry, count)}
	var names helperNames
	for i := range deleted.Entries {
		decode(&deleted.Entries[i], &entries[i], &names)
	}
	if errors.Is(err, syscall.ENOSPC) && result.failed == 0 {
		deleted.More = true
		err = nil
	}
	return deleted, err
}

// DeleteEntries deletes the given entries, each only if it is still the one that is meant: entries of List, or keys by hand. With
// an ID, that says which entry is meant, and tuple and zone must lead to it; without, tuple, direction and zone must be exactly
// those of the entry. One that fails does not stop the others; the error is nil if none failed, and names the first that did.
//
// EINVAL: a key is malformed, nothing was sent.
func (c *Conn) DeleteEntries(ctx context.Context, entries []Entry) (Batch, error) {
	raw, err := encodeEntries("delete_entries", entries)
	if err != nil {
		return Batch{}, err
	}
	return c.batch(ctx, "delete_entries", raw, func(h *handle, status []int32, result *rawResult) int {
		return h.deleteEntries(raw, status, result)
	})
}
