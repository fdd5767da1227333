package check

// lane bounds the attempts of one class.
type lane struct {
	limit, running int
	queue          []*entry // may hold some that do not wait any more
}

// program is a checker that starts one.
type program interface{ program() }

func (s *Scheduler) lane(c Checker) *lane {
	if _, ok := c.(program); ok {
		return &s.lanes[1]
	}
	return &s.lanes[0]
}

// turns is a heap of the checks that wait for their turn, the next one first.
type turns []*entry

func (t turns) Len() int           { return len(t) }
func (t turns) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t turns) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push adds an entry; only package heap calls it.
func (t *turns) Push(x any) {
	e := x.(*entry)
	e.index = len(*t)
	*t = append(*t, e)
}

// Pop takes the last entry; only package heap calls it.
func (t *turns) Pop() any {
	last := len(*t) - 1
	e := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	e.index = -1
	return e
}
