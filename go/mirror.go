// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"iter"
	"sync"
	"syscall"
)

// MirrorOptions say how to keep a [Mirror]. Since 0.2.
type MirrorOptions struct {
	// Watch says how to watch: with Sync, whether it says so or not, and all Kinds.
	Watch WatchOptions
	// Changed is called with each event after the Mirror has what it tells; Lost and Synced too. It is called by one goroutine, in the order
	// of the events. While it runs nothing is read; it may use the Mirror, and close it. Nil: nothing is called.
	Changed func(Event)
}

// Mirror is a copy of the selected entries of the kernel's table, kept by a [Watch] with Sync. When it is synced and nothing changes, it
// holds exactly the kernel's entries: tuples, zones, IDs, status, marks, and the state of the protocol as of the last event that said it. As
// of the time when they were last listed or reported are timeouts, counters, TCP flags, helpers, and labels that were cleared: they change
// without an event that says so.
//
// An entry takes about 650 bytes here and 96 in the library, whatever its family. It may be used by many goroutines at once. A nil Mirror,
// and one that NewMirror did not make, is empty and closed. Since 0.2.
type Mirror struct {
	watcher Watcher
	changed func(Event)
	stop    context.CancelFunc
	// Closed when the goroutine that keeps it has ended.
	done chan struct{}

	mu    sync.RWMutex
	table map[mirrorKey]*mirrored
	count int
	// Closed while it is synced.
	synced   chan struct{}
	isSynced bool
	err      error
}

// mirrorKey is an original tuple with a zone, in little room. A Destroy with Found has no more but the ID, which tells apart those whose
// zone is of other directions.
type mirrorKey struct {
	src, dst                      [16]byte
	sport, dport, icmpID, zone    uint16
	family, proto, icmpType, code uint8
	// For a moment the mirror may have two of one ID, of which one is gone, in a zone of different directions.
	zoneDir ZoneDir
}

// mirrored is an entry that the table has. It never changes, so that it can be read without a lock.
type mirrored struct {
	Entry
	// Another one with this original tuple: after a clash of NAT there may be two.
	next *mirrored
}

func mirrorKeyOf(e *Entry) mirrorKey {
	dir := e.ZoneDir
	if e.Zone == 0 {
		// Zone 0 is that of both directions, whatever a caller wrote beside it.
		dir = ZoneBoth
	}
	return mirrorKey{
		e.Orig.Src.As16(), e.Orig.Dst.As16(), e.Orig.SrcPort, e.Orig.DstPort, e.Orig.ICMPID, e.Zone,
		uint8(e.Family), uint8(e.Proto), e.Orig.ICMPType, e.Orig.ICMPCode, dir,
	}
}

// NewMirror begins to mirror what the filters select, as List selects; without filters the whole table. It lives until the context ends or
// Close is called, or until something goes wrong for good (see Err). It does not wait for the first list: see WaitSynced.
//
// Errors are those of [OpenWatch], and EINVAL for Kinds; and that of the context. Since 0.2.
func NewMirror(ctx context.Context, options MirrorOptions, filters ...Filter) (*Mirror, error) {
	if len(options.Watch.Kinds) != 0 {
		return nil, (&fault{"Watch.Kinds", "is set, and a mirror needs all of them"}).in("mirror", "options")
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx, "mirror")
	}
	options.Watch.Sync = true
	w, err := OpenWatch(options.Watch, filters...)
	if err != nil {
		return nil, err
	}
	return MirrorOf(ctx, w, options.Changed), nil
}

// MirrorOf is a Mirror that is kept by this Watcher, which has to tell all that a watch with Sync does, and must not be read by others. The
// Mirror closes it. It is for tests of programs that have a Mirror: see the Watch of package ctracktest. Since 0.2.
func MirrorOf(ctx context.Context, watcher Watcher, changed func(Event)) *Mirror {
	ctx, stop := context.WithCancel(ctx)
	m := &Mirror{
		watcher: watcher, changed: changed, stop: stop, done: make(chan struct{}), table: map[mirrorKey]*mirrored{},
		synced: make(chan struct{}),
	}
	go m.keep(ctx)
	return m
}

// keep reads events until the end.
func (m *Mirror) keep(ctx context.Context) {
	defer close(m.done)
	defer m.stop()
	defer m.watcher.Close()
	buf := make([]Event, batchSize)
	for {
		count, err := m.watcher.Next(ctx, buf)
		m.take(buf[:count], err)
		if m.changed != nil {
			for i := range count {
				m.changed(buf[i])
			}
		}
		if err != nil && !goesOn(err) {
			return
		}
	}
}

// take does what events say, all of a batch at once.
func (m *Mirror) take(events []Event, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range events {
		m.apply(&events[i])
	}
	switch {
	case err != nil:
		m.err = err
		m.setSynced(false)
	case m.isSynced:
		// What went wrong was repaired.
		m.err = nil
	}
}

func (m *Mirror) setSynced(synced bool) {
	switch {
	case synced && !m.isSynced:
		close(m.synced)
	case !synced && m.isSynced:
		m.synced = make(chan struct{})
	}
	m.isSynced = synced
}

func (m *Mirror) apply(e *Event) {
	switch e.Kind {
	case New, Update:
		m.store(e)
	case Destroy:
		m.remove(&e.Entry)
	case Lost:
		m.setSynced(false)
	case Synced:
		m.setSynced(true)
	}
}

func (m *Mirror) store(e *Event) {
	key := mirrorKeyOf(&e.Entry)
	now := &mirrored{Entry: e.Entry}
	known, rest := without(m.table[key], e.Entry.ID)
	if known == nil {
		m.count++
	} else if e.Kind == Update && !e.Flags.All(Found) {
		keepUnsaid(&now.Entry, &known.Entry)
	}
	now.next = rest
	m.table[key] = now
}

func (m *Mirror) remove(e *Entry) {
	key := mirrorKeyOf(e)
	known, rest := without(m.table[key], e.ID)
	switch {
	case known == nil:
		return
	case rest == nil:
		delete(m.table, key)
	default:
		m.table[key] = rest
	}
	m.count--
}

// without gives the one of a chain that has this ID, and the others.
func without(chain *mirrored, id uint32) (found, rest *mirrored) {
	for at := chain; at != nil; at = at.next {
		if at.ID == id {
			found = at
			continue
		}
		if found == nil && at.next == nil {
			return nil, chain
		}
		rest = &mirrored{at.Entry, rest}
	}
	return found, rest
}

// unsaid are the fields that an update leaves out if they did not change.
const unsaid = HasLabels | HasHelper | HasTCPState | HasTCPWindow | HasTCPFlags | HasSCTP | HasDCCP

// keepUnsaid gives an entry what the one before it had, where an update says nothing of it.
func keepUnsaid(e, before *Entry) {
	missing := before.Has & unsaid &^ e.Has
	keep := func(bit Has) bool { return missing&bit != 0 }
	if keep(HasLabels) {
		e.Labels = before.Labels
	}
	if keep(HasHelper) {
		e.Helper = before.Helper
	}
	if keep(HasTCPState | HasTCPWindow | HasTCPFlags) {
		// They come together.
		e.TCP = before.TCP
	}
	if keep(HasSCTP) {
		e.SCTP = before.SCTP
	}
	if keep(HasDCCP) {
		e.DCCP = before.DCCP
	}
	e.Has |= missing
}

// Get gives the entry that the key means, as Conn.Get finds it: its tuple, direction and zone must be exactly those of the key, and so must
// the reply tuple, the ID and Start if the key has them. One without an original tuple is looked for among all entries. Errors: EINVAL the
// key is wrong; ENOENT there is none. Since 0.2.
func (m *Mirror) Get(key Entry) (Entry, error) {
	wanted, wrong := key.key()
	if wrong == nil {
		var raw rawEntry
		wrong = encode(&raw, &wanted)
	}
	if wrong != nil {
		return Entry{}, wrong.in("get", "key")
	}
	if wanted.Has&HasOrig != 0 {
		for at := m.chain(mirrorKeyOf(&wanted)); at != nil; at = at.next {
			if means(&wanted, &at.Entry) {
				return at.Entry, nil
			}
		}
	} else {
		for e := range m.All() {
			if means(&wanted, &e) {
				return e, nil
			}
		}
	}
	return Entry{}, &Error{Op: "get", Errno: syscall.ENOENT, Text: "no such entry"}
}

func (m *Mirror) chain(key mirrorKey) *mirrored {
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.table[key]
}

// means says whether a key that was checked means this entry.
func means(key, e *Entry) bool {
	return key.Family == e.Family && key.Proto == e.Proto && key.Zone == e.Zone && (key.Zone == 0 || key.ZoneDir == e.ZoneDir) &&
		(key.Has&HasID == 0 || key.ID == e.ID) && (key.Has&HasStart == 0 || e.Has&HasStart != 0 && key.Start.Equal(e.Start)) &&
		(key.Has&HasOrig == 0 || key.Orig == e.Orig) && (key.Has&HasReply == 0 || key.Reply == e.Reply)
}

// All gives every entry that it holds at the moment when the loop begins, in no order. The body may do what it likes, and take its time.
// Since 0.2.
func (m *Mirror) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for _, chain := range m.chains() {
			for at := chain; at != nil; at = at.next {
				if !yield(at.Entry) {
					return
				}
			}
		}
	}
}

func (m *Mirror) chains() []*mirrored {
	if m == nil {
		return nil
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	chains := make([]*mirrored, 0, len(m.table))
	for _, chain := range m.table {
		chains = append(chains, chain)
	}
	return chains
}

// Select gives the entries that these filters select of those that it holds, as List does of the table: it looks at each of them. The
// error is that of NewSelection. Since 0.2.
func (m *Mirror) Select(filters ...Filter) ([]Entry, error) {
	selection, err := newSelection("select", filters)
	if err != nil {
		return nil, err
	}
	var selected []Entry
	for e := range m.All() {
		if selection.Selects(e) {
			selected = append(selected, e)
		}
	}
	return selected, nil
}

// Len is how many entries it holds. Since 0.2.
func (m *Mirror) Len() int {
	if m == nil {
		return 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.count
}

// Synced says whether what it holds adds up to the table as it was at some moment since the last loss, and nothing is known to be missing
// since. Since 0.2.
func (m *Mirror) Synced() bool {
	if m == nil {
		return false
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.isSynced
}

// WaitSynced waits until it is synced. Errors: that of the context; that of Err if it has ended. Since 0.2.
func (m *Mirror) WaitSynced(ctx context.Context) error {
	if m == nil || m.done == nil {
		return ErrWatchClosed
	}
	m.mu.RLock()
	synced := m.synced
	m.mu.RUnlock()
	select {
	case <-synced:
		return nil
	case <-m.done:
		return m.Err()
	case <-ctx.Done():
		return cancelled(ctx, "mirror")
	}
}

// Info is that of its watch. Since 0.2.
func (m *Mirror) Info() (WatchInfo, error) {
	if m == nil || m.watcher == nil {
		return WatchInfo{}, ErrWatchClosed
	}
	return m.watcher.Info()
}

// Resync lists the table again: for what changes without an event. The error is that of Watch.Resync. Since 0.2.
func (m *Mirror) Resync() error {
	if m == nil || m.watcher == nil {
		return ErrWatchClosed
	}
	return m.watcher.Resync()
}

// Done is closed when it has ended: nothing changes it any more, and Changed is not called again. Nil, if NewMirror did not make it.
// Since 0.2.
func (m *Mirror) Done() <-chan struct{} {
	if m == nil {
		return nil
	}
	return m.done
}

// Err is what went wrong; nil if nothing did, or was repaired since. It has ended with EPERM and any other error but ENOSPC (more entries than
// MaxEntries), ENOMEM and ETIMEDOUT: these keep it from being synced for a while. After Close it is that of a context that was cancelled.
// Since 0.2.
func (m *Mirror) Err() error {
	if m == nil || m.done == nil {
		return ErrWatchClosed
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.err
}

// Close ends it. What it holds can still be read, and changes no more after Done. Closing again does nothing. Since 0.2.
func (m *Mirror) Close() error {
	if m != nil && m.stop != nil {
		m.stop()
	}
	return nil
}
