// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// WatchOptions say how to watch. The zero WatchOptions tell every event of the namespace of the thread that calls [OpenWatch]. Since 0.2.
type WatchOptions struct {
	// Namespace to watch. Zero: that of the thread that calls OpenWatch. The watch keeps it alive until it is closed.
	Namespace Namespace
	// Sync is list + watch: first the entries that are there (New with Initial), then Synced, then what changes; losses are repaired.
	Sync bool
	// Kinds that are reported: New, Update, Destroy. Empty: all three. Lost and Synced always are.
	Kinds []EventKind
	// Timeout, with Sync: the longest silence of the kernel while it lists. Zero: 10 seconds.
	Timeout time.Duration
	// ReceiveBuffer for events in bytes; each that waits takes 1,280 of it. Zero: 32 MiB (25,000 events), or what the kernel grants:
	// WatchInfo.ReceiveBuffer says how much that was.
	ReceiveBuffer int
	// AuditEvery, with Sync: how often to look for entries of which the kernel is silent, as long as there may be any
	// (WatchInfo.MayBeSilent). Zero: 30 seconds. Negative: never.
	AuditEvery time.Duration
	// AuditAll, with Sync: each audit lists the whole table, whether the kernel may be silent or not. For what changes without an event,
	// such as marks that eBPF sets.
	AuditAll bool
	// MaxEntries, with Sync: how many entries may be known, at about 96 bytes each; beyond it Next fails with ENOSPC. Zero: any number.
	MaxEntries int
	// Enable sets the sysctl net.netfilter.nf_conntrack_events of the network namespace to 1, if it is not. It stays so after the watch.
	// Entries that were made before stay silent.
	Enable bool
	// Reliable, not with Sync: the kernel keeps destroyed entries until their event found room, so that no Destroy is lost. Meanwhile they
	// count against nf_conntrack_max, and others who watch hear of their end repeatedly: for machines that are yours. Lost counts each
	// try that found no room.
	Reliable bool
	// AllNsid, not with Sync: events of all network namespaces that have an id in this one (Event.NsID). Needs CAP_NET_BROADCAST in the
	// user namespace that owns this one.
	AllNsid bool
}

// ErrWatchClosed is the error of a [Watch] that was closed, and of one that OpenWatch did not make. It is an os.ErrClosed. Since 0.2.
var ErrWatchClosed = fmt.Errorf("ctrack: use of closed Watch: %w", os.ErrClosed)

// Watcher is what tells events: a [Watch], or that of package ctracktest, without a kernel. Since 0.2.
type Watcher interface {
	Next(ctx context.Context, buf []Event) (int, error)
	Events(ctx context.Context) iter.Seq2[Event, error]
	Wake() error
	Resync() error
	Info() (WatchInfo, error)
	Close() error
}

var _ Watcher = (*Watch)(nil)

// Watch tells what becomes of the entries of one network namespace. Without Sync it tells the kernel's events, and how many of them are
// missing; with it what it told adds up to the kernel's table, whatever was lost on the way.
//
// One goroutine at a time may be in Next or Events; all other methods are for any, also while one waits. Waiting holds no thread: any number of
// watches can wait at once. A nil Watch, and one that OpenWatch did not make, is like a closed one. Since 0.2.
type Watch struct {
	// Who reads events has it; also what Close waits for.
	reading sync.Mutex
	native  nativeWatch
	// What was read, but not handed over yet: batch[first:last].
	batch       []rawEvent
	first, last int
	names       helperNames
	// A descriptor of the same epoll set as the library's, in the runtime's poller.
	file *os.File
	poll syscall.RawConn
	// One is the wish to be woken, the other the end.
	woken, closed atomic.Bool
	// Held by who uses native beside the reader, and by Close while it goes.
	using sync.RWMutex
}

// OpenWatch begins to watch what the filters select, as List selects; without filters every entry. Whatever happens after it returned is
// reported or counted as lost.
//
// With Sync an entry that is selected only after a change is New with Entered, and one that is selected no more is Destroy with Left.
// Without it each event is judged by itself.
//
// Errors: EINVAL a filter or an option is wrong, and says which; EPERM CAP_NET_ADMIN is missing, or what a network namespace of others, AllNsid
// or Enable need; EACCES, EROFS, ENOENT Enable cannot be done; EOPNOTSUPP the kernel sends no events, or, without Sync, a filter asks for
// labels or helper, which the kernel does not send with every event; EMFILE, ENFILE, ENOMEM. In a program without libctrack it fails as
// Open does. Since 0.2.
func OpenWatch(options WatchOptions, filters ...Filter) (*Watch, error) {
	opts, err := options.check()
	if err != nil {
		return nil, err
	}
	raw, err := encodeFilters("watch", filters)
	if err != nil {
		return nil, err
	}
	return openWatch(options, opts, raw)
}

// check gives the options as the library takes them, without a namespace.
func (o *WatchOptions) check() (rawWatchOpts, error) {
	var opts rawWatchOpts
	refuse := func(field, reason string) (rawWatchOpts, error) {
		return opts, (&fault{field, reason}).in("watch", "options")
	}
	outside := func(field string, value any) (rawWatchOpts, error) {
		return refuse(field, fmt.Sprintf("%v is out of range", value))
	}
	// The largest number of milliseconds of an audit means never.
	const longest = (math.MaxUint32 - 1) * time.Millisecond
	switch {
	case o.Timeout < 0 || o.Timeout > longest:
		return outside("Timeout", o.Timeout)
	case o.AuditEvery > longest:
		return outside("AuditEvery", o.AuditEvery)
	case o.ReceiveBuffer < 0 || int64(o.ReceiveBuffer) > math.MaxInt32:
		return outside("ReceiveBuffer", o.ReceiveBuffer)
	case o.MaxEntries < 0 || int64(o.MaxEntries) > math.MaxUint32:
		return outside("MaxEntries", o.MaxEntries)
	case o.AuditAll && o.AuditEvery < 0:
		return refuse("AuditAll", "is set, but AuditEvery says never")
	}
	for _, field := range []struct {
		name      string
		set, sync bool
	}{
		{"Timeout", o.Timeout != 0, true}, {"AuditEvery", o.AuditEvery != 0, true}, {"AuditAll", o.AuditAll, true},
		{"MaxEntries", o.MaxEntries != 0, true}, {"Reliable", o.Reliable, false}, {"AllNsid", o.AllNsid, false},
	} {
		switch {
		case field.set && field.sync && !o.Sync:
			return refuse(field.name, "is set, but Sync is not")
		case field.set && !field.sync && o.Sync:
			return refuse(field.name, "does not go with Sync")
		}
	}
	opts.size = uint32(unsafe.Sizeof(opts))
	for _, kind := range o.Kinds {
		bits := map[EventKind]uint32{New: ctWatchNew, Update: ctWatchUpdate, Destroy: ctWatchDestroy}
		if bits[kind] == 0 {
			return refuse("Kinds", fmt.Sprintf("%v is not New, Update or Destroy", kind))
		}
		opts.events |= bits[kind]
	}
	for flag, set := range map[uint32]bool{
		ctWatchSync: o.Sync, ctWatchEnable: o.Enable, ctWatchReliable: o.Reliable, ctWatchAllNsid: o.AllNsid, ctWatchAuditAll: o.AuditAll,
	} {
		if set {
			opts.flags |= flag
		}
	}
	opts.timeoutMs, opts.rcvbuf, opts.maxEntries = milliseconds(o.Timeout), uint32(o.ReceiveBuffer), uint32(o.MaxEntries)
	opts.auditMs = milliseconds(o.AuditEvery)
	if o.AuditEvery < 0 {
		opts.auditMs = math.MaxUint32
	}
	return opts, nil
}

// milliseconds are rounded up: a time below one is not none at all.
func milliseconds(d time.Duration) uint32 {
	return uint32((d + time.Millisecond - 1) / time.Millisecond)
}

// isOpen says whether there is something to watch with, as far as one can say without a lock.
func (w *Watch) isOpen() bool {
	return w != nil && w.poll != nil && !w.closed.Load()
}

// Next fills buf with the next events, those that are there or the first that come, and gives how many. 64 to 256 at a time cost least; none
// of them is allocated. 0 without an error: Wake was called.
//
// Nothing that happens to events ends a watch: a loss is Lost in its place, and never an error. Events that came before an error are handed
// over first.
//
// Errors: that of the context; [ErrWatchClosed]; EBUSY another goroutine is in Next; EINVAL buf is empty; EPERM CAP_NET_ADMIN is missing any
// more. With Sync also ENOSPC more entries than MaxEntries, ENOMEM, and ETIMEDOUT the kernel fell silent while it listed: these are said once,
// the watch goes on, tries again, and is not synced meanwhile. Call again after any but ErrWatchClosed and ENOTRECOVERABLE, an internal
// error. Since 0.2.
func (w *Watch) Next(ctx context.Context, buf []Event) (int, error) {
	if !w.isOpen() {
		return 0, ErrWatchClosed
	}
	if len(buf) == 0 {
		return 0, wrongArgument("watch", "buf: is empty")
	}
	if !w.reading.TryLock() {
		if w.closed.Load() {
			return 0, ErrWatchClosed
		}
		return 0, &Error{Op: "watch", Errno: syscall.EBUSY, Text: "another goroutine is reading from the watch"}
	}
	defer w.reading.Unlock()
	for {
		if w.closed.Load() {
			return 0, ErrWatchClosed
		}
		if ctx.Err() != nil {
			return 0, cancelled(ctx, "watch")
		}
		if w.woken.Swap(false) {
			return 0, nil
		}
		if w.first == w.last {
			if err := w.fill(ctx); err != nil {
				return 0, err
			}
		}
		count := min(len(buf), w.last-w.first)
		for i := range count {
			decodeEvent(&buf[i], &w.batch[w.first+i], &w.names)
		}
		w.first += count
		if count > 0 {
			return count, nil
		}
	}
}

// fill reads a batch, and waits for it if it must. There may be nothing at its end: then something else was to be seen, by Next.
func (w *Watch) fill(ctx context.Context) error {
	if w.batch == nil {
		w.batch = make([]rawEvent, batchSize)
	}
	result := w.next(w.batch)
	if result == 0 {
		var err error
		if result, err = w.wait(ctx); err != nil {
			return err
		}
	}
	if result < 0 {
		return failure("watch", result, w.errorText())
	}
	w.first, w.last = 0, result
	return nil
}

// wait reads the first batch that comes. The goroutine waits in the runtime's poller, which tells of edges: so the library is asked again
// after the poller was made ready, and each time until it has nothing.
//
// Whoever ends the wait notes why, and then sets a deadline that has passed. It is taken back first, and the notes are looked at after
// that: none is missed.
func (w *Watch) wait(ctx context.Context) (int, error) {
	if err := w.file.SetReadDeadline(noDeadline); err != nil {
		return 0, w.lost(err)
	}
	if w.closed.Load() || w.woken.Load() || ctx.Err() != nil {
		return 0, nil
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, w.interrupt)()
	}
	result := 0
	err := w.poll.Read(func(uintptr) bool {
		result = w.next(w.batch)
		return result != 0
	})
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, w.lost(err)
	}
	return result, nil
}

// noDeadline is none.
var noDeadline time.Time

// interrupt ends a wait.
func (w *Watch) interrupt() {
	w.file.SetReadDeadline(time.Unix(1, 0))
}

// lost is the error if the runtime's poller fails.
func (w *Watch) lost(err error) error {
	if w.closed.Load() {
		return ErrWatchClosed
	}
	return &Error{Op: "watch", Errno: syscall.EIO, Text: "waiting by the runtime's poller: " + err.Error()}
}

// Events gives the events one by one, as Next reads them. The loop ends with the context or with Close, whose error is the last thing it
// gives. An error after which the watch goes on by itself (see Next: ENOSPC, ENOMEM and ETIMEDOUT) does not end it. A loss is no error, but an event
// of the kind Lost. Wake does not end it.
//
// What a body that leaves has not seen is there for the next loop. Since 0.2.
func (w *Watch) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var one [1]Event
		for {
			count, err := w.Next(ctx, one[:])
			switch {
			case err != nil:
				if !yield(Event{}, err) || !goesOn(err) {
					return
				}
			case count > 0 && !yield(one[0], nil):
				return
			}
		}
	}
}

// goesOn says whether a watch repairs by itself what this error tells of.
func goesOn(err error) bool {
	var details *Error
	if !errors.As(err, &details) {
		return false
	}
	return details.Errno == syscall.ENOSPC || details.Errno == syscall.ENOMEM || details.Errno == syscall.ETIMEDOUT
}

// Wake ends the wait of Next that is under way, or the next one, which gives 0. The error is [ErrWatchClosed]. Since 0.2.
func (w *Watch) Wake() error {
	return w.beside(func() error {
		w.woken.Store(true)
		w.interrupt()
		return nil
	})
}

// Resync lists the table again, as if events had been lost: what is not as it was reported comes as events with Found, and then Synced.
// Errors: EINVAL the watch was opened without Sync; [ErrWatchClosed]. Since 0.2.
func (w *Watch) Resync() error {
	return w.beside(func() error {
		result := w.resync()
		switch {
		case result == -int(syscall.EINVAL):
			return wrongArgument("resync", "the watch was opened without Sync")
		case result < 0:
			return failure("resync", result, "")
		}
		return nil
	})
}

// WatchInfo is what a watch has done, and where it stands. Since 0.2.
type WatchInfo struct {
	// Synced: the events so far add up to the table.
	Synced bool
	// MayBeSilent, with Sync: there may be entries of which the kernel does not report what becomes of them: they were made before the watch
	// with nf_conntrack_events at 2 or 0, or it is 0 now. Audits find what became of them.
	MayBeSilent bool
	// EventsMode is the sysctl nf_conntrack_events as it was last seen: 0, 1, 2; -1: it cannot be read.
	EventsMode int
	// ReceiveBuffer as granted, in bytes.
	ReceiveBuffer int
	// Queued are the bytes of it that are in use.
	Queued int
	// Received events were read.
	Received uint64
	// Lost events are known to be lost, those while listing too.
	Lost uint64
	// Resyncs, with Sync: lists because of losses, or on request.
	Resyncs uint64
	// Restarts, with Sync: lists that were disturbed by losses or a resized table, and begun anew.
	Restarts uint64
	// Verified, with Sync: entries that the kernel was asked for, since an event did not fit to what was known.
	Verified uint64
	// Audited, with Sync: entries that audits looked at.
	Audited uint64
	// Entries, with Sync: those that are known.
	Entries uint64
}

// Info is what the watch has done, and where it stands. The error is [ErrWatchClosed], or that of the system if it cannot be asked.
// Since 0.2.
func (w *Watch) Info() (WatchInfo, error) {
	raw := rawWatchInfo{size: uint32(unsafe.Sizeof(rawWatchInfo{}))}
	err := w.beside(func() error {
		if result := w.info(&raw); result < 0 {
			return failure("info", result, "")
		}
		return nil
	})
	if err != nil {
		return WatchInfo{}, err
	}
	return infoOf(&raw), nil
}

func infoOf(raw *rawWatchInfo) WatchInfo {
	return WatchInfo{
		Synced:        raw.flags&ctWatchIsSynced != 0,
		MayBeSilent:   raw.flags&ctWatchMayBeSilent != 0,
		EventsMode:    int(raw.eventsMode),
		ReceiveBuffer: int(raw.rcvbuf),
		Queued:        int(raw.queued),
		Received:      raw.received,
		Lost:          raw.lost,
		Resyncs:       raw.resyncs,
		Restarts:      raw.restarts,
		Verified:      raw.verified,
		Audited:       raw.audited,
		Entries:       raw.entries,
	}
}

// beside runs what any goroutine may do while another one reads.
func (w *Watch) beside(do func() error) error {
	if !w.isOpen() {
		return ErrWatchClosed
	}
	w.using.RLock()
	defer w.using.RUnlock()
	if w.closed.Load() {
		return ErrWatchClosed
	}
	return do()
}

// Close closes the watch. A goroutine that waits in Next is woken, and gets [ErrWatchClosed]; Close returns when it left. Closing again does
// nothing. Since 0.2.
func (w *Watch) Close() error {
	if w == nil || w.poll == nil || w.closed.Swap(true) {
		return nil
	}
	w.interrupt()
	w.reading.Lock()
	defer w.reading.Unlock()
	w.using.Lock()
	defer w.using.Unlock()
	w.file.Close()
	w.free()
	return nil
}
