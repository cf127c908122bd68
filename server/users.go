package server

import (
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
)

// The range from which functions get users of their own: systemd's table of user IDs
// (UIDS-GIDS) has 0x70000000 to 0x7fffffff as unused. Each server takes one block
// of it, by its ID, so that two servers on one machine share nothing. In a container with
// the usual 65,536 users the blocks are smaller, and lie between the system's own and nobody.
var (
	wideBlocks   = blocks{first: 0x70000000, count: 1 << 12, users: 48 << 10, groups: 16 << 10}
	narrowBlocks = blocks{first: 20_000, count: 5, users: 6 << 10, groups: 2 << 10}
)

// blocks are count ranges of users and groups, one behind the other.
type blocks struct{ first, count, users, groups int }

func (b blocks) size() int { return b.users + b.groups }

// users hands out user IDs, one for each function, and groups, one for each namespace.
type users struct {
	first, count int // count is 0: there are none to hand out
	firstGroup   int
	groups       int

	mu    sync.Mutex
	next  int
	taken map[int]bool
}

// newUsers chooses the block of the server with that ID. highest is the highest user ID that can be
// used here.
func newUsers(serverID string, highest int64) *users {
	h := fnv.New32a()
	h.Write([]byte(serverID))
	for _, b := range []blocks{wideBlocks, narrowBlocks} {
		if highest < int64(b.first+b.count*b.size()) {
			continue
		}
		first := b.first + int(h.Sum32())%b.count*b.size()
		return &users{first: first, count: b.users, firstGroup: first + b.users, groups: b.groups, taken: map[int]bool{}}
	}
	return &users{}
}

var errNoUsers = errors.New("all user IDs for functions are taken")

// take returns a user ID that no function has now.
func (u *users) take() (int, error) {
	if u == nil || u.count == 0 {
		return 0, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for range u.count {
		id := u.first + u.next
		u.next = (u.next + 1) % u.count
		if !u.taken[id] {
			u.taken[id] = true
			return id, nil
		}
	}
	return 0, fmt.Errorf("choosing a user for a function: %w", errNoUsers)
}

func (u *users) hasGroup(id int) bool { return id >= u.firstGroup && id < u.firstGroup+u.groups }

func (u *users) release(id int) {
	if u == nil || id == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.taken, id)
}
