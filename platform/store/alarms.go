package store

// An Alarm is the timetable of a trigger. What Doc means is package alarm's business.
type Alarm struct {
	Namespace string
	Trigger   string
	Doc       []byte // JSON
}
