// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !linux

package ctrack

import "syscall"

// Not all systems have an ENOTUNIQ. None has this one.
const errHidden = syscall.Errno(1<<20 + 76)
