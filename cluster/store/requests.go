package store

// maxRequests is how many answers the state keeps. It must be the same on every
// node: raising it is a change of the snapshot format.
const maxRequests = 4096

// codeRequestReused is the refusal of a request id that stands for another
// command.
const codeRequestReused Code = "request-reused"

// request is a command that was answered.
type request struct {
	ID    string
	What  string // machine and name of the command
	Reply reply
}

// requests is the memory of the last commands and their answers. Its zero value
// is empty.
type requests struct {
	list []request // oldest first
	byID map[string]request
}

// what tells commands under one id apart. The body does not count: an operator who
// repeats a request by its id repeats it with another time stamp.
func what(cmd Command) string { return cmd.Machine + "." + cmd.Name }

// find returns the answer that the command has been given before. Refusals are
// remembered too: a repeat that is still under way must not succeed after its
// sender was told otherwise.
func (r *requests) find(cmd Command) (reply, bool) {
	if cmd.RequestID == "" {
		return reply{}, false
	}
	known, ok := r.byID[cmd.RequestID]
	if !ok {
		return reply{}, false
	}
	if known.What != what(cmd) {
		return reply{Refusal: &Refusal{
			Code:    codeRequestReused,
			Message: "request id " + cmd.RequestID + " was used for another command: use a new one",
		}}, true
	}
	return known.Reply, true
}

func (r *requests) add(cmd Command, answer reply) {
	if cmd.RequestID == "" {
		return
	}
	if r.byID == nil {
		r.byID = make(map[string]request)
	}
	if len(r.list) >= maxRequests {
		delete(r.byID, r.list[0].ID)
		r.list = r.list[1:]
	}
	added := request{ID: cmd.RequestID, What: what(cmd), Reply: answer}
	r.list = append(r.list, added)
	r.byID[added.ID] = added
}

func (r *requests) restore(list []request) {
	r.list = list
	r.byID = make(map[string]request, len(list))
	for _, known := range list {
		r.byID[known.ID] = known
	}
}
