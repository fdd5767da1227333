// Package alert keeps what a person should know of, and delivers it: by
// script, by mail, by webhook.
//
// Hub keeps the open alerts and the last changes, and never waits for anybody:
// who is interested reads the changes after those that it knows. Deliver is
// such a reader for one Deliverer; each runs on a goroutine of its caller's.
// What happens together is delivered together: a node that dies with 255 units
// is one mail.
package alert
