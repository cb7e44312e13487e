// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest_test

import (
	"ctrack"
	"ctrack/ctracktest"
	"ctrack/internal/tabletest"
	"testing"
)

func TestTheTableOfTestsDoesWhatTheRealOneDoes(t *testing.T) {
	tabletest.Run(t, func(*testing.T) ctrack.Table { return ctracktest.New() })
}
