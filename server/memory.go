package server

import "time"

// sampleInterval is how often the workers' memory is looked at. A sample reads
// all of /proc.
const sampleInterval = 5 * time.Second

// sampleMemory keeps every worker's memory known, until the owner ends.
func (s *Server) sampleMemory() {
	ticker := time.NewTicker(sampleInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-s.owner.done:
			return
		}
		e := &listSlots{reply: make(chan []*slot, 1)}
		if !s.owner.send(e) {
			return
		}
		select {
		case slots := <-e.reply:
			for _, w := range slots {
				w.memory.Store(w.process.Memory())
			}
		case <-s.owner.done:
			return
		}
	}
}

// listSlots asks for all workers.
type listSlots struct{ reply chan []*slot }

func (e *listSlots) apply(o *owner) {
	o.quiet = true
	var all []*slot
	for _, f := range o.functions {
		all = append(all, f.slots...)
	}
	e.reply <- all
}

// memoryBudget is what all functions together may use, in bytes: four fifths of
// the machine's, or of our own limit; the rest is for the system and for us. 0: not known.
func memoryBudget() int64 { return machineMemory() / 5 * 4 }
