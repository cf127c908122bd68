package sandbox

import (
	"bufio"
	"fmt"
	"os"
	"syscall"
)

// sameIDs maps all ids that exist here to themselves; none when they cannot be
// read. See user_namespaces(7) on the format of file.
func sameIDs(file string) []syscall.SysProcIDMap {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	var ids []syscall.SysProcIDMap
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var inside, outside, size int
		if n, _ := fmt.Sscan(lines.Text(), &inside, &outside, &size); n == 3 {
			ids = append(ids, syscall.SysProcIDMap{ContainerID: inside, HostID: inside, Size: size})
		}
	}
	return ids
}
