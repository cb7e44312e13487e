// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !linux

package ctrack

import "syscall"

// Not all systems have an ENOTUNIQ and an ENOTRECOVERABLE. None has these: Linux's own numbers mean something else there.
const (
	errHidden = syscall.Errno(1<<20 + 76)
	errBroken = syscall.Errno(1<<20 + 131)
)
