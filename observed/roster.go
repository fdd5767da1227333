package observed

import "slices"

// Roster notes who becomes a member and who is none any more. Its zero value has seen
// nobody.
type Roster struct{ names []string } // as last seen, in order; empty: never

// Note records what has changed since it was called last. names are the members' that
// have joined; an empty list says that they are not known.
func (r *Roster) Note(names []string, record func(Event)) {
	before := r.names
	if len(names) == 0 {
		return
	}
	r.names = slices.Sorted(slices.Values(names))
	if len(before) == 0 {
		return
	}
	for _, name := range before {
		if !slices.Contains(r.names, name) {
			record(Event{Kind: MemberChanged, To: "left", Reason: name + " is no member any more"})
		}
	}
	for _, name := range r.names {
		if !slices.Contains(before, name) {
			record(Event{Kind: MemberChanged, To: "joined", Reason: name + " is a member now"})
		}
	}
}
