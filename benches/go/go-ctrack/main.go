// SPDX-License-Identifier: MIT OR Apache-2.0

// Command go-ctrack is the package ctrack for Go, as a program would use it. Usage: go-ctrack OPERATION SIZE [KNOWN or PODS]
package main

import (
	"context"

	"ctrack"
	"ctrack-benches/bench"
)

var (
	conn *ctrack.Conn
	ctx  = context.Background()
)

func reading(e *ctrack.Entry) uint64 {
	return bench.Reading(e.Orig.Src.AsSlice(), e.Orig.Dst.AsSlice(), e.Orig.SrcPort, e.Orig.DstPort, uint8(e.Proto), e.Mark,
		uint32(e.Status))
}

func list(n uint32, filters ...ctrack.Filter) bench.Result {
	bench.Start()
	entries, err := conn.List(ctx, filters...)
	bench.Must(err)
	bench.Stop()
	r := bench.Result{N: uint64(n), Check: uint64(len(entries))}
	for i := range entries {
		r.Sum += reading(&entries[i])
	}
	return r
}

func stream(a bench.Arguments) bench.Result {
	r := bench.Result{N: uint64(a.Size)}
	bench.Start()
	for e, err := range conn.All(ctx) {
		bench.Must(err)
		r.Check++
		r.Sum += reading(&e)
	}
	bench.Stop()
	return r
}

func deleteKnown(a bench.Arguments) bench.Result {
	sample := bench.NewSample(a.Some, a.Size)
	entries, err := conn.List(ctx)
	bench.Must(err)
	victims := make([]ctrack.Entry, 0, a.Some)
	for _, e := range entries {
		if sample.Has(e.Orig.Src.AsSlice()) {
			victims = append(victims, e)
		}
	}
	entries = nil
	bench.Start()
	batch, err := conn.DeleteEntries(ctx, victims)
	bench.Must(err)
	bench.Stop()
	return bench.Result{N: uint64(a.Some), Check: uint64(batch.Done)}
}

func source(pod uint32) ctrack.Filter {
	return ctrack.Filter{OrigSrc: ctrack.Host(bench.PodAddress(pod))}
}

func deletePods(pods uint32) bench.Result {
	filters := make([]ctrack.Filter, pods)
	for pod := range pods {
		filters[pod] = source(pod)
	}
	bench.Start()
	done, err := conn.Delete(ctx, filters...)
	bench.Must(err)
	bench.Stop()
	return bench.Result{N: uint64(pods) * bench.PodFlows, Check: uint64(done.Done)}
}

func main() {
	var err error
	conn, err = ctrack.Open(ctrack.Options{})
	bench.Must(err)
	bench.Main("go-ctrack", map[string]func(bench.Arguments) bench.Result{
		"list":   func(a bench.Arguments) bench.Result { return list(a.Size) },
		"stream": stream,
		"list-pod-zone": func(bench.Arguments) bench.Result {
			return list(bench.PodFlows, ctrack.Filter{Zone: ctrack.Is(bench.PodZone(0))})
		},
		"list-pod-address": func(bench.Arguments) bench.Result { return list(bench.PodFlows, source(0)) },
		"list-pod-mark": func(bench.Arguments) bench.Result {
			return list(bench.PodFlows, ctrack.Filter{Mark: ctrack.MarkIs(bench.PodMark(0))})
		},
		"delete":             deleteKnown,
		"delete-pod-address": func(bench.Arguments) bench.Result { return deletePods(1) },
		"delete-pods":        func(a bench.Arguments) bench.Result { return deletePods(a.Some) },
	})
}
