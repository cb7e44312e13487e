// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"context"
	"ctrack"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// watch opens a Watch on the thread that is in the namespace.
func (ns *netns) watch(options ctrack.WatchOptions, filters ...ctrack.Filter) *ctrack.Watch {
	ns.T.Helper()
	var w *ctrack.Watch
	var err error
	ns.Do(func() { w, err = ctrack.OpenWatch(options, filters...) })
	if err != nil {
		ns.T.Fatal(err)
	}
	ns.T.Cleanup(func() { w.Close() })
	return w
}

// patient is a context that ends only if something is wrong.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// events reads until so many came.
func events(t testing.TB, w ctrack.Watcher, count int) []ctrack.Event {
	t.Helper()
	ctx := patient(t)
	var all []ctrack.Event
	buf := make([]ctrack.Event, 64)
	for len(all) < count {
		n, err := w.Next(ctx, buf[:min(len(buf), count-len(all))])
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		all = append(all, buf[:n]...)
	}
	return all
}

// upTo reads up to an event of this kind.
func upTo(t testing.TB, w ctrack.Watcher, kind ctrack.EventKind) []ctrack.Event {
	t.Helper()
	var all []ctrack.Event
	for e, err := range w.Events(patient(t)) {
		if err != nil {
			t.Fatalf("after %d events: %v", len(all), err)
		}
		if all = append(all, e); e.Kind == kind {
			return all
		}
	}
	t.Fatal("the loop ended")
	return nil
}

func kindsOf(events []ctrack.Event) string {
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind.String())
	}
	return strings.Join(kinds, " ")
}

func TestAWatchTellsWhatIsMadeChangedAndDeletedOfWhatIsSelected(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{MaxHandles: 1})
	before := time.Now()
	w := ns.watch(ctrack.WatchOptions{}, zone(7))
	mine, others := udp("10.0.0.1:1", "10.0.0.2:53").InZone(7, ctrack.ZoneBoth), udp("10.0.0.1:1", "10.0.0.2:53")
	create(t, c, others, mine)
	for _, mark := range []uint32{5, 9} {
		for _, key := range []ctrack.Entry{others, mine} {
			key.Timeout = 0
			if _, err := c.Update(ctx, []ctrack.Change{{Key: key, Mark: ctrack.MarkIs(mark)}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Delete(ctx, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)}); err != nil {
		t.Fatal(err)
	}
	told := events(t, w, 4)
	if kinds := kindsOf(told); kinds != "new update update destroy" {
		t.Fatal(kinds)
	}
	ports := c.PortIDs()
	for i, e := range told {
		if e.Number != uint64(i+1) || e.Flags != 0 || e.Entry.Zone != 7 || e.Entry.Orig != mine.Orig || !e.Entry.Has.All(ctrack.HasID) ||
			e.Entry.Mark != []uint32{0, 5, 9, 9}[i] || len(ports) != 1 || e.PortID != ports[0] {
			t.Errorf("%d: %+v (port %v)", i, e, ports)
		}
		if e.Received.Before(before) || e.Received.After(time.Now()) {
			t.Errorf("received at %v", e.Received)
		}
		if _, foreign := e.NsID.Get(); foreign {
			t.Errorf("of another network namespace: %+v", e)
		}
		if _, lost := e.Lost.Get(); lost {
			t.Errorf("%+v", e)
		}
	}
	if info, err := w.Info(); err != nil || info.Received < 4 || info.Lost != 0 || info.ReceiveBuffer == 0 || info.EventsMode < 1 {
		t.Errorf("%+v, %v", info, err)
	}
}

// watchedNetns is a namespace whose entries report what becomes of them, also those that are made before anybody listens.
func watchedNetns(t *testing.T) *netns {
	t.Helper()
	ns := newNetns(t)
	ns.Sysctl("nf_conntrack_events", "1")
	return ns
}

func TestAWatchTellsTheKindsThatItIsAskedFor(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	w := ns.watch(ctrack.WatchOptions{Kinds: []ctrack.EventKind{ctrack.Destroy, ctrack.New}})
	e := udp("10.0.0.1:1", "10.0.0.2:53")
	create(t, c, e)
	e.Timeout = 0
	if _, err := c.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}}); err != nil {
		t.Fatal(err)
	}
	if err := c.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	if kinds := kindsOf(events(t, w, 2)); kinds != "new destroy" {
		t.Error(kinds)
	}
}

func TestAnEventIsTheLineOfConntrackAndAJSONObject(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{MaxHandles: 1})
	w := ns.watch(ctrack.WatchOptions{})
	create(t, c, udp("10.0.0.1:1", "10.0.0.2:53"))
	e := events(t, w, 1)[0]
	from := fmt.Sprintf(" [USERSPACE] portid=%d", c.PortIDs()[0])
	line := "udp      17 36000 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=1"
	// Some kernels say of what a program made that it has no mark.
	if strings.Contains(e.String(), " mark=0") {
		line += " mark=0"
	}
	if want := "    [NEW] " + line + from; e.String() != want {
		t.Errorf("%q, want %q", e, want)
	}
	at := fmt.Sprintf("[%d.%06d]\t", e.Received.Unix(), e.Received.Nanosecond()/1000)
	if !e.Time.IsZero() {
		at = fmt.Sprintf("[%d.%06d]\t", e.Time.Unix(), e.Time.Nanosecond()/1000)
	}
	want := at + "    [NEW] ipv4     2 " + line + fmt.Sprintf(" id=%d", e.Entry.ID) + from
	if got := e.Line(ctrack.LineEventTime | ctrack.LineExtended | ctrack.LineID); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := e.Entry.Line(ctrack.LineEventTime); got != e.Entry.String() {
		t.Errorf("an entry has no time: %q", got)
	}
	var object struct {
		Event    string
		Number   uint64
		Flags    []string
		Portid   uint32
		Received uint64 `json:"received_ns"`
		Nsid     *int32
		Lost     *uint64
		Entry    struct{ ID uint32 }
	}
	decode := func(e ctrack.Event) {
		t.Helper()
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	decode(e)
	if object.Event != "new" || object.Number != e.Number || object.Portid != e.PortID || object.Entry.ID != e.Entry.ID ||
		object.Received != uint64(e.Received.UnixNano()) || object.Nsid != nil || object.Lost != nil {
		t.Errorf("%+v", object)
	}
	e.NsID, e.Flags = ctrack.Is[int32](0), ctrack.Found|ctrack.Left
	if decode(e); object.Nsid == nil || *object.Nsid != 0 || !slices.Equal(object.Flags, []string{"found", "left"}) {
		t.Errorf("%+v", object)
	}
	for want, e := range map[string]ctrack.Event{
		"   [LOST] 17 events":                           {Kind: ctrack.Lost, Lost: ctrack.Is[uint64](17)},
		"   [LOST] unknown number of events":            {Kind: ctrack.Lost},
		" [SYNCED]":                                     {Kind: ctrack.Synced},
		"ctrack.Event(ctrack: format: ":                 {Kind: 99},
		"ctrack.Event(ctrack: format: event.entry.orig": {Kind: ctrack.New},
	} {
		if got := e.String(); got != want && !(strings.HasPrefix(want, "ctrack.") && strings.HasPrefix(got, want)) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if e.Received = time.Unix(-1, 0); !strings.Contains(e.String(), "event.received") {
		t.Error(e)
	}
}

func TestAWatchWithAListTellsFirstWhatIsThere(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(300, 7)...)
	create(t, c, many(10, 8)...)
	w := ns.watch(ctrack.WatchOptions{Sync: true}, ctrack.Filter{Zone: ctrack.Is[uint16](7), Mark: ctrack.MarkIs(0)})
	told := upTo(t, w, ctrack.Synced)
	var entries []ctrack.Entry
	for i, e := range told[:len(told)-1] {
		if e.Kind != ctrack.New || e.Flags != ctrack.Initial || e.Number != uint64(i+1) {
			t.Fatalf("%d: %v %v", i, e.Flags, e)
		}
		entries = append(entries, e.Entry)
	}
	wantEntries(t, "told", entries, many(300, 7))
	key := many(1, 7)[0]
	key.Timeout = 0
	told = nil
	for _, mark := range []uint32{1, 0} {
		if _, err := c.Update(ctx, []ctrack.Change{{Key: key, Mark: ctrack.MarkIs(mark)}}); err != nil {
			t.Fatal(err)
		}
		// Both at once might be none: the watch asks for what is there.
		told = append(told, events(t, w, 1)...)
	}
	if kindsOf(told) != "destroy new" || !told[0].Flags.All(ctrack.Left) || !told[1].Flags.All(ctrack.Entered) {
		t.Errorf("%v", told)
	}
	if info, err := w.Info(); err != nil || !info.Synced || info.Entries < 300 {
		t.Errorf("%+v, %v", info, err)
	}
	if err := w.Resync(); err != nil {
		t.Fatal(err)
	}
	if kinds := kindsOf(upTo(t, w, ctrack.Synced)); kinds != "synced" {
		t.Error(kinds)
	}
	plain := ns.watch(ctrack.WatchOptions{})
	wantErrno(t, "resync", plain.Resync(), syscall.EINVAL)
}

// Few are told of many, one at a time: each call of the library has to be followed by another one, without anything new to be heard.
func TestAListOfWhichNothingIsSelectedComesToItsEnd(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(20_000, 7)...)
	for range 3 {
		w := ns.watch(ctrack.WatchOptions{Sync: true, Kinds: []ctrack.EventKind{ctrack.Destroy}}, ctrack.Filter{Mark: ctrack.MarkIs(77)})
		if told := upTo(t, w, ctrack.Synced); len(told) != 1 {
			t.Fatalf("%d events: %v", len(told), told[0])
		}
		w.Close()
	}
}

func TestNoWakeUpIsLost(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	w := ns.watch(ctrack.WatchOptions{}, ctrack.Filter{Zone: ctrack.Is[uint16](7)})
	buf := make([]ctrack.Event, 3)
	ctx := patient(t)
	e := many(1, 7)
	other := many(1, 8)
	number := uint64(0)
	for round := range 500 {
		next := make(chan int)
		go func() {
			n, err := w.Next(ctx, buf)
			if err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			next <- n
		}()
		if round%3 == 0 {
			// Something is heard that is not selected.
			create(t, c, other...)
		}
		create(t, c, e...)
		for got := 0; got < 2; {
			n := <-next
			if n == 0 {
				t.FailNow()
			}
			for _, told := range buf[:n] {
				if number++; told.Number != number {
					t.Fatalf("number %d, want %d", told.Number, number)
				}
			}
			if got += n; got == 1 {
				if _, err := c.Delete(ctx, zone(7)); err != nil {
					t.Fatal(err)
				}
				go func() {
					n, err := w.Next(ctx, buf)
					if err != nil {
						t.Errorf("round %d: %v", round, err)
					}
					next <- n
				}()
			}
		}
		if round%3 == 0 {
			if _, err := c.Delete(ctx, zone(8)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// waiting says when a goroutine waits in the runtime's poller for a watch.
func waiting(t testing.TB, watches int) {
	t.Helper()
	stacks := make([]byte, 8<<20)
	for range 3000 {
		text := string(stacks[:runtime.Stack(stacks, true)])
		if strings.Count(text, "ctrack.(*Watch).wait(") >= watches && strings.Count(text, "[IO wait") >= watches {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%d goroutines do not wait", watches)
}

func TestAWaitEndsWhenItIsWoken(t *testing.T) {
	ns := watchedNetns(t)
	w := ns.watch(ctrack.WatchOptions{})
	buf := make([]ctrack.Event, 3)
	// Before the wait.
	if err := w.Wake(); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Next(patient(t), buf); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	// During it; and each wake ends one wait.
	for range 3 {
		done := make(chan error)
		go func() {
			n, err := w.Next(patient(t), buf)
			if n != 0 {
				err = fmt.Errorf("%d events", n)
			}
			done <- err
		}()
		waiting(t, 1)
		if err := w.Wake(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	over, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if n, err := w.Next(over, buf); n != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(n, err)
	}
	// A loop goes on.
	create(t, ns.open(ctrack.Options{}), many(2, 0)...)
	count := 0
	for e, err := range w.Events(patient(t)) {
		if err != nil || e.Kind != ctrack.New {
			t.Fatal(e, err)
		}
		if count++; count == 2 {
			break
		}
		w.Wake()
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	ns := watchedNetns(t)
	w := ns.watch(ctrack.WatchOptions{})
	buf := make([]ctrack.Event, 3)
	for range 20 {
		ending, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			_, err := w.Next(ending, buf)
			done <- err
		}()
		waiting(t, 1)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "ctrack: watch: ") {
			t.Fatal(err)
		}
		if _, err := w.Next(ending, buf); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		last := error(nil)
		for _, err := range w.Events(ending) {
			last = err
		}
		if !errors.Is(last, context.Canceled) {
			t.Fatal(last)
		}
	}
	// The watch is as good as before.
	create(t, ns.open(ctrack.Options{}), many(1, 0)...)
	if kinds := kindsOf(events(t, w, 1)); kinds != "new" {
		t.Error(kinds)
	}
}

func TestAWatchCanBeClosedWhileOthersUseIt(t *testing.T) {
	ns := watchedNetns(t)
	before := descriptors(t)
	for range 20 {
		w := ns.watch(ctrack.WatchOptions{Sync: true})
		var wait sync.WaitGroup
		done := make(chan error)
		go func() {
			last := error(nil)
			for _, err := range w.Events(context.Background()) {
				last = err
			}
			done <- last
		}()
		for range 4 {
			spawn(&wait, func() {
				for {
					err := w.Wake()
					if err == nil {
						err = w.Resync()
					}
					if err == nil {
						_, err = w.Info()
					}
					if err != nil {
						if !errors.Is(err, os.ErrClosed) {
							t.Error(err)
						}
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		for range 2 {
			spawn(&wait, func() { w.Close() })
		}
		if err := <-done; !errors.Is(err, ctrack.ErrWatchClosed) || !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
		wait.Wait()
		w.Close()
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	w := ns.watch(ctrack.WatchOptions{})
	done := make(chan error)
	go func() {
		_, err := w.Next(context.Background(), make([]ctrack.Event, 1))
		done <- err
	}()
	waiting(t, 1)
	w.Close()
	if err := <-done; !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestAWatchThatIsNotOpenIsLikeAClosedOne(t *testing.T) {
	for what, w := range map[string]*ctrack.Watch{"nil": nil, "zero": {}} {
		_, next := w.Next(ctx, make([]ctrack.Event, 1))
		_, info := w.Info()
		for call, err := range map[string]error{"Next": next, "Info": info, "Wake": w.Wake(), "Resync": w.Resync()} {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: %s: %v", what, call, err)
			}
		}
		for _, err := range w.Events(ctx) {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("%s: Events: %v", what, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestASecondReaderIsRefused(t *testing.T) {
	ns := watchedNetns(t)
	w := ns.watch(ctrack.WatchOptions{})
	done := make(chan error)
	go func() {
		_, err := w.Next(context.Background(), make([]ctrack.Event, 1))
		done <- err
	}()
	waiting(t, 1)
	_, err := w.Next(ctx, make([]ctrack.Event, 1))
	if details := wantErrno(t, "second", err, syscall.EBUSY); !strings.Contains(details.Text, "another goroutine") {
		t.Error(err)
	}
	w.Wake()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, err = w.Next(ctx, nil)
	wantErrno(t, "no room", err, syscall.EINVAL)
}

func TestWhatALoopLeavesIsThereForTheNext(t *testing.T) {
	ns := watchedNetns(t)
	w := ns.watch(ctrack.WatchOptions{})
	create(t, ns.open(ctrack.Options{}), many(1000, 0)...)
	for number := uint64(1); number <= 1000; {
		for e, err := range w.Events(patient(t)) {
			if err != nil || e.Number != number {
				t.Fatalf("%d: %v %v", number, e, err)
			}
			if number++; number%7 == 0 || number > 1000 {
				break
			}
		}
	}
}

func TestWaitingHoldsNoThreads(t *testing.T) {
	ns := watchedNetns(t)
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	const count = 100
	watches := make([]*ctrack.Watch, count)
	for i := range watches {
		watches[i] = ns.watch(ctrack.WatchOptions{Sync: i%2 == 0, ReceiveBuffer: 1 << 20}, ctrack.Filter{Zone: ctrack.Is(uint16(i))})
		if i%2 == 0 {
			upTo(t, watches[i], ctrack.Synced)
		}
	}
	before := threads()
	var wait sync.WaitGroup
	for i, w := range watches {
		spawn(&wait, func() {
			buf := make([]ctrack.Event, 4)
			n, err := w.Next(patient(t), buf)
			if err != nil || n != 1 || buf[0].Entry.Zone != uint16(i) {
				t.Errorf("%d: %v, %v", i, buf[:n], err)
			}
		})
	}
	waiting(t, count)
	if during := threads(); during > before+10 {
		t.Errorf("%d threads with %d goroutines that wait, %d before", during, count, before)
	}
	c := ns.open(ctrack.Options{})
	for i := range watches {
		create(t, c, many(1, uint16(i))...)
	}
	wait.Wait()
}

func TestNextAllocatesNothingForAnEvent(t *testing.T) {
	ns := watchedNetns(t)
	w := ns.watch(ctrack.WatchOptions{ReceiveBuffer: 32 << 20})
	const count = 5000
	buf := make([]ctrack.Event, 256)
	c := ns.open(ctrack.Options{})
	create(t, c, many(1, 9)...)
	events(t, w, 1)
	create(t, c, many(count, 0)...)
	var before, after runtime.MemStats
	ctx := patient(t)
	runtime.ReadMemStats(&before)
	for got := 0; got < count; {
		n, err := w.Next(ctx, buf)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	runtime.ReadMemStats(&after)
	if allocated := after.Mallocs - before.Mallocs; allocated > count/10 {
		t.Errorf("%d allocations for %d events", allocated, count)
	}
}

func TestALossIsAnEventAndItsNumberIsRight(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	w := ns.watch(ctrack.WatchOptions{ReceiveBuffer: 64 << 10})
	const count = 3000
	create(t, c, many(count, 0)...)
	told, lost := uint64(0), uint64(0)
	for e, err := range w.Events(patient(t)) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case ctrack.New:
			told++
		case ctrack.Lost:
			number, known := e.Lost.Get()
			if !known {
				t.Fatal(e)
			}
			lost += number
		}
		if told+lost >= count {
			break
		}
	}
	info, err := w.Info()
	if told+lost != count || lost == 0 || err != nil || info.Lost != lost {
		t.Errorf("%d told and %d lost of %d; %+v, %v", told, lost, count, info, err)
	}
}

func TestAWatchIsInTheNamespaceThatIsNamed(t *testing.T) {
	ns, other := watchedNetns(t), watchedNetns(t)
	c, here := other.open(ctrack.Options{}), ns.open(ctrack.Options{})
	for what, namespace := range map[string]ctrack.Namespace{
		"descriptor": ctrack.NamespaceFD(int(other.File.Fd())), "path": ctrack.NamespacePath(fmt.Sprintf("/proc/self/fd/%d", other.File.Fd())),
	} {
		w := ns.watch(ctrack.WatchOptions{Namespace: namespace})
		create(t, here, udp("10.9.9.9:1", "10.0.0.2:53"))
		create(t, c, udp("10.0.0.1:1", "10.0.0.2:53"))
		if told := events(t, w, 1); told[0].Entry.Orig.Src != netip.MustParseAddr("10.0.0.1") {
			t.Errorf("%s: %v", what, told)
		}
		for _, conn := range []*ctrack.Conn{c, here} {
			if err := conn.FlushAll(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := ctrack.OpenWatch(ctrack.WatchOptions{Namespace: ctrack.NamespacePath("/proc/self/status")})
	if details := wantErrno(t, "no namespace", err, syscall.EINVAL); !strings.Contains(details.Text, "network namespace") {
		t.Error(err)
	}
}

func TestEnableMakesTheKernelTell(t *testing.T) {
	ns := newNetns(t)
	ns.Sysctl("nf_conntrack_events", "0")
	w := ns.watch(ctrack.WatchOptions{Enable: true})
	create(t, ns.open(ctrack.Options{}), many(1, 0)...)
	events(t, w, 1)
	if info, err := w.Info(); err != nil || info.EventsMode != 1 {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestAnAuditFindsWhatTheKernelDoesNotSay(t *testing.T) {
	ns := newNetns(t)
	ns.Sysctl("nf_conntrack_events", "0")
	c := ns.open(ctrack.Options{})
	create(t, c, many(3, 0)...)
	w := ns.watch(ctrack.WatchOptions{Sync: true, AuditEvery: 50 * time.Millisecond, AuditAll: true})
	if told := upTo(t, w, ctrack.Synced); len(told) != 4 {
		t.Fatal(told)
	}
	if info, err := w.Info(); err != nil || !info.MayBeSilent {
		t.Errorf("%+v, %v", info, err)
	}
	if err := c.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.DeleteFunc(events(t, w, 3), func(e ctrack.Event) bool { return e.Kind == ctrack.Synced }) {
		if e.Kind != ctrack.Destroy || !e.Flags.All(ctrack.Found) || e.Entry.ID == 0 || !e.Entry.Orig.Src.IsValid() {
			t.Errorf("%v %v", e.Flags, e)
		}
	}
}

func TestMoreEntriesThanAllowedAreAnErrorAfterWhichTheWatchGoesOn(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(100, 0)...)
	w := ns.watch(ctrack.WatchOptions{Sync: true, MaxEntries: 50})
	full, isSynced := 0, false
	for e, err := range w.Events(patient(t)) {
		if err != nil {
			if wantErrno(t, "full", err, syscall.ENOSPC); full == 0 {
				if err := c.FlushAll(ctx); err != nil {
					t.Fatal(err)
				}
			}
			full++
		}
		if isSynced = e.Kind == ctrack.Synced; isSynced {
			break
		}
	}
	if full == 0 || !isSynced {
		t.Errorf("%d times full, synced: %v", full, isSynced)
	}
}

func TestAWatchSaysWhatIsWrong(t *testing.T) {
	ns := watchedNetns(t)
	refuse := func(part string, errno syscall.Errno, options ctrack.WatchOptions, filters ...ctrack.Filter) {
		t.Helper()
		var err error
		var w *ctrack.Watch
		ns.Do(func() { w, err = ctrack.OpenWatch(options, filters...) })
		details := wantErrno(t, part, err, errno)
		if w != nil || !strings.Contains(details.Text, part) || cWords.MatchString(details.Text) {
			t.Errorf("%q, want %q", details.Text, part)
		}
	}
	before := descriptors(t)
	for _, wrong := range wrongFilters() {
		refuse("filter[1]"+wrong.field, syscall.EINVAL, ctrack.WatchOptions{}, zone(1), wrong.filter)
	}
	refuse("helper", syscall.EOPNOTSUPP, ctrack.WatchOptions{}, ctrack.Filter{Helper: ctrack.Is("ftp")})
	refuse("options.Kinds: synced is not", syscall.EINVAL, ctrack.WatchOptions{Kinds: []ctrack.EventKind{ctrack.Synced}})
	for field, options := range map[string]ctrack.WatchOptions{
		"Timeout": {Sync: true, Timeout: -1}, "AuditEvery": {Sync: true, AuditEvery: 2000 * time.Hour}, "ReceiveBuffer": {ReceiveBuffer: -1},
		"MaxEntries": {Sync: true, MaxEntries: -1}, "AuditAll": {Sync: true, AuditAll: true, AuditEvery: -1},
		"Timeout: is set, but": {Timeout: 1}, "AuditEvery: is set, but": {AuditEvery: -1}, "AuditAll: is set, but": {AuditAll: true},
		"MaxEntries: is set, but": {MaxEntries: 1}, "Reliable: does not go": {Sync: true, Reliable: true},
		"AllNsid: does not go": {Sync: true, AllNsid: true},
	} {
		refuse("options."+field, syscall.EINVAL, options)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestWithoutTheCapabilityAWatchSaysWhichOneIsMissing(t *testing.T) {
	ns, other := watchedNetns(t), watchedNetns(t)
	var own, all, foreign error
	ns.Do(func() {
		for _, capability := range []uint{capNetAdmin, capSysAdmin, 11} {
			if err := dropCapability(capability); err != nil {
				own = err
				return
			}
		}
		_, own = ctrack.OpenWatch(ctrack.WatchOptions{})
		_, all = ctrack.OpenWatch(ctrack.WatchOptions{AllNsid: true})
		_, foreign = ctrack.OpenWatch(ctrack.WatchOptions{Namespace: ctrack.NamespaceFD(int(other.File.Fd()))})
	})
	for word, err := range map[string]error{"CAP_NET_ADMIN": own, "CAP_NET_BROADCAST": all, "CAP_SYS_ADMIN": foreign} {
		if details := wantErrno(t, word, err, syscall.EPERM); !strings.Contains(details.Text, word) || !errors.Is(err, os.ErrPermission) {
			t.Errorf("%v does not say %s", err, word)
		}
	}
}
