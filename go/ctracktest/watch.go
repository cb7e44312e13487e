// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest

import (
	"context"
	"ctrack"
	"errors"
	"iter"
	"sync"
	"syscall"
	"time"
)

// Watch is a [ctrack.Watcher] that tells what a test says, in that order: events of Tell, errors of Fail. Without any Next waits, as that of
// a kernel without events. It may be used by many goroutines at once, of which one reads. Make one with [NewWatch]. Since 0.2.
//
//	watch := ctracktest.NewWatch()
//	mirror := ctrack.MirrorOf(ctx, watch, nil)
//	watch.Tell(ctrack.Event{Kind: ctrack.New, Flags: ctrack.Initial, Entry: entry}, ctrack.Event{Kind: ctrack.Synced})
//
// It checks nothing and repairs nothing: what a watch with Sync does after Lost is up to the test.
type Watch struct {
	mu sync.Mutex
	// What is to be told: events, or one error.
	script  []told
	number  uint64
	resyncs uint64
	synced  bool
	woken   bool
	closed  bool
	reading bool
	// Closed, and made anew, when something changed that Next waits for.
	changed chan struct{}
}

type told struct {
	event ctrack.Event
	err   error
}

var _ ctrack.Watcher = (*Watch)(nil)

// NewWatch is a watch to which nothing happened yet.
func NewWatch() *Watch {
	return &Watch{changed: make(chan struct{})}
}

// Tell makes these the next events, after those that were not read yet. Number is counted where it is 0, and Received is now where it is
// zero. After Close it does nothing.
func (w *Watch) Tell(events ...ctrack.Event) {
	w.change(func() {
		for _, e := range events {
			w.number++
			if e.Number == 0 {
				e.Number = w.number
			}
			if e.Received.IsZero() {
				e.Received = time.Now()
			}
			w.script = append(w.script, told{event: e})
		}
	})
}

// Fail makes Next fail once with this error, after the events that were told before. A syscall.Errno becomes a *ctrack.Error, as a
// [ctrack.Watch] gives it: ENOSPC for more entries than MaxEntries, EPERM for a capability that is missing any more.
func (w *Watch) Fail(err error) {
	w.change(func() { w.script = append(w.script, told{err: asError("watch", err)}) })
}

// change does something, with the lock held, and lets Next look again.
func (w *Watch) change(do func()) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ctrack.ErrWatchClosed
	}
	do()
	close(w.changed)
	w.changed = make(chan struct{})
	return nil
}

// Next fills buf with the next events, and waits for the first. Errors are those of Fail, and those of a [ctrack.Watch] for a closed one
// (ErrWatchClosed), a second reader (EBUSY), an empty buf (EINVAL) and the end of the context.
func (w *Watch) Next(ctx context.Context, buf []ctrack.Event) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return 0, ctrack.ErrWatchClosed
	case len(buf) == 0:
		return 0, failed("watch", syscall.EINVAL, "buf: is empty")
	case w.reading:
		return 0, failed("watch", syscall.EBUSY, "another goroutine is reading from the watch")
	}
	w.reading = true
	defer func() { w.reading = false }()
	for {
		switch {
		case w.closed:
			return 0, ctrack.ErrWatchClosed
		case ctx.Err() != nil:
			return 0, ended(ctx, "watch")
		case w.woken:
			w.woken = false
			return 0, nil
		case len(w.script) != 0:
			return w.read(buf)
		}
		changed := w.changed
		w.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		w.mu.Lock()
	}
}

// read takes what fits of the script: events up to an error, or the error.
func (w *Watch) read(buf []ctrack.Event) (int, error) {
	if err := w.script[0].err; err != nil {
		w.script = w.script[1:]
		return 0, err
	}
	count := 0
	for count < len(buf) && count < len(w.script) && w.script[count].err == nil {
		buf[count] = w.script[count].event
		switch buf[count].Kind {
		case ctrack.Synced:
			w.synced = true
		case ctrack.Lost:
			w.synced = false
		}
		count++
	}
	w.script = w.script[count:]
	return count, nil
}

// Events gives the events one by one, as those of a [ctrack.Watch]: ENOSPC, ENOMEM and ETIMEDOUT do not end it.
func (w *Watch) Events(ctx context.Context) iter.Seq2[ctrack.Event, error] {
	return func(yield func(ctrack.Event, error) bool) {
		var one [1]ctrack.Event
		for {
			count, err := w.Next(ctx, one[:])
			switch {
			case err != nil:
				goesOn := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM) || errors.Is(err, syscall.ETIMEDOUT)
				if !yield(ctrack.Event{}, err) || !goesOn {
					return
				}
			case count > 0 && !yield(one[0], nil):
				return
			}
		}
	}
}

// Wake ends the wait of Next that is under way, or the next one.
func (w *Watch) Wake() error {
	return w.change(func() { w.woken = true })
}

// Resync is counted in Resyncs of Info, and does nothing else: what a list finds is for the test to tell.
func (w *Watch) Resync() error {
	return w.change(func() { w.resyncs++ })
}

// Info has Synced, as of the events that were read, and Resyncs.
func (w *Watch) Info() (ctrack.WatchInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ctrack.WatchInfo{}, ctrack.ErrWatchClosed
	}
	return ctrack.WatchInfo{Synced: w.synced, Resyncs: w.resyncs}, nil
}

// Close ends it: Next gives ctrack.ErrWatchClosed, also one that waits. Closing again does nothing.
func (w *Watch) Close() error {
	w.change(func() { w.closed = true })
	return nil
}
