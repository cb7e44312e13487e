// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"os"
	"strconv"
	"testing"
)

// fullTable has CTRACK_BENCH_ENTRIES entries, or 250,000.
func fullTable(b *testing.B) (*ctrack.Conn, int) {
	size := 250_000
	if text := os.Getenv("CTRACK_BENCH_ENTRIES"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	ns := newNetns(b)
	c := ns.open(ctrack.Options{})
	create(b, c, many(size, 0)...)
	return c, size
}

// perEntry reports what one entry costs; one operation is a whole table.
func perEntry(b *testing.B, size int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/entry")
}

func BenchmarkAll(b *testing.B) {
	c, size := fullTable(b)
	b.ReportAllocs()
	for b.Loop() {
		entries := 0
		for _, err := range c.All(ctx) {
			if err != nil {
				b.Fatal(err)
			}
			entries++
		}
		if entries != size {
			b.Fatalf("%d entries, want %d", entries, size)
		}
	}
	perEntry(b, size)
}

func BenchmarkList(b *testing.B) {
	c, size := fullTable(b)
	b.ReportAllocs()
	for b.Loop() {
		entries, err := c.List(ctx)
		if err != nil || len(entries) != size {
			b.Fatalf("%d entries, want %d: %v", len(entries), size, err)
		}
	}
	perEntry(b, size)
}

func BenchmarkDeleteNothing(b *testing.B) {
	c, _ := fullTable(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Delete(ctx, zone(9)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkString(b *testing.B) {
	e := tcp("10.0.0.1:1", "10.0.0.2:2")
	b.ReportAllocs()
	for b.Loop() {
		_ = e.String()
	}
}
