// SPDX-License-Identifier: MIT OR Apache-2.0

// The same table from Go: one line, streamed, and one of a watch, whose list must have as many.
package main

import (
	"context"
	"ctrack"
	"fmt"
	"os"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	conn, err := ctrack.Open(ctrack.Options{})
	if err != nil {
		return err
	}
	defer conn.Close()
	flows, tcp := 0, 0
	for entry, err := range conn.All(context.Background()) {
		if err != nil {
			return err
		}
		flows++
		if entry.Proto == ctrack.TCP {
			tcp++
		}
	}
	fmt.Printf("From Go (conn.All):      %d flows, %d of them TCP\n", flows, tcp)
	return watch(flows)
}

// watch fails unless a watch knows as many entries when it is synced.
func watch(flows int) error {
	watch, err := ctrack.OpenWatch(ctrack.WatchOptions{Sync: true})
	if err != nil {
		return err
	}
	defer watch.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	known := 0
	for event, err := range watch.Events(ctx) {
		if err != nil {
			return err
		}
		switch event.Kind {
		case ctrack.New:
			known++
		case ctrack.Destroy:
			known--
		case ctrack.Synced:
			fmt.Printf("From Go (watch.Events):  %d flows, and what becomes of them\n", known)
			if known != flows {
				return fmt.Errorf("the watch knows %d flows, not %d", known, flows)
			}
			return nil
		}
	}
	return nil
}
