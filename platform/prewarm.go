package platform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/platform/controller"
	"github.com/whiskaway/whiskaway/platform/invoker"
)

// resolvePrewarm gives each wish the kind's own name: actions have no other.
func resolvePrewarm(wishes []invoker.Prewarm, kinds []controller.Kind) error {
	for i, w := range wishes {
		at := slices.IndexFunc(kinds, func(k controller.Kind) bool { return k.Name == w.Kind || slices.Contains(k.Aliases, w.Kind) })
		if at < 0 {
			var names []string
			for _, k := range kinds {
				names = append(names, k.Name)
			}
			return fmt.Errorf("containers of kind %q are to be started in advance, but the kinds are %s", w.Kind, strings.Join(names, ", "))
		}
		wishes[i].Kind = kinds[at].Name
	}
	return nil
}
