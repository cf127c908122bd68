// Package alarm fires triggers by the clock: the feeds alarm, interval and once of
// OpenWhisk's package /whisk.system/alarms, in the platform itself.
//
// A client creates a trigger and invokes a feed with a lifecycleEvent; the feeds
// (feeds.go) keep an Alarm in the store, and the clock (clock.go) fires the trigger
// whenever it is due. When that is, is a pure function (schedule.go).
//
// What must hold here: an alarm's next time is written before its trigger is fired, so
// that no firing happens twice, also after a kill; firings that were missed while the
// platform was down are not made up for, but that of a once, which is late; nobody sets
// an alarm on another namespace's trigger; no key is kept.
package alarm
