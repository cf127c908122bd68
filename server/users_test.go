package server

import "testing"

func TestUsersAreTakenOnceAndComeBack(t *testing.T) {
	u := newUsers("some server", 1<<32-1)
	seen := map[int]bool{}
	for range u.count {
		id, err := u.take()
		if err != nil || seen[id] || id < u.first || id >= u.first+u.count {
			t.Fatalf("user %d of the block from %d: %v", id, u.first, err)
		}
		seen[id] = true
	}
	if id, err := u.take(); err == nil {
		t.Fatalf("one too many: %d", id)
	}
	u.release(u.first + 7)
	if id, err := u.take(); id != u.first+7 || err != nil {
		t.Errorf("got %d, %v", id, err)
	}
}

func TestUsersInAContainerWithFewUsers(t *testing.T) {
	u := newUsers("x", 65535)
	if u.first < 20_000 || u.firstGroup+u.groups > 65_000 {
		t.Errorf("the block is %+v", u)
	}
	if id, err := u.take(); id != u.first || err != nil {
		t.Errorf("got %d, %v", id, err)
	}
	for _, none := range []*users{newUsers("x", 1000), nil} {
		if id, err := none.take(); id != 0 || err != nil {
			t.Errorf("got %d, %v", id, err)
		}
	}
}
