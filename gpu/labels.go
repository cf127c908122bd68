package gpu

import (
	"regexp"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// Labels returns the labels of a machine with these GPUs, sorted: "gpu", and each
// model in short, as in "a100", "h200", "rtx-4090". Without GPUs there are none.
func Labels(gpus []function.GPU) []string {
	if len(gpus) == 0 {
		return nil
	}
	labels := []string{"gpu"}
	for _, g := range gpus {
		if m := model(g.Name); m != "" {
			labels = append(labels, m)
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// besides matches the words of a name that do not tell the model: the maker,
// the form, and the memory.
var besides = regexp.MustCompile(`^(nvidia|tesla|geforce|quadro|graphics|gpu|generation|laptop|nvl|pcie|sxm\d*|hbm\d+e?|\d+gb)$`)

// word matches a piece of a name.
var word = regexp.MustCompile(`[a-z0-9.]+`)

func model(name string) string {
	words := word.FindAllString(strings.ToLower(name), -1)
	words = slices.DeleteFunc(words, besides.MatchString)
	return strings.Join(words, "-")
}
