// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"slices"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	nstest.Main(m)
}

// netns is a network namespace to test in.
type netns struct {
	*nstest.Netns
}

func newNetns(t testing.TB) *netns {
	t.Helper()
	return &netns{nstest.New(t)}
}

// open opens a Conn on the thread that is in the namespace. What it does later runs on other threads.
func (ns *netns) open(options ctrack.Options) *ctrack.Conn {
	ns.T.Helper()
	var c *ctrack.Conn
	var err error
	ns.Do(func() { c, err = ctrack.Open(options) })
	if err != nil {
		ns.T.Fatal(err)
	}
	ns.T.Cleanup(func() { c.Close() })
	return c
}

// tableLines is every entry as the conntrack program shows it, but for what changes by itself.
func (ns *netns) tableLines() []string {
	ns.T.Helper()
	var lines []string
	for _, line := range ns.Conntrack("-o", "id") {
		words := strings.Fields(line)
		words = slices.Delete(words, 2, 3)
		words = slices.DeleteFunc(words, func(word string) bool { return strings.HasPrefix(word, "use=") })
		lines = append(lines, strings.Join(words, " "))
	}
	slices.Sort(lines)
	return lines
}
