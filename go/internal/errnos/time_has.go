// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !(dragonfly || freebsd || openbsd || wasip1)

// Package errnos has the errnos that not every system has.
package errnos

import "syscall"

// Time is ETIME.
const Time = syscall.ETIME
