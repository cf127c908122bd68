package balancer

import (
	"slices"
	"testing"

	"github.com/whiskaway/whiskaway/function"
)

func TestTheOperatorsLabelsReplaceTheServersOwn(t *testing.T) {
	report := []function.ServerStatus{{
		Labels: []string{"amd64", "gpu", "mine", "pool=prod", "region=eu"},
		Found:  []string{"amd64", "gone", "gpu", "pool=prod"}, // the last one is a lie
	}}
	before := slices.Clone(report[0].Labels)
	for _, c := range []struct{ granted, want []string }{
		{nil, before},
		{[]string{"pool=test"}, []string{"amd64", "gpu", "pool=test"}},
		{[]string{"gpu", "spot"}, []string{"amd64", "gpu", "spot"}},
	} {
		got := withGranted(c.granted, report)
		if !slices.Equal(got[0].Labels, c.want) {
			t.Errorf("granted %v: %v, want %v", c.granted, got[0].Labels, c.want)
		}
	}
	if !slices.Equal(report[0].Labels, before) {
		t.Error("the report itself was changed")
	}
}
