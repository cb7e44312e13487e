// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build dragonfly || freebsd || openbsd || wasip1

// Package errnos has the errnos that not every system has.
package errnos

import "syscall"

// Time stands for ETIME, which this system lacks. It is a number that no system has: that of Linux, 62, means something else here.
const Time = syscall.Errno(1<<20 + 62)
