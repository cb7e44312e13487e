// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/hook"
	"errors"
	"slices"
	"strings"
	"syscall"
)

// Flush deletes all entries of a scope. An empty scope is refused.
func (t *Table) Flush(ctx context.Context, scope ctrack.Scope) error {
	s, err := selection(Flush, []ctrack.Filter{hook.Scope(scope).(ctrack.Filter)})
	var details *ctrack.Error
	switch {
	case errors.As(err, &details):
		return failed(Flush, details.Errno, strings.Replace(details.Text, "filter[0]", "scope", 1))
	case s.CheckDelete() != nil:
		return failed(Flush, syscall.EINVAL, "scope: limits nothing; to flush everything use FlushAll")
	}
	return t.flush(ctx, s)
}

// FlushAll deletes every entry.
func (t *Table) FlushAll(ctx context.Context) error {
	return t.flush(ctx, &ctrack.Selection{})
}

func (t *Table) flush(ctx context.Context, s *ctrack.Selection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, Flush); err != nil {
		return err
	}
	sums := sums{op: Flush}
	t.entries = slices.DeleteFunc(t.entries, func(e ctrack.Entry) bool {
		if !s.Selects(e) {
			return false
		}
		errno := t.faults.ofEntry(Flush, e)
		sums.add(-1, errno, errno.Error())
		return errno == 0 || errno == syscall.ENOENT
	})
	return sums.err()
}
