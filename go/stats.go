// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"iter"
	"syscall"
)

// Stat is a counter of a processor, by its number. Since 0.2.
type Stat uint8

// The counters of CPUStats of entries. Which ones there are depends on the kernel. Since 0.2.
const (
	// Look-ups in the table. None since Linux 4.9.
	StatSearched Stat = ctStatSearched
	// Packets whose entry was found at the second look, since another packet of the flow had come between. Before Linux 5.10:
	// all look-ups that found an entry.
	StatFound Stat = ctStatFound
	// Entries that were made. None since Linux 4.9.
	StatNew Stat = ctStatNew
	// Packets that could not be tracked.
	StatInvalid Stat = ctStatInvalid
	// Packets that were tracked already. None since Linux 5.10.
	StatIgnore Stat = ctStatIgnore
	// Entries that were deleted. None since Linux 4.9.
	StatDelete Stat = ctStatDelete
	// Entries that waited for their deletion. None since Linux 4.9.
	StatDeleteList Stat = ctStatDeleteList
	// Entries that were put into the table. Those of packets are counted since Linux 5.19 in no kernel (always 0), those made
	// by programs are.
	StatInsert Stat = ctStatInsert
	// Entries that could not be put into the table: another one with a tuple of theirs was there.
	StatInsertFailed Stat = ctStatInsertFailed
	// Packets that were dropped: no memory for an entry, no room in the table, or it clashed.
	StatDrop Stat = ctStatDrop
	// Entries that were dropped so that there was room for others.
	StatEarlyDrop Stat = ctStatEarlyDrop
	// ICMP errors that belong to nothing, and packets that a protocol's tracker refused.
	StatError Stat = ctStatError
	// Look-ups that began anew, since the table was resized or the entry moved meanwhile.
	StatSearchRestart Stat = ctStatSearchRestart
	// Clashes that were resolved: two entries for one flow, of which one stayed. Since Linux 5.10.
	StatClashResolve Stat = ctStatClashResolve
	// Entries that were not made since the chain of their bucket was too long. Since Linux 5.15.
	StatChainToolong Stat = ctStatChainToolong
)

// The counters of CPUStats of expectations. Since 0.2.
const (
	// Expectations that a packet fulfilled.
	StatExpectNew Stat = ctStatExpectNew
	// Expectations that were made.
	StatExpectCreate Stat = ctStatExpectCreate
	// Expectations that were deleted.
	StatExpectDelete Stat = ctStatExpectDelete
)

// CPUStats is what one processor counted in a network namespace since that was made. The counters have 32 bits, and wrap: see StatsTotal.
// Since 0.2.
type CPUStats struct {
	// CPU is the number of the processor.
	CPU    int
	expect bool
	raw    rawStats
}

// Value gives a counter. False: this kernel does not send it. Since 0.2.
func (s CPUStats) Value(stat Stat) (uint32, bool) {
	if int(stat) >= len(s.raw.value) || s.raw.has>>stat&1 == 0 {
		return 0, false
	}
	return s.raw.value[stat], true
}

// All gives the counters that the kernel sent, by their numbers. Since 0.2.
func (s CPUStats) All() iter.Seq2[Stat, uint32] {
	return func(yield func(Stat, uint32) bool) {
		for stat := range Stat(len(s.raw.value)) {
			if value, ok := s.Value(stat); ok && !yield(stat, value) {
				return
			}
		}
	}
}

// String is the line of `conntrack -S`, or of expectations that of `conntrack -S expect`, with the blank at its end. Since 0.2.
func (s CPUStats) String() string {
	text := make([]byte, 1024)
	length := formatStats(&s.raw, s.expect, text)
	if length < 0 {
		return ""
	}
	return string(text[:min(length, len(text)-1)])
}

// CPUStats gives what each processor counted: one for each that the machine may have. Since 0.2.
func (c *Conn) CPUStats(ctx context.Context) ([]CPUStats, error) {
	return c.stats(ctx, "cpu_stats", false)
}

// ExpectStats is the same for expectations: StatExpectNew, StatExpectCreate, StatExpectDelete. Since 0.2.
func (c *Conn) ExpectStats(ctx context.Context) ([]CPUStats, error) {
	return c.stats(ctx, "expect_stats", true)
}

func (c *Conn) stats(ctx context.Context, op string, expect bool) ([]CPUStats, error) {
	raw := make([]rawStats, 64)
	for {
		var count uint
		var full bool
		err := c.handles().with(ctx, op, func(h *handle) int {
			result := h.stats(expect, raw, &count)
			if full = result == -int(syscall.ENOSPC); full {
				return 0
			}
			return result
		})
		switch {
		case err != nil:
			return nil, err
		case full:
			raw = make([]rawStats, count)
			continue
		}
		stats := make([]CPUStats, count)
		for i := range stats {
			stats[i] = CPUStats{CPU: int(raw[i].cpu), expect: expect, raw: raw[i]}
		}
		return stats, nil
	}
}

// StatsTotal adds up counters that wrap: read them, Add them, again and again, and often enough that none of them wraps twice in between.
// The zero StatsTotal is ready to use. It is for one goroutine at a time. Since 0.2.
type StatsTotal struct {
	last map[int]CPUStats
	sums [32]uint64
	has  uint32
}

// Add takes what was read. What was counted before the first Add counts too. A processor whose counters went back by more than they can
// have gone on is no difference to others: all of it is modulo 2^32. Since 0.2.
func (t *StatsTotal) Add(stats []CPUStats) {
	if t.last == nil {
		t.last = map[int]CPUStats{}
	}
	for _, now := range stats {
		before := t.last[now.CPU]
		for stat, value := range now.All() {
			t.sums[stat] += uint64(value - before.raw.value[stat])
			t.has |= 1 << stat
		}
		t.last[now.CPU] = now
	}
}

// Sum is what all processors counted. False: the kernel never sent it. Since 0.2.
func (t *StatsTotal) Sum(stat Stat) (uint64, bool) {
	if int(stat) >= len(t.sums) || t.has>>stat&1 == 0 {
		return 0, false
	}
	return t.sums[stat], true
}
