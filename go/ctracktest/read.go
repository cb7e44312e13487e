// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/hook"
	"fmt"
	"syscall"
)

// List gives the selected entries; without filters all of them.
func (t *Table) List(ctx context.Context, filters ...ctrack.Filter) ([]ctrack.Entry, error) {
	s, err := selection(List, filters)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, List); err != nil {
		return nil, err
	}
	var listed []ctrack.Entry
	for _, e := range t.entries {
		if s.Selects(e) {
			listed = append(listed, e)
		}
	}
	return listed, nil
}

// Get gives the entry that the key means. ENOENT: there is none.
func (t *Table) Get(ctx context.Context, key ctrack.Entry) (ctrack.Entry, error) {
	checked, err := hook.Entry(string(Get), "key", key, hook.ToFind)
	if err != nil {
		return ctrack.Entry{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Get); err != nil {
		return ctrack.Entry{}, err
	}
	at := t.find(checked.(ctrack.Entry))
	if at < 0 {
		return ctrack.Entry{}, failed(Get, syscall.ENOENT, "no such entry")
	}
	if errno := t.faults.ofEntry(Get, t.entries[at]); errno != 0 {
		return ctrack.Entry{}, failed(Get, errno, errno.Error())
	}
	return t.entries[at], nil
}

// Count gives the number of entries.
func (t *Table) Count(ctx context.Context) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Count); err != nil {
		return 0, err
	}
	return len(t.entries), nil
}

// FreeZone gives the lowest zone from first to last that no entry is in, in either direction. ENOSPC: all of them are in use.
func (t *Table) FreeZone(ctx context.Context, first, last uint16) (uint16, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, FreeZone); err != nil {
		return 0, err
	}
	if first > last {
		return 0, failed(FreeZone, syscall.EINVAL, fmt.Sprintf("first: zone range %d-%d is upside down", first, last))
	}
	used := map[uint16]bool{}
	for i := range t.entries {
		zones := zonesOf(&t.entries[i])
		used[zones[orig]], used[zones[reply]] = true, true
	}
	for zone := int(first); zone <= int(last); zone++ {
		if !used[uint16(zone)] {
			return uint16(zone), nil
		}
	}
	return 0, failed(FreeZone, syscall.ENOSPC, fmt.Sprintf("no free zone from %d to %d", first, last))
}
