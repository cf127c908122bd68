package main

import (
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// aboutPage is the page's part that is written by hand.
//
//go:embed page.md
var aboutPage string

// writePage writes the page and, into a folder of its name, the plots.
func (s *study) writePage(path string) error {
	folder := strings.TrimSuffix(path, filepath.Ext(path))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("the plots' folder: %w", err)
	}
	for _, p := range s.plots() {
		if err := os.WriteFile(filepath.Join(folder, p.file), []byte(p.svg()), 0o644); err != nil {
			return fmt.Errorf("a plot: %w", err)
		}
	}
	if err := os.WriteFile(path, []byte(s.page(filepath.Base(folder))), 0o644); err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	return nil
}

func (s *study) page(folder string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n## Where ours is worse, and where not\n\np99 of latency, in seconds:\n\n%s\n", strings.TrimSpace(aboutPage), s.judgement(p99, "- "))
	fmt.Fprintf(&b, "p99 of slowdown:\n\n%s\n## Plots\n\n", s.judgement(slowdown, "- "))
	for _, p := range s.plots() {
		fmt.Fprintf(&b, "![%s](%s/%s)\n\n", p.title, folder, p.file)
	}
	fmt.Fprintf(&b, "## Figures\n\nMade with `-seeds %d -seed %d -size %g`. Figures are means over the seeds; \"± %%\" is how far a seed's p99 lies\nfrom the mean at most. The seeds' traces are as different as that; what counts is that all policies meet the same ones.\n", s.seeds, s.first, s.size)
	for i, m := range s.makers {
		fmt.Fprintf(&b, "\n**%s**: %s. %.0f calls.\n\n", m.name, m.about, s.calls(i))
		fmt.Fprintf(&b, "| | %s |\n|---|%s\n", strings.Join(header(), " | "), strings.Repeat("---:|", len(header())))
		for k := range s.policies {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(s.line(i, k), " | "))
		}
	}
	return b.String()
}
