// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>
*/
import "C"

import (
	"fmt"
	"syscall"
)

// The sizes that this package was written for. A header with others does not compile: the promise of libctrack.so.0 for an
// entry is 256 bytes, and inputs only grow.
var (
	_ [256]struct{} = [C.sizeof_struct_ct_entry]struct{}{}
	_ [44]struct{}  = [C.sizeof_struct_ct_tuple]struct{}{}
	_ [16]struct{}  = [C.sizeof_struct_ct_counters]struct{}{}
)

const (
	_ = uint(C.sizeof_struct_ct_filter - 176)
	_ = uint(C.sizeof_struct_ct_result - 56)
	_ = uint(C.sizeof_struct_ct_open_opts - 24)
)

// Version is the version of the libctrack that is running, for example "0.1.0".
func Version() string {
	return C.GoString(C.ct_version_string())
}

// checkVersion refuses a library that is older than the header this package was compiled with: it may lack what is used.
func checkVersion(running, header uint32) error {
	if running >= header {
		return nil
	}
	text := fmt.Sprintf("libctrack %s is running, but this program was compiled for %s", number(running), number(header))
	return &Error{Op: "open", Errno: syscall.ENOSYS, Text: text}
}

func number(version uint32) string {
	return fmt.Sprintf("%d.%d.%d", version>>16, version>>8&0xff, version&0xff)
}
