// SPDX-License-Identifier: MIT OR Apache-2.0

// Package bench is what the programs in Go share: the pods and samples of the table, the clock, and the line of results.
// It is bench.h for Go; that says what everything means. The table itself is made by `raw`.
package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"syscall"
)

// PodFlows is how many connections a pod has.
const PodFlows = 10

// podCount is how many pods there are among so many connections: one in 25 belongs to a pod.
func podCount(total uint32) uint32 {
	pods := total / 25 / PodFlows
	if pods == 0 {
		Fail("no pods in a table of %d", total)
	}
	return pods
}

// PodAddress is the source address of this pod. Like its zone and its mark, no other connection has it.
func PodAddress(pod uint32) netip.Addr {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], 0xc0a80000+pod)
	return netip.AddrFrom4(bytes)
}

// PodZone is the zone of this pod.
func PodZone(pod uint32) uint16 { return uint16(1000 + pod) }

// PodMark is the mark of this pod.
func PodMark(pod uint32) uint32 { return 0x10000 + pod }

// Sample is a set of connections out of a table that `raw fill` made, scattered over all kinds and the hash table.
type Sample struct {
	wanted map[uint32]bool
}

// NewSample takes `known` connections out of `size`.
func NewSample(known, size uint32) Sample {
	s := Sample{wanted: make(map[uint32]bool, known)}
	for k := uint64(0); k < uint64(known); k++ {
		s.wanted[uint32(k*611953%uint64(size))] = true
	}
	return s
}

// Has tells by its original source address whether a connection is one of the sample.
func (s Sample) Has(src []byte) bool {
	return s.wanted[binary.BigEndian.Uint32(src[len(src)-4:])&0xffffff]
}

// Reading is what a reader takes from an entry, seven fields added up; addresses by their first four bytes.
func Reading(src, dst []byte, sport, dport uint16, proto uint8, mark, status uint32) uint64 {
	return uint64(binary.NativeEndian.Uint32(src)) + uint64(binary.NativeEndian.Uint32(dst)) +
		uint64(sport) + uint64(dport) + uint64(proto) + uint64(mark) + uint64(status)
}

// Arguments of an operation.
type Arguments struct {
	Op   string
	Size uint32
	// How many known entries, or how many pods, are deleted.
	Some uint32
}

// Result is how many entries the time was spent on, what the operation counted itself, and its readings or 0.
type Result struct {
	N, Check, Sum uint64
}

var (
	begun, took   time.Time
	before, after syscall.Rusage
)

// Start starts the clock. What was prepared is collected first: it is not part of the operation.
func Start() {
	runtime.GC()
	// Writing 5 sets the mark of the peak back.
	Must(os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
	Must(syscall.Getrusage(syscall.RUSAGE_SELF, &before))
	begun = time.Now()
}

// Stop stops the clock.
func Stop() {
	took = time.Now()
	Must(syscall.Getrusage(syscall.RUSAGE_SELF, &after))
}

// EventBuffer is what a queue of the events that are measured needs.
const EventBuffer = 32 << 20

func maker(op string, events uint32) *exec.Cmd {
	raw := os.Getenv("RAW")
	if raw == "" {
		Fail("RAW does not name the program raw")
	}
	command := exec.Command(raw, op, strconv.FormatUint(uint64(events), 10))
	command.Stderr = os.Stderr
	return command
}

// MakeEvents makes so many events, while nobody reads, and returns when they are queued.
func MakeEvents(events uint32) {
	Must(maker("make-events", events).Run())
}

// BeginEvents begins to make so many events at a pace, and says when that is over.
func BeginEvents(events uint32) <-chan error {
	over := make(chan error, 1)
	command := maker("make-events-slowly", events)
	Must(command.Start())
	go func() { over <- command.Wait() }()
	return over
}

func peakKB() string {
	status, err := os.ReadFile("/proc/self/status")
	Must(err)
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			return strings.Fields(rest)[0]
		}
	}
	Fail("no VmHWM in /proc/self/status")
	return ""
}

// Main runs the operation that the command line names and prints its line.
func Main(peer string, operations map[string]func(Arguments) Result) {
	if len(os.Args) < 3 {
		Fail("usage: %s OPERATION SIZE [KNOWN or PODS]", peer)
	}
	a := Arguments{Op: os.Args[1], Size: number(os.Args[2])}
	if len(os.Args) > 3 {
		a.Some = number(os.Args[3])
	} else if a.Op == "delete-pods" {
		a.Some = podCount(a.Size)
	}
	run, found := operations[a.Op]
	if !found {
		Fail("no operation %s", a.Op)
	}
	r := run(a)
	fmt.Printf("peer=%s op=%s n=%d wall_ns=%d user_ns=%d sys_ns=%d peak_kb=%s check=%d sum=%d\n", peer, a.Op, r.N,
		took.Sub(begun).Nanoseconds(), after.Utime.Nano()-before.Utime.Nano(), after.Stime.Nano()-before.Stime.Nano(),
		peakKB(), r.Check, r.Sum)
}

func number(text string) uint32 {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		Fail("%s is no number above 0", text)
	}
	return uint32(n)
}

// Fail says what went wrong and exits: a benchmark that failed has no result.
func Fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}

// Must fails if there is an error.
func Must(err error) {
	if err != nil {
		Fail("%v", err)
	}
}
