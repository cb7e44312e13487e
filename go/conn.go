// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>

#cgo noescape ct_handle_open
#cgo nocallback ct_handle_open
*/
import "C"

import (
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"
)

// Options say how to open a [Conn]. The zero Options are fine.
type Options struct {
	// Namespace to work in. Zero: that of the thread that calls Open.
	Namespace Namespace
	// Timeout is the longest silence of the kernel before a call gives up with ETIMEDOUT. Zero: 10 seconds.
	Timeout time.Duration
	// ReceiveBuffer of each handle's socket in bytes. Zero: the library's choice.
	ReceiveBuffer int
	// CompareStart makes deletes compare the time at which an entry was made too, where the kernel keeps it (sysctl
	// net.netfilter.nf_conntrack_timestamp). A successor with the same tuple can have the same id; it has not the same start.
	// Takes a look-up for each entry.
	CompareStart bool
	// MaxHandles is how many calls can be under way at once; others wait for their turn. Zero: 16. A handle is a socket and a
	// few buffers; up to four are kept when they are idle.
	//
	// A loop over All has a handle to itself until it ends. Loops inside loops on one Conn need one for each level: with more
	// levels than handles the innermost waits for its own outer loops. It waits until its context ends, and at most for
	// Timeout, if all handles belong to loops of which none moves on: then it fails with EBUSY.
	MaxHandles int
}

const (
	defaultTimeout    = 10 * time.Second
	defaultMaxHandles = 16
	maxIdleHandles    = 4
)

// Conn is the way to the connection-tracking table of one network namespace. It may be used by many goroutines at once.
//
// It keeps the network namespace alive until it is closed. A nil Conn, and one that Open did not make, is like a closed one.
type Conn struct {
	pool pool
}

// Open opens a Conn. It sends nothing.
func Open(options Options) (*Conn, error) {
	if err := checkVersion(uint32(C.ct_version_number()), C.CT_VERSION_NUMBER); err != nil {
		return nil, err
	}
	opts, err := options.check()
	if err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := options.Namespace.open()
	if err != nil {
		return nil, err
	}
	namespace, err := identityOf(fd)
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	limit := options.MaxHandles
	if limit == 0 {
		limit = defaultMaxHandles
	}
	patience := options.Timeout
	if patience == 0 {
		patience = defaultTimeout
	}
	c := &Conn{pool{
		opts:      opts,
		fd:        fd,
		namespace: namespace,
		patience:  patience,
		slots:     make(chan struct{}, limit),
		closing:   make(chan struct{}),
	}}
	// What can go wrong with a handle is to be seen here, and not in the first call.
	first, err := c.pool.open()
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	c.pool.idle = append(c.pool.idle, first)
	return c, nil
}

// check gives the options as the library takes them, without a namespace.
func (o *Options) check() (C.struct_ct_open_opts, error) {
	var opts C.struct_ct_open_opts
	refuse := func(field, reason string) (C.struct_ct_open_opts, error) {
		return opts, (&fault{field, reason}).in("open", "options")
	}
	if o.Timeout < 0 || o.Timeout > math.MaxUint32*time.Millisecond {
		return refuse("Timeout", fmt.Sprintf("%v is out of range", o.Timeout))
	}
	if o.ReceiveBuffer < 0 || int64(o.ReceiveBuffer) > math.MaxInt32 {
		return refuse("ReceiveBuffer", fmt.Sprintf("%d is out of range", o.ReceiveBuffer))
	}
	if o.MaxHandles < 0 {
		return refuse("MaxHandles", fmt.Sprintf("%d is out of range", o.MaxHandles))
	}
	opts.size = C.sizeof_struct_ct_open_opts
	// Rounded up: a limit below a millisecond is not none at all.
	opts.timeout_ms = C.uint32_t((o.Timeout + time.Millisecond - 1) / time.Millisecond)
	opts.rcvbuf = C.uint32_t(o.ReceiveBuffer)
	if o.CompareStart {
		opts.flags |= C.CT_OPEN_COMPARE_START
	}
	return opts, nil
}

// Close closes the Conn. Calls that are under way end as they would have, loops over All at their next batch with ErrClosed, and
// what they use is released as they end; Close does not wait for them. Closing again does nothing.
func (c *Conn) Close() error {
	c.handles().close()
	return nil
}

// handles is the pool; nil if there is none.
func (c *Conn) handles() *pool {
	if c == nil || c.pool.slots == nil {
		return nil
	}
	return &c.pool
}
