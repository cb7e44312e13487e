// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"math"
	"time"
	"unsafe"
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
//
// It needs Linux, and a program that was built with cgo, by which it calls libctrack. In any other program it fails with an error
// that says so, for which errors.Is(err, errors.ErrUnsupported) holds. All that does not need the table is plain Go, and works there
// too: entries, filters, [Selection], and the table of package ctracktest.
func Open(options Options) (*Conn, error) {
	opts, err := options.check()
	if err != nil {
		return nil, err
	}
	return open(options, opts)
}

// check gives the options as the library takes them, without a namespace.
func (o *Options) check() (rawOpenOpts, error) {
	var opts rawOpenOpts
	refuse := func(field, reason string) (rawOpenOpts, error) {
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
	opts.size = uint32(unsafe.Sizeof(opts))
	// Rounded up: a limit below a millisecond is not none at all.
	opts.timeoutMs = uint32((o.Timeout + time.Millisecond - 1) / time.Millisecond)
	opts.rcvbuf = uint32(o.ReceiveBuffer)
	if o.CompareStart {
		opts.flags |= ctOpenCompareStart
	}
	return opts, nil
}

// Close closes the Conn. Calls that are under way end as they would have, loops over All at their next batch with ErrClosed, and
// what they use is released as they end; Close does not wait for them. Closing again does nothing.
func (c *Conn) Close() error {
	c.handles().close()
	return nil
}

// PortIDs are the netlink ports of the Conn: what Event.PortID says of changes that it made itself. There is one for each handle (one in
// all with MaxHandles 1, until the kernel falls silent), and those of the last 256 that were closed are there too. Handles are opened as
// they are needed, so ask when there is an event to compare. Nil: the Conn was not opened. Since 0.2.
func (c *Conn) PortIDs() []uint32 {
	p := c.handles()
	if p == nil {
		return nil
	}
	return p.portIDs()
}

// handles is the pool; nil if there is none.
func (c *Conn) handles() *pool {
	if c == nil || c.pool.slots == nil {
		return nil
	}
	return &c.pool
}

// Namespace says in which network namespace a [Conn] works. The zero Namespace is that of the thread that calls [Open].
type Namespace struct {
	kind namespaceKind
	fd   int
	path string
}

type namespaceKind uint8

const (
	namespaceOfCaller namespaceKind = iota
	namespaceOfFD
	namespaceAtPath
)

// NamespaceFD is the network namespace that a descriptor refers to. It is looked at during Open only, and stays yours.
func NamespaceFD(fd int) Namespace {
	return Namespace{kind: namespaceOfFD, fd: fd}
}

// NamespacePath is the network namespace at a path, for example /run/netns/NAME or /proc/PID/ns/net.
func NamespacePath(path string) Namespace {
	return Namespace{kind: namespaceAtPath, path: path}
}
