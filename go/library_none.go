// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !(cgo && linux)

package ctrack

import (
	"runtime"
	"syscall"
)

// What there is in the place of library.go and namespace.go. Open fails, so there is no Conn that is open, no pool has a
// handle, and nothing here is ever asked to do anything: whatever comes through all the same is refused.

const haveLibrary = false

// refusal is what each call gives.
const refusal = -int(syscall.ENOSYS)

// unsupported says what is missing.
func unsupported(op string) *Error {
	text := "this program was built without cgo; what needs the conntrack table needs Linux, cgo (CGO_ENABLED=1, a C compiler) and libctrack"
	if runtime.GOOS != "linux" {
		text = "this program was built for " + runtime.GOOS + "; what needs the conntrack table needs Linux, cgo and libctrack"
	}
	return &Error{Op: op, Errno: syscall.ENOSYS, Text: text}
}

func open(Options, rawOpenOpts) (*Conn, error) {
	return nil, unsupported("open")
}

func libraryVersion() string {
	return ""
}

func errnoText(result int) string {
	return syscall.Errno(-result).Error()
}

func formatEntry(*rawEntry, uint32, []byte) int {
	return refusal
}

func formatEvent(*rawEvent, uint32, []byte) int {
	return refusal
}

func formatStats(*rawStats, bool, []byte) int {
	return refusal
}

func settingName(uint32) string {
	return ""
}

type nativeHandle = struct{}

func closeNamespace(int) {}

func (p *pool) open() (*handle, error) {
	return nil, unsupported("open")
}

func (h *handle) close() {}

func (h *handle) errorText() string {
	return ""
}

func (h *handle) dumpStart([]rawFilter) int {
	return refusal
}

func (h *handle) dumpNext([]rawEntry) int {
	return refusal
}

func (h *handle) dumpEnd() int {
	return refusal
}

func (h *handle) get(_, _ *rawEntry) int {
	return refusal
}

func (h *handle) count(*uint64) int {
	return refusal
}

func (h *handle) findFreeZone(_, _ uint16, _ *uint32) int {
	return refusal
}

func (h *handle) deleteBy([]rawFilter, uint32, *rawResult) int {
	return refusal
}

func (h *handle) flush(*rawFilter, uint32) int {
	return refusal
}

func (h *handle) deleteEntries([]rawEntry, []int32, *rawResult) int {
	return refusal
}

func (h *handle) createEntries([]rawEntry, []int32, *rawResult) int {
	return refusal
}

func (h *handle) updateEntries([]rawEntry, []int32, *rawResult) int {
	return refusal
}

func (h *handle) zeroEntries([]rawEntry, []rawEntry, []int32, *rawResult) int {
	return refusal
}

func (h *handle) deleteReturning([]rawFilter, uint32, []rawEntry, *uint, *rawResult) int {
	return refusal
}

func (h *handle) tableInfo(uint64, *rawTableInfo) int {
	return refusal
}

func (h *handle) setTable(uint32, uint32) int {
	return refusal
}

func (h *handle) stats(bool, []rawStats, *uint) int {
	return refusal
}

func (h *handle) portID(*uint32) int {
	return refusal
}

type nativeWatch = struct{}

func openWatch(WatchOptions, rawWatchOpts, []rawFilter) (*Watch, error) {
	return nil, unsupported("watch")
}

func (w *Watch) next([]rawEvent) int {
	return refusal
}

func (w *Watch) errorText() string {
	return ""
}

func (w *Watch) resync() int {
	return refusal
}

func (w *Watch) info(*rawWatchInfo) int {
	return refusal
}

func (w *Watch) free() {}
