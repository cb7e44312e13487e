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
*/
import "C"

import (
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// Every call into libctrack is in this file, and what takes Linux besides in namespace.go; library_none.go stands for both
// where they are left out.

// The header that is installed must be that which layout.go was made of, or a newer one: the promise of libctrack.so.0 for an entry
// is 256 bytes, and inputs only grow. Any other does not compile.
var (
	_ [unsafe.Sizeof(rawEntry{})]struct{}    = [C.sizeof_struct_ct_entry]struct{}{}
	_ [unsafe.Sizeof(rawTuple{})]struct{}    = [C.sizeof_struct_ct_tuple]struct{}{}
	_ [unsafe.Sizeof(rawCounters{})]struct{} = [C.sizeof_struct_ct_counters]struct{}{}
)

const (
	_ = uint(C.CT_VERSION_NUMBER - ctVersionNumber)
	_ = uint(C.sizeof_struct_ct_filter - unsafe.Sizeof(rawFilter{}))
	_ = uint(C.sizeof_struct_ct_result - unsafe.Sizeof(rawResult{}))
	_ = uint(C.sizeof_struct_ct_open_opts - unsafe.Sizeof(rawOpenOpts{}))
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
		text := ""
		switch {
		case own == p.namespace:
		case syscall.Errno(-result) == syscall.EPERM:
			text = fmt.Sprintf("not permitted: net:[%d] is not the network namespace of this thread; "+
				"needs CAP_SYS_ADMIN over it and in the own user namespace", p.namespace.inode)
		case syscall.Errno(-result) == syscall.EINVAL:
			text = "network namespace: what is given is none"
		}
		return nil, failure("open", int(result), text)
	}
	return h, nil
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

func filtersOf(first *rawFilter) *C.struct_ct_filter {
	return (*C.struct_ct_filter)(unsafe.Pointer(first))
}

func resultsOf(result *rawResult) *C.struct_ct_result {
	return (*C.struct_ct_result)(unsafe.Pointer(result))
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
