// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"syscall"
)

// Version is the version of the libctrack that is running, for example "0.1.0"; "" in a program without it (see Open).
func Version() string {
	return libraryVersion()
}

// checkVersion refuses a library that is older than the header this package was written for: it may lack what is used.
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
