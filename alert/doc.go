// Package alert keeps what a person should know of, and delivers it: by
// script, by mail, by webhook.
//
// Hub keeps the open alerts and the last ones that were resolved. Deliverers
// are driven by Deliver, one goroutine for each.
package alert
