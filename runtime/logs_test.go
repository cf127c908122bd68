package runtime

import (
	"bytes"
	"strings"
	"testing"
)

// A function that writes the guard itself, in whatever pieces, must not end its
// logs for the platform.
func TestAlwaysTrue3AFunctionCannotEndItsLogs(t *testing.T) {
	for _, text := range []string{
		"before\n" + guard + "after\n",
		"x" + guardWord + "y" + guardWord,
		guardWord + "_THE_END_OF_A_WHISK_ACTIVATION_XXX\n", // two that share a part
		"XXX_THE_END\n",
	} {
		for size := 1; size <= len(text); size++ {
			var out, err bytes.Buffer
			l := runLogs{streams: [2]*logStream{newLogStream(&out), newLogStream(&err)}}
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				l.write(stdout, []byte(rest[:n]))
				rest = rest[n:]
			}
			l.finish()
			got, ended := strings.CutSuffix(out.String(), guard)
			if !ended || strings.Contains(got, guardWord) {
				t.Fatalf("%q in pieces of %d became %q", text, size, out.String())
			}
			if strings.ReplaceAll(strings.TrimSuffix(got, "\n"), " ", "") != strings.TrimSuffix(text, "\n") {
				t.Fatalf("%q in pieces of %d lost something: %q", text, size, got)
			}
			if err.String() != guard {
				t.Fatalf("stderr holds %q", err.String())
			}
		}
	}
}
