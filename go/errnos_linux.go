// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import "syscall"

const (
	errHidden = syscall.ENOTUNIQ
	errBroken = syscall.ENOTRECOVERABLE
)
