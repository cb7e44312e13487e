// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
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
