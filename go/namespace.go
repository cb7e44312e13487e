// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack

import (
	"math"
	"syscall"
)

// ownNamespace is that of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

// siocgskns is SIOCGSKNS of linux/sockios.h: a descriptor of the network namespace of a socket.
const siocgskns = 0x894c

// open gives a descriptor of the namespace, close-on-exec. The caller's goroutine must be locked to its thread.
func (n Namespace) open() (int, error) {
	switch n.kind {
	case namespaceOfFD:
		fd, _, errno := uintptr(0), uintptr(0), syscall.EBADF
		// The kernel looks at 32 bits only: a larger number would be another descriptor.
		if n.fd >= 0 && n.fd <= math.MaxInt32 {
			fd, _, errno = syscall.Syscall(syscall.SYS_FCNTL, uintptr(n.fd), syscall.F_DUPFD_CLOEXEC, 0)
		}
		if errno != 0 {
			return -1, namespaceError("dup of the descriptor", errno)
		}
		return int(fd), nil
	case namespaceAtPath:
		fd, err := openFile(n.path)
		if err != nil {
			return -1, namespaceError(n.path, err)
		}
		return fd, nil
	}
	fd, err := openFile(ownNamespace)
	if err == nil {
		return fd, nil
	}
	// There may be no /proc. The kernel tells by a socket too, but wants CAP_NET_ADMIN for it, as for everything else.
	if fd, err = namespaceOfSocket(); err != nil {
		if err == syscall.EPERM {
			return -1, namespaceError(ownNamespace+" cannot be opened, and without /proc this needs CAP_NET_ADMIN in the user namespace "+
				"that owns the network namespace", err)
		}
		return -1, namespaceError(ownNamespace+" cannot be opened, and asking by a socket fails", err)
	}
	return fd, nil
}

func openFile(path string) (int, error) {
	for {
		// Without O_NONBLOCK a FIFO at this path would be waited for.
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

func namespaceOfSocket() (int, error) {
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer syscall.Close(socket)
	// The descriptor that this gives is close-on-exec.
	fd, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), siocgskns, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func namespaceError(what string, err error) error {
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EINVAL
	}
	return &Error{Op: "open", Errno: errno, Text: "network namespace: " + what + ": " + err.Error()}
}

func identityOf(fd int) (identity, error) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return identity{}, namespaceError("fstat", err)
	}
	return identity{uint64(stat.Dev), stat.Ino}, nil
}

// ownIdentity is that of the calling thread's namespace. The caller's goroutine must be locked to its thread.
func ownIdentity() (identity, error) {
	var stat syscall.Stat_t
	if syscall.Stat(ownNamespace, &stat) == nil {
		return identity{uint64(stat.Dev), stat.Ino}, nil
	}
	fd, err := Namespace{}.open()
	if err != nil {
		return identity{}, err
	}
	defer syscall.Close(fd)
	return identityOf(fd)
}

func closeNamespace(fd int) {
	syscall.Close(fd)
}
