// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest_test

import (
	"context"
	"ctrack"
	"ctrack/ctracktest"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

func ExampleWatch() {
	watch := ctracktest.NewWatch()
	gone := make(chan ctrack.Entry)
	mirror := ctrack.MirrorOf(context.Background(), watch, func(event ctrack.Event) {
		if event.Kind == ctrack.Destroy {
			gone <- event.Entry
		}
	})
	defer mirror.Close()
	entry := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort("10.0.0.7:4000"), netip.MustParseAddrPort("10.96.0.10:53"))
	watch.Tell(ctrack.Event{Kind: ctrack.New, Flags: ctrack.Initial, Entry: entry}, ctrack.Event{Kind: ctrack.Synced})
	mirror.WaitSynced(context.Background())
	fmt.Println(mirror.Len(), "known")
	watch.Tell(ctrack.Event{Kind: ctrack.Destroy, Entry: entry})
	fmt.Println("gone:", (<-gone).Orig.Source())
	fmt.Println(mirror.Len(), "known")
	// Output:
	// 1 known
	// gone: 10.0.0.7:4000
	// 0 known
}

func TestEventsAndErrorsComeInTheOrderInWhichTheyWereTold(t *testing.T) {
	w := ctracktest.NewWatch()
	w.Tell(ctrack.Event{Kind: ctrack.New}, ctrack.Event{Kind: ctrack.Synced}, ctrack.Event{Kind: ctrack.Lost})
	w.Fail(syscall.ENOSPC)
	w.Tell(ctrack.Event{Kind: ctrack.Update})
	w.Fail(syscall.EPERM)
	w.Tell(ctrack.Event{Kind: ctrack.Destroy})
	synced := func(want bool) {
		t.Helper()
		if info, err := w.Info(); err != nil || info.Synced != want {
			t.Errorf("%+v, %v; want %v", info, err, want)
		}
	}
	buf := make([]ctrack.Event, 2)
	count, err := w.Next(ctx, buf)
	if count != 2 || err != nil || buf[0].Kind != ctrack.New || buf[1].Number != 2 || buf[1].Received.IsZero() {
		t.Errorf("%d, %v, %+v", count, err, buf)
	}
	synced(true)
	if count, err = w.Next(ctx, buf); count != 1 || err != nil || buf[0].Kind != ctrack.Lost {
		t.Errorf("%d, %v, %+v", count, err, buf)
	}
	synced(false)
	var said []string
	for e, err := range w.Events(ctx) {
		var details *ctrack.Error
		if errors.As(err, &details) {
			said = append(said, details.Op+" "+details.Errno.Error())
			continue
		}
		said = append(said, fmt.Sprint(e.Kind, e.Number))
	}
	want := []string{"watch " + syscall.ENOSPC.Error(), fmt.Sprint(ctrack.Update, 4), "watch " + syscall.EPERM.Error()}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", said, want)
	}
	if count, err = w.Next(ctx, buf); count != 1 || err != nil || buf[0].Kind != ctrack.Destroy {
		t.Errorf("%d, %v, %+v", count, err, buf)
	}
}

func TestWhoWaitsForEventsOfATestIsWokenByAnyEnd(t *testing.T) {
	for what, end := range map[string]struct {
		do   func(w *ctracktest.Watch, cancel func())
		want error
	}{
		"wake":    {func(w *ctracktest.Watch, _ func()) { w.Wake() }, nil},
		"close":   {func(w *ctracktest.Watch, _ func()) { w.Close() }, ctrack.ErrWatchClosed},
		"context": {func(_ *ctracktest.Watch, cancel func()) { cancel() }, context.Canceled},
		"error":   {func(w *ctracktest.Watch, _ func()) { w.Fail(syscall.EPERM) }, syscall.EPERM},
	} {
		w := ctracktest.NewWatch()
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan error)
		go func() {
			count, err := w.Next(ctx, make([]ctrack.Event, 1))
			if count != 0 {
				err = fmt.Errorf("%d events", count)
			}
			ended <- err
		}()
		// It waits as soon as a second one is refused, for which the watch is busy.
		stopped, stop := context.WithCancel(ctx)
		stop()
		for {
			_, err := w.Next(stopped, make([]ctrack.Event, 1))
			if errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		end.do(w, cancel)
		if err := <-ended; !errors.Is(err, end.want) {
			t.Errorf("%s: %v, want %v", what, err, end.want)
		}
		cancel()
	}
}

func TestAClosedWatchOfTestsRefusesAll(t *testing.T) {
	w := ctracktest.NewWatch()
	if _, err := w.Next(ctx, nil); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	if err := w.Resync(); err != nil {
		t.Error(err)
	}
	if info, err := w.Info(); err != nil || info.Resyncs != 1 {
		t.Errorf("%+v, %v", info, err)
	}
	if w.Close() != nil || w.Close() != nil {
		t.Error("not closed")
	}
	w.Tell(ctrack.Event{Kind: ctrack.New})
	_, next := w.Next(ctx, make([]ctrack.Event, 1))
	_, info := w.Info()
	for what, err := range map[string]error{"Next": next, "Info": info, "Wake": w.Wake(), "Resync": w.Resync()} {
		if err != ctrack.ErrWatchClosed {
			t.Errorf("%s: %v", what, err)
		}
	}
}
