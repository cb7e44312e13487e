// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack

/*
#include <ctrack.h>

#cgo noescape ct_handle_open
#cgo nocallback ct_handle_open
#cgo noescape ct_handle_close
#cgo nocallback ct_handle_close
#cgo nocallback ct_handle_error
#cgo noescape ct_handle_error
#cgo noescape ct_dump_start
#cgo nocallback ct_dump_start
#cgo noescape ct_dump_next
#cgo nocallback ct_dump_next
#cgo noescape ct_dump_end
#cgo nocallback ct_dump_end
#cgo noescape ct_get
#cgo nocallback ct_get
#cgo noescape ct_count
#cgo nocallback ct_count
#cgo noescape ct_zone_find_free
#cgo nocallback ct_zone_find_free
#cgo noescape ct_delete
#cgo nocallback ct_delete
#cgo noescape ct_delete_entries
#cgo nocallback ct_delete_entries
#cgo noescape ct_flush
#cgo nocallback ct_flush
#cgo noescape ct_create_entries
#cgo nocallback ct_create_entries
#cgo noescape ct_update_entries
#cgo nocallback ct_update_entries
#cgo noescape ct_entry_format
#cgo nocallback ct_entry_format
#cgo noescape ct_event_format
#cgo nocallback ct_event_format
#cgo noescape ct_handle_get_portid
#cgo nocallback ct_handle_get_portid
#cgo noescape ct_setting_name
#cgo nocallback ct_setting_name
#cgo noescape ct_table_get_info
#cgo nocallback ct_table_get_info
#cgo noescape ct_table_set
#cgo nocallback ct_table_set
#cgo noescape ct_stats_cpu
#cgo nocallback ct_stats_cpu
#cgo noescape ct_stats_expect
#cgo nocallback ct_stats_expect
#cgo noescape ct_stats_format
#cgo nocallback ct_stats_format
#cgo noescape ct_zero_entries
#cgo nocallback ct_zero_entries
#cgo noescape ct_delete_returning
#cgo nocallback ct_delete_returning
#cgo noescape ct_watch_open
#cgo nocallback ct_watch_open
#cgo noescape ct_watch_start
#cgo nocallback ct_watch_start
#cgo noescape ct_watch_fd
#cgo nocallback ct_watch_fd
#cgo noescape ct_watch_next
#cgo nocallback ct_watch_next
#cgo noescape ct_watch_resync
#cgo nocallback ct_watch_resync
#cgo noescape ct_watch_get_info
#cgo nocallback ct_watch_get_info
#cgo noescape ct_watch_error
#cgo nocallback ct_watch_error
#cgo noescape ct_watch_close
#cgo nocallback ct_watch_close
*/
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// Every call into libctrack is in this file, and what takes Linux besides in namespace.go; library_none.go stands for both
// where they are left out.

// The header that is installed must be that which layout.go was made of, or a newer one: the promise of libctrack.so.0 for an entry
// is 256 bytes and for an event 320, and inputs only grow. Any other does not compile.
var (
	_ [unsafe.Sizeof(rawEntry{})]struct{}    = [C.sizeof_struct_ct_entry]struct{}{}
	_ [unsafe.Sizeof(rawTuple{})]struct{}    = [C.sizeof_struct_ct_tuple]struct{}{}
	_ [unsafe.Sizeof(rawCounters{})]struct{} = [C.sizeof_struct_ct_counters]struct{}{}
	_ [unsafe.Sizeof(rawEvent{})]struct{}    = [C.sizeof_struct_ct_event]struct{}{}
	_ [unsafe.Sizeof(rawStats{})]struct{}    = [C.sizeof_struct_ct_stats]struct{}{}
)

const (
	_ = uint(C.CT_VERSION_NUMBER - ctVersionNumber)
	_ = uint(C.sizeof_struct_ct_filter - unsafe.Sizeof(rawFilter{}))
	_ = uint(C.sizeof_struct_ct_result - unsafe.Sizeof(rawResult{}))
	_ = uint(C.sizeof_struct_ct_open_opts - unsafe.Sizeof(rawOpenOpts{}))
	_ = uint(C.sizeof_struct_ct_watch_opts - unsafe.Sizeof(rawWatchOpts{}))
	_ = uint(C.sizeof_struct_ct_watch_info - unsafe.Sizeof(rawWatchInfo{}))
	_ = uint(C.sizeof_struct_ct_table_info - unsafe.Sizeof(rawTableInfo{}))
)

// haveLibrary says whether this program has libctrack in it.
const haveLibrary = true

func libraryVersion() string {
	return C.GoString(C.ct_version_string())
}

// errnoText is what an errno means when it comes from the library.
func errnoText(result int) string {
	return C.GoString(C.ct_strerror(C.int(result)))
}

// formatEntry writes an entry as text, by the rules of snprintf.
func formatEntry(e *rawEntry, format uint32, text []byte) int {
	return int(C.ct_entry_format(entriesOf(e), C.uint32_t(format), (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.size_t(len(text))))
}

// formatEvent writes an event as text, by the rules of snprintf.
func formatEvent(e *rawEvent, format uint32, text []byte) int {
	return int(C.ct_event_format(eventsOf(e), C.uint32_t(format), (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.size_t(len(text))))
}

// formatStats writes counters as text, by the rules of snprintf.
func formatStats(s *rawStats, expect bool, text []byte) int {
	what := C.uint32_t(0)
	if expect {
		what = 1
	}
	return int(C.ct_stats_format(statsOf(s), what, (*C.char)(unsafe.Pointer(unsafe.SliceData(text))), C.size_t(len(text))))
}

// settingName is the name of a setting; "" if there is none of this number.
func settingName(setting uint32) string {
	return C.GoString(C.ct_setting_name(C.uint32_t(setting)))
}

// nativeHandle is a handle as the library knows it.
type nativeHandle = *C.struct_ct_handle

// open opens a Conn with options that were checked.
func open(options Options, opts rawOpenOpts) (*Conn, error) {
	if err := checkVersion(uint32(C.ct_version_number()), ctVersionNumber); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := options.Namespace.open()
	if err != nil {
		return nil, err
	}
	namespace, err := identityOf(fd)
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	limit := options.MaxHandles
	if limit == 0 {
		limit = defaultMaxHandles
	}
	patience := options.Timeout
	if patience == 0 {
		patience = defaultTimeout
	}
	c := &Conn{pool{
		opts:      opts,
		fd:        fd,
		namespace: namespace,
		patience:  patience,
		slots:     make(chan struct{}, limit),
		closing:   make(chan struct{}),
	}}
	// What can go wrong with a handle is to be seen here, and not in the first call.
	first, err := c.pool.open()
	if err != nil {
		syscall.Close(fd)
		return nil, err
	}
	c.pool.idle = append(c.pool.idle, first)
	return c, nil
}

// open makes a handle in the namespace of the pool.
func (p *pool) open() (*handle, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := ownIdentity()
	if err != nil {
		return nil, err
	}
	opts := p.opts
	if own != p.namespace {
		opts.flags |= ctOpenNetns
		opts.netnsFd = int32(p.fd)
	}
	h := new(handle)
	if result := C.ct_handle_open(&h.native, (*C.struct_ct_open_opts)(unsafe.Pointer(&opts))); result < 0 {
		return nil, notOpened("open", int(result), own, p.namespace)
	}
	p.note(h)
	return h, nil
}

// notOpened is why nothing could be opened in a network namespace.
func notOpened(op string, result int, own, namespace identity) error {
	text := ""
	switch {
	case own == namespace:
	case syscall.Errno(-result) == syscall.EPERM:
		text = fmt.Sprintf("not permitted: net:[%d] is not the network namespace of this thread; "+
			"needs CAP_SYS_ADMIN over it and in the own user namespace", namespace.inode)
	case syscall.Errno(-result) == syscall.EINVAL:
		text = "network namespace: what is given is none"
	}
	return failure(op, result, text)
}

func (h *handle) close() {
	C.ct_handle_close(h.native)
	h.native = nil
}

// errorText is that of the last call, copied: the next one overwrites it.
func (h *handle) errorText() string {
	return C.GoString(C.ct_handle_error(h.native))
}

// The structs of layout.go are those of the header (layout_test.go compares them), so nothing is converted but the types.

func entriesOf(first *rawEntry) *C.struct_ct_entry {
	return (*C.struct_ct_entry)(unsafe.Pointer(first))
}

func eventsOf(first *rawEvent) *C.struct_ct_event {
	return (*C.struct_ct_event)(unsafe.Pointer(first))
}

func filtersOf(first *rawFilter) *C.struct_ct_filter {
	return (*C.struct_ct_filter)(unsafe.Pointer(first))
}

func resultsOf(result *rawResult) *C.struct_ct_result {
	return (*C.struct_ct_result)(unsafe.Pointer(result))
}

func statsOf(first *rawStats) *C.struct_ct_stats {
	return (*C.struct_ct_stats)(unsafe.Pointer(first))
}

func statusesOf(status []int32) *C.int32_t {
	return (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(status)))
}

func (h *handle) dumpStart(filters []rawFilter) int {
	return int(C.ct_dump_start(h.native, filtersOf(unsafe.SliceData(filters)), C.size_t(len(filters))))
}

func (h *handle) dumpNext(entries []rawEntry) int {
	return int(C.ct_dump_next(h.native, entriesOf(unsafe.SliceData(entries)), C.size_t(len(entries))))
}

func (h *handle) dumpEnd() int {
	return int(C.ct_dump_end(h.native))
}

func (h *handle) get(key, found *rawEntry) int {
	return int(C.ct_get(h.native, entriesOf(key), entriesOf(found)))
}

func (h *handle) count(count *uint64) int {
	return int(C.ct_count(h.native, (*C.uint64_t)(unsafe.Pointer(count))))
}

func (h *handle) findFreeZone(first, last uint16, zone *uint32) int {
	return int(C.ct_zone_find_free(h.native, C.uint32_t(first), C.uint32_t(last), (*C.uint32_t)(unsafe.Pointer(zone))))
}

func (h *handle) deleteBy(filters []rawFilter, flags uint32, result *rawResult) int {
	first := filtersOf(unsafe.SliceData(filters))
	return int(C.ct_delete(h.native, first, C.size_t(len(filters)), C.uint32_t(flags), resultsOf(result)))
}

func (h *handle) flush(scope *rawFilter, flags uint32) int {
	return int(C.ct_flush(h.native, filtersOf(scope), C.uint32_t(flags)))
}

func (h *handle) deleteEntries(entries []rawEntry, status []int32, result *rawResult) int {
	first := entriesOf(unsafe.SliceData(entries))
	return int(C.ct_delete_entries(h.native, first, C.size_t(len(entries)), statusesOf(status), resultsOf(result)))
}

func (h *handle) createEntries(entries []rawEntry, status []int32, result *rawResult) int {
	first := entriesOf(unsafe.SliceData(entries))
	return int(C.ct_create_entries(h.native, first, C.size_t(len(entries)), statusesOf(status), resultsOf(result)))
}

func (h *handle) updateEntries(entries []rawEntry, status []int32, result *rawResult) int {
	first := entriesOf(unsafe.SliceData(entries))
	return int(C.ct_update_entries(h.native, first, C.size_t(len(entries)), statusesOf(status), resultsOf(result)))
}

func (h *handle) zeroEntries(entries, read []rawEntry, status []int32, result *rawResult) int {
	first, count := entriesOf(unsafe.SliceData(entries)), C.size_t(len(entries))
	return int(C.ct_zero_entries(h.native, first, count, entriesOf(unsafe.SliceData(read)), statusesOf(status), resultsOf(result)))
}

func (h *handle) deleteReturning(filters []rawFilter, flags uint32, entries []rawEntry, count *uint, result *rawResult) int {
	first, room := filtersOf(unsafe.SliceData(filters)), C.size_t(len(entries))
	return int(C.ct_delete_returning(h.native, first, C.size_t(len(filters)), C.uint32_t(flags), entriesOf(unsafe.SliceData(entries)), room,
		(*C.size_t)(unsafe.Pointer(count)), resultsOf(result)))
}

func (h *handle) tableInfo(settings uint64, info *rawTableInfo) int {
	return int(C.ct_table_get_info(h.native, C.uint64_t(settings), (*C.struct_ct_table_info)(unsafe.Pointer(info))))
}

func (h *handle) setTable(setting, value uint32) int {
	return int(C.ct_table_set(h.native, C.uint32_t(setting), C.uint32_t(value)))
}

func (h *handle) stats(expect bool, stats []rawStats, count *uint) int {
	first, room, told := statsOf(unsafe.SliceData(stats)), C.size_t(len(stats)), (*C.size_t)(unsafe.Pointer(count))
	if expect {
		return int(C.ct_stats_expect(h.native, first, room, told))
	}
	return int(C.ct_stats_cpu(h.native, first, room, told))
}

func (h *handle) portID(port *uint32) int {
	return int(C.ct_handle_get_portid(h.native, (*C.uint32_t)(unsafe.Pointer(port))))
}

// nativeWatch is a watch as the library knows it.
type nativeWatch = *C.struct_ct_watch

// openWatch opens a Watch with options and filters that were checked.
func openWatch(options WatchOptions, opts rawWatchOpts, filters []rawFilter) (*Watch, error) {
	if err := checkVersion(uint32(C.ct_version_number()), ctVersionNumber); err != nil {
		return nil, err
	}
	w := new(Watch)
	if err := w.open(options.Namespace, opts); err != nil {
		return nil, err
	}
	if result := int(C.ct_watch_start(w.native, filtersOf(unsafe.SliceData(filters)), C.size_t(len(filters)))); result < 0 {
		err := failure("watch", result, w.errorText())
		w.free()
		return nil, err
	}
	if err := w.join(); err != nil {
		w.free()
		return nil, err
	}
	return w, nil
}

// open makes the library's watch.
func (w *Watch) open(namespace Namespace, opts rawWatchOpts) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fd, err := namespace.open()
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	wanted, err := identityOf(fd)
	if err != nil {
		return err
	}
	own, err := ownIdentity()
	if err != nil {
		return err
	}
	if own != wanted {
		opts.flags |= ctWatchNetns
		opts.netnsFd = int32(fd)
	}
	result := C.ct_watch_open(&w.native, (*C.struct_ct_watch_opts)(unsafe.Pointer(&opts)))
	switch {
	case result >= 0:
		return nil
	case syscall.Errno(-result) == syscall.EPERM && opts.flags&ctWatchAllNsid != 0 && own == wanted:
		return failure("watch", int(result), "not permitted: events of all network namespaces (AllNsid) need CAP_NET_BROADCAST in the user "+
			"namespace that owns this one")
	}
	return notOpened("watch", int(result), own, wanted)
}

// join gives the runtime's poller a descriptor to wait for. It is a copy: an os.File closes what it has.
func (w *Watch) join() error {
	fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(C.ct_watch_fd(w.native)), syscall.F_DUPFD_CLOEXEC, 0)
	if errno != 0 {
		return failure("watch", -int(errno), "")
	}
	// For an os.File it is one to wait for only then. The library does not read from it, and does not care.
	if err := syscall.SetNonblock(int(fd), true); err != nil {
		syscall.Close(int(fd))
		return failure("watch", -int(err.(syscall.Errno)), "")
	}
	w.file = os.NewFile(fd, "watch")
	poll, err := w.file.SyscallConn()
	if err == nil {
		// Fails if the poller does not take it.
		err = w.file.SetReadDeadline(noDeadline)
	}
	if err != nil {
		w.file.Close()
		return w.lost(err)
	}
	w.poll = poll
	return nil
}

// next reads what is there. It never waits.
func (w *Watch) next(events []rawEvent) int {
	return int(C.ct_watch_next(w.native, eventsOf(unsafe.SliceData(events)), C.size_t(len(events)), 0))
}

func (w *Watch) errorText() string {
	return C.GoString(C.ct_watch_error(w.native))
}

func (w *Watch) resync() int {
	return int(C.ct_watch_resync(w.native))
}

func (w *Watch) info(info *rawWatchInfo) int {
	return int(C.ct_watch_get_info(w.native, (*C.struct_ct_watch_info)(unsafe.Pointer(info))))
}

// free closes the library's watch. Nobody may be using it.
func (w *Watch) free() {
	C.ct_watch_close(w.native)
	w.native = nil
}
