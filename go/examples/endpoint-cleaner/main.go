// SPDX-License-Identifier: MIT OR Apache-2.0

// Endpoint-cleaner deletes the connection-tracking entries of endpoints that are gone.
//
//	endpoint-cleaner [flags] [FILE]
//
// FILE lists the addresses of the endpoints that live, one a line; what follows a # is a comment. The file is read again and
// again. When addresses leave the list, all entries that they began or answered are deleted in one call. Without FILE, or with -,
// the lists come on standard input: an empty line ends one, the next replaces it, and the end of the input ends the program.
//
// With -once the list is one of dead endpoints: their entries are deleted, and that is all.
//
// With -late entries of addresses that left the list are also deleted when they appear later, at once, until the address is back: a watch
// tells of them.
//
// A list that cannot be read or understood changes nothing. A file counts when it was the same twice in a row, since it may be
// being written; an empty list is taken for a mistake unless -allow-empty says otherwise.
//
// With a missing list file, or without privilege once an address leaves, it says so once on stderr, keeps running and tries again;
// with -once it ends with 1.
package main

import (
	"context"
	"ctrack"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program. 0: it did what it should, also if a signal ended it; 1: it could not; 2: wrong usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	flags := flag.NewFlagSet("endpoint-cleaner", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: endpoint-cleaner [flags] [FILE]")
		flags.PrintDefaults()
	}
	once := flags.Bool("once", false, "the list is one of dead endpoints: delete their entries, and end")
	interval := flags.Duration("interval", time.Second, "how often to read the file")
	allowEmpty := flags.Bool("allow-empty", false, "an empty list is no mistake: no endpoint lives any more")
	late := flags.Bool("late", false, "delete entries of endpoints that left also when they appear later")
	netns := flags.String("netns", "", "the network namespace to work in, for example /run/netns/NAME; else the own one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 1 || *interval <= 0 || *once && *late {
		flags.Usage()
		return 2
	}
	options := ctrack.Options{}
	if *netns != "" {
		options.Namespace = ctrack.NamespacePath(*netns)
	}
	conn, err := ctrack.Open(options)
	if err != nil {
		fmt.Fprintln(stderr, "endpoint-cleaner:", err)
		return 1
	}
	defer conn.Close()

	c := &cleaner{conn: conn, stdout: stdout, stderr: stderr, allowEmpty: *allowEmpty}
	if *late {
		watch, err := ctrack.OpenWatch(ctrack.WatchOptions{Namespace: options.Namespace, Sync: true, Kinds: []ctrack.EventKind{ctrack.New}})
		if err != nil {
			fmt.Fprintln(stderr, "endpoint-cleaner:", err)
			return 1
		}
		defer watch.Close()
		var stop func()
		ctx, stop = context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() {
			ended <- c.deleteLate(ctx, watch)
			stop()
		}()
		// The connection is closed after that.
		defer func() {
			stop()
			if <-ended != nil {
				code = 1
			}
		}()
	}
	file := flags.Arg(0)
	switch {
	case *once && (file == "" || file == "-"):
		err = c.once(ctx, stdin)
	case *once:
		err = c.onceFile(ctx, file)
	case file == "" || file == "-":
		err = c.watchStream(ctx, stdin)
	default:
		err = c.watchFile(ctx, file, *interval)
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(stderr, "endpoint-cleaner:", err)
		return 1
	}
	return 0
}
