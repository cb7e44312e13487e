// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"ctrack/internal/hook"
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// sums is what came of a number of entries.
type sums struct {
	ctrack.Result
	op    Op
	first string
}

// add counts one: its place among those that were given, or -1, what became of it, and why.
func (s *sums) add(place int, errno syscall.Errno, text string) {
	s.Matched++
	switch {
	case errno == 0:
		s.Done++
	case errno == syscall.ENOENT:
		s.Gone++
	default:
		if s.Failed++; s.Failed == 1 {
			s.FirstError, s.first = errno, text
			if place >= 0 {
				s.first = fmt.Sprintf("entry[%d]: %s", place, text)
			}
		}
	}
}

// err names the first that failed, and says how many more did.
func (s *sums) err() error {
	switch s.Failed {
	case 0:
		return nil
	case 1:
		return failed(s.op, s.FirstError, s.first)
	}
	return failed(s.op, s.FirstError, fmt.Sprintf("%s; and %d more", s.first, s.Failed-1))
}

// outcome is what becomes of one of several entries: 0, or why not.
type outcome struct {
	errno syscall.Errno
	text  string
}

// batch does something to each of the entries.
func (t *Table) batch(ctx context.Context, op Op, count int, each func(i int) outcome) (ctrack.Batch, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx, op); err != nil {
		var details *ctrack.Error
		if !errors.As(err, &details) || count == 0 {
			return ctrack.Batch{}, err
		}
		// Nothing was done to any of them.
		result := ctrack.Result{Matched: count, Failed: count, FirstError: details.Errno}
		return ctrack.Batch{Result: result, Status: slices.Repeat([]syscall.Errno{details.Errno}, count)}, err
	}
	sums := sums{op: op}
	var status []syscall.Errno
	for i := range count {
		became := each(i)
		sums.add(i, became.errno, became.text)
		status = append(status, became.errno)
	}
	return ctrack.Batch{Result: sums.Result, Status: status}, sums.err()
}

func refused(errno syscall.Errno, reason string) outcome {
	return outcome{errno, errno.Error() + ": " + reason}
}

// fault is what the test asked for.
func (t *Table) fault(op Op, e ctrack.Entry) (outcome, bool) {
	errno := t.faults.ofEntry(op, e)
	return outcome{errno, errno.Error()}, errno != 0
}

func check(op Op, entries []ctrack.Entry, purpose hook.Purpose) ([]ctrack.Entry, error) {
	checked := make([]ctrack.Entry, 0, len(entries))
	for i, e := range entries {
		right, err := hook.Entry(string(op), fmt.Sprintf("entry[%d]", i), e, purpose)
		if err != nil {
			return nil, err
		}
		checked = append(checked, right.(ctrack.Entry))
	}
	return checked, nil
}
