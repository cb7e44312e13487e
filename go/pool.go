// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// pool holds the handles of a Conn. One lock around one handle would not do: a loop over All holds its handle while its body may
// delete on the same Conn. And handles are independent, so calls run in parallel.
//
// All handles are in the network namespace of the first, whatever thread opens them.
type pool struct {
	opts      rawOpenOpts
	fd        int
	namespace identity
	patience  time.Duration

	// One element for each handle in use.
	slots chan struct{}
	// Closed by Conn.Close.
	closing chan struct{}
	// Calls into the library that are under way, and how many have ended: whether a waiter may hope.
	calling  atomic.Int64
	progress atomic.Uint64

	mu     sync.Mutex
	closed bool
	// Calls and loops under way. The last one closes fd, if Close came before.
	users int
	idle  []*handle
	// The netlink ports of the handles that are open, and the last ones of those that were closed.
	ports map[*handle]uint32
	past  []uint32
}

// mostPast is how many ports of closed handles are known: their events may still be queued somewhere.
const mostPast = 256

// identity is what tells namespaces apart, as long as one of their descriptors is open.
type identity struct {
	device, inode uint64
}

// handle is one handle of the library. Whoever acquired it has it alone.
type handle struct {
	native nativeHandle
	// Room for a batch of All; made when it is first needed.
	batch []rawEntry
	names helperNames
	// The library said that it is unusable.
	broken bool
	// It has another netlink port than it had, since the kernel fell silent.
	moved bool
}

// acquire gives a handle to be used alone, and to be given back by release. A nil pool is closed.
func (p *pool) acquire(ctx context.Context, op string) (*handle, error) {
	if p == nil {
		return nil, ErrClosed
	}
	if ctx.Err() != nil {
		return nil, cancelled(ctx, op)
	}
	if err := p.wait(ctx, op); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		<-p.slots
		return nil, ErrClosed
	}
	p.users++
	var h *handle
	if last := len(p.idle) - 1; last >= 0 {
		h = p.idle[last]
		p.idle[last] = nil
		p.idle = p.idle[:last]
	}
	p.mu.Unlock()
	if h == nil {
		var err error
		if h, err = p.open(); err != nil {
			p.leave()
			return nil, err
		}
	}
	return h, nil
}

// wait takes a slot.
func (p *pool) wait(ctx context.Context, op string) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(p.patience)
	defer timer.Stop()
	for {
		before := p.progress.Load()
		select {
		case p.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return cancelled(ctx, op)
		case <-p.closing:
			return ErrClosed
		case <-timer.C:
		}
		if p.calling.Load() == 0 && p.progress.Load() == before {
			return &Error{Op: op, Errno: syscall.EBUSY, Text: fmt.Sprintf("all %d handles belong to loops over All, "+
				"none of which moved on for %v; see Options.MaxHandles", cap(p.slots), p.patience)}
		}
		timer.Reset(p.patience)
	}
}

// release gives a handle back.
func (p *pool) release(h *handle) {
	if h.moved {
		p.note(h)
	}
	p.mu.Lock()
	keep := !p.closed && !h.broken && len(p.idle) < maxIdleHandles
	if keep {
		p.idle = append(p.idle, h)
	} else {
		p.forget(h)
	}
	p.mu.Unlock()
	if !keep {
		h.close()
	}
	p.leave()
}

// note asks for the netlink port of a handle that is new, or has a new one.
func (p *pool) note(h *handle) {
	var port uint32
	if h.portID(&port) < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ports == nil {
		p.ports = map[*handle]uint32{}
	}
	p.forget(h)
	p.ports[h], h.moved = port, false
}

// forget moves the port of a handle, if it has one, to the past ones. The lock is held.
func (p *pool) forget(h *handle) {
	port, known := p.ports[h]
	if !known {
		return
	}
	delete(p.ports, h)
	p.past = append(p.past, port)
	p.past = p.past[max(0, len(p.past)-mostPast):]
}

// portIDs are all ports that are known.
func (p *pool) portIDs() []uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.AppendSeq(slices.Clone(p.past), maps.Values(p.ports))
}

// leave gives the slot back.
func (p *pool) leave() {
	p.mu.Lock()
	p.users--
	last := p.closed && p.users == 0
	p.mu.Unlock()
	if last {
		closeNamespace(p.fd)
	}
	<-p.slots
}

func (p *pool) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.closed = true
	close(p.closing)
	for _, h := range p.idle {
		h.close()
	}
	p.idle = nil
	if p.users == 0 {
		closeNamespace(p.fd)
	}
}

// isClosed says whether Close was called.
func (p *pool) isClosed() bool {
	select {
	case <-p.closing:
		return true
	default:
		return false
	}
}

// begin and end stand around each call into the library.
func (p *pool) begin() {
	p.calling.Add(1)
}

func (p *pool) end() {
	p.progress.Add(1)
	p.calling.Add(-1)
}

// with runs one call of the library on a handle of its own.
func (p *pool) with(ctx context.Context, op string, call func(h *handle) int) error {
	h, err := p.acquire(ctx, op)
	if err != nil {
		return err
	}
	defer p.release(h)
	p.begin()
	result := call(h)
	p.end()
	if result < 0 {
		return h.failed(op, result)
	}
	return nil
}

// failed is the error of the last call on the handle. Its text is copied: the next call overwrites it.
func (h *handle) failed(op string, result int) error {
	err := failure(op, result, h.errorText())
	h.broken = h.broken || err.Errno == errBroken
	h.moved = h.moved || err.Errno == syscall.ETIMEDOUT
	return err
}
