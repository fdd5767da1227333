package run

import "strconv"

// NotifyArgs are the arguments that keepalived appends to a `notify` script:
// INSTANCE or GROUP, name, state, priority. The states are MASTER, BACKUP,
// FAULT, STOP and, for notify_master_rx_lower_pri, MASTER_RX_LOWER_PRI. A group
// has no priority; keepalived says 0.
func NotifyArgs(group bool, name, state string, priority int) []string {
	if group {
		return []string{"GROUP", name, state, "0"}
	}
	return []string{"INSTANCE", name, state, strconv.Itoa(priority)}
}
