package balancer

import (
	"slices"
	"strings"

	"github.com/whiskaway/whiskaway/function"
)

// withGranted returns the servers with the labels that they have by the operator's word, which is in the
// token that their member joined with. Then their own word for labels does not count, so who
// rents a machine out cannot claim to be another; only what a server has found about itself does. Nobody can check
// that from here, so of those no name=value counts: such labels are the operator's alone.
func withGranted(granted []string, servers []function.ServerStatus) []function.ServerStatus {
	if len(granted) == 0 {
		return servers
	}
	servers = slices.Clone(servers) // a Host in this process may share its report with others
	for i := range servers {
		s := &servers[i]
		labels := slices.Clone(granted)
		for _, label := range s.Found {
			if slices.Contains(s.Labels, label) && !strings.Contains(label, "=") {
				labels = append(labels, label)
			}
		}
		slices.Sort(labels)
		s.Labels = slices.Compact(labels)
	}
	return servers
}
