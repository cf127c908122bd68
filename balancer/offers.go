package balancer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/whiskaway/whiskaway/function"
)

// A goneOffer is what a member offered until it left, or until its offer changed.
type goneOffer struct {
	servers []function.ServerStatus
	at      time.Time
}

// What was there is kept in a file, so that runs wait for the servers also when
// it was the balancer that restarted. Only what placement asks for is written.
const offersFile = "offers.json"

type savedOffer struct {
	Member  string        `json:"member"`
	Servers []savedServer `json:"servers"`
}

type savedServer struct {
	Labels []string `json:"labels"`
	Kinds  []string `json:"kinds"`
}

// loadOffers reads what was there when the last process ended, as if it had
// left now. Without the file nothing was there; a damaged one is no reason not
// to start.
func (b *Balancer) loadOffers(now time.Time) map[string]goneOffer {
	gone := map[string]goneOffer{}
	var saved []savedOffer
	data, err := os.ReadFile(filepath.Join(b.cfg.Dir, offersFile))
	if err == nil {
		err = json.Unmarshal(data, &saved)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.log.Warn("which servers were there before is not known", "error", err)
	}
	for _, o := range saved {
		g := goneOffer{at: now}
		for _, s := range o.Servers {
			server := function.ServerStatus{Labels: s.Labels}
			for _, k := range s.Kinds {
				server.Kinds = append(server.Kinds, function.Kind{Name: k})
			}
			g.servers = append(g.servers, server)
		}
		gone[o.Member] = g
	}
	return gone
}

// saveGap is the shortest time between two writes of the file. A balancer that
// is killed so soon after a server joined does not know of it later.
const saveGap = 100 * time.Millisecond

// keepOffers writes the file after each change, once more when the grace of
// what has gone is over, and at the end. It is the file's only writer.
func (b *Balancer) keepOffers() {
	var last []byte
	for {
		b.mu.Lock()
		changed := b.offers.wait() // before looking, so that no change is missed
		b.mu.Unlock()
		last = b.saveOffers(last)
		if b.sleep(b.ctx, saveGap, nil) != nil || b.sleep(b.ctx, b.cfg.LabelGrace, changed) != nil {
			b.saveOffers(last)
			return
		}
	}
}

// saveOffers writes the file when it would differ from last, and returns what
// it holds then.
func (b *Balancer) saveOffers(last []byte) []byte {
	data, err := json.Marshal(b.savedOffers(time.Now()))
	if err == nil && bytes.Equal(data, last) {
		return last
	}
	if err == nil {
		err = replaceFile(filepath.Join(b.cfg.Dir, offersFile), data)
	}
	if err != nil {
		b.log.Warn("keeping which servers are there failed", "error", err)
		return nil
	}
	return data
}

// savedOffers returns what is there, and what was a moment ago.
func (b *Balancer) savedOffers(now time.Time) []savedOffer {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := []savedOffer{}
	for id, m := range b.members {
		if m.reports > 0 {
			all = append(all, savedOffer{id, savedServers(m.status.Servers)})
		}
	}
	for id, g := range b.gone {
		if b.members[id] == nil && now.Sub(g.at) <= b.cfg.LabelGrace {
			all = append(all, savedOffer{id, savedServers(g.servers)})
		}
	}
	slices.SortFunc(all, func(x, y savedOffer) int { return cmp.Compare(x.Member, y.Member) })
	return all
}

func savedServers(servers []function.ServerStatus) []savedServer {
	all := make([]savedServer, len(servers))
	for i, s := range servers {
		all[i] = savedServer{Labels: s.Labels, Kinds: kindsOf(s)}
	}
	return all
}

// replaceFile writes a file so that a reader sees the old bytes or the new ones.
func replaceFile(path string, data []byte) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, path)
}
