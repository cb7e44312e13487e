// SPDX-License-Identifier: MIT OR Apache-2.0

// The same table from Go: one line, streamed.
package main

import (
	"context"
	"ctrack"
	"fmt"
	"os"
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
	return nil
}
