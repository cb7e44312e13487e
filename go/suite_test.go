// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/tabletest"
	"testing"
)

func TestAConnDoesWhatTheTableOfTestsDoes(t *testing.T) {
	tabletest.Run(t, func(t *testing.T) ctrack.Table {
		ns := newNetns(t)
		// Without a rule that uses labels the kernel drops them.
		ns.Feed("table inet l {\nchain c {\ntype filter hook output priority 0;\nct label set 1\n}\n}\n", "nft", "-f", "-")
		return ns.open(ctrack.Options{})
	})
}
