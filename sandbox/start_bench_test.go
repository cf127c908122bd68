package sandbox_test

import (
	"testing"

	"github.com/whiskaway/whiskaway/sandbox"
)

// BenchmarkRun is a start of /bin/true until its end.
func BenchmarkRun(b *testing.B) {
	for _, level := range []sandbox.Level{sandbox.LevelOff, sandbox.LevelProcess, sandbox.LevelFull} {
		b.Run(string(level), func(b *testing.B) {
			walls, err := sandbox.Find(b.Context(), sandbox.Options{Shim: shimOf(""), Level: level, Users: true, Hidden: []string{b.TempDir()}})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				err := sandbox.Run(b.Context(), sandbox.Config{Path: "/bin/true", Dir: "/", Shim: shimOf(""), Walls: walls, User: 20001}, nil)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFind is what a server's start takes.
func BenchmarkFind(b *testing.B) {
	for b.Loop() {
		if _, err := sandbox.Find(b.Context(), sandbox.Options{Shim: shimOf(""), Users: true}); err != nil {
			b.Fatal(err)
		}
	}
}
