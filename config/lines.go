package config

import "slices"

// maxEdits bounds the search for what two pieces of text have in common; beyond
// it they count as different throughout.
const maxEdits = 2000

// match returns pairs of indexes of equal lines, ascending in both. Lines that
// stand once in each text are held together first (patience difference): in a
// configuration these are the headers of blocks, so blocks stay whole and large
// texts fall into small pieces. What is between them is matched by Myers.
func match(a, b []string) [][2]int {
	var out [][2]int
	ia, ib := 0, 0
	for _, p := range append(anchors(a, b), [2]int{len(a), len(b)}) {
		out = append(out, between(a, b, ia, p[0], ib, p[1])...)
		if p[0] < len(a) && p[1] < len(b) {
			out = append(out, p)
		}
		ia, ib = p[0]+1, p[1]+1
	}
	return out
}

// anchors returns the longest ascending sequence of lines that stand once in
// both texts.
func anchors(a, b []string) [][2]int {
	type places struct{ na, nb, a, b int }
	lines := make(map[string]*places, len(a))
	for i, l := range a {
		p := lines[l]
		if p == nil {
			p = &places{}
			lines[l] = p
		}
		p.na, p.a = p.na+1, i
	}
	for i, l := range b {
		if p := lines[l]; p != nil {
			p.nb, p.b = p.nb+1, i
		}
	}
	// Longest increasing subsequence by piles: each card points to the top of
	// the pile before it.
	var cards [][2]int
	var back, piles []int
	for i, l := range a {
		p := lines[l]
		if p.na != 1 || p.nb != 1 {
			continue
		}
		at, _ := slices.BinarySearchFunc(piles, p.b, func(card, target int) int { return cards[card][1] - target })
		before := -1
		if at > 0 {
			before = piles[at-1]
		}
		cards, back = append(cards, [2]int{i, p.b}), append(back, before)
		if at == len(piles) {
			piles = append(piles, 0)
		}
		piles[at] = len(cards) - 1
	}
	if len(piles) == 0 {
		return nil
	}
	var out [][2]int
	for c := piles[len(piles)-1]; c >= 0; c = back[c] {
		out = append(out, cards[c])
	}
	slices.Reverse(out)
	return out
}

// between matches a[ia:ea] with b[ib:eb]: what they share at start and end, and
// the shortest edit of what is left.
func between(a, b []string, ia, ea, ib, eb int) [][2]int {
	var out, tail [][2]int
	for ia < ea && ib < eb && a[ia] == b[ib] {
		out = append(out, [2]int{ia, ib})
		ia, ib = ia+1, ib+1
	}
	for ea > ia && eb > ib && a[ea-1] == b[eb-1] {
		ea, eb = ea-1, eb-1
		tail = append(tail, [2]int{ea, eb})
	}
	for _, p := range shortestEdit(a[ia:ea], b[ib:eb]) {
		out = append(out, [2]int{p[0] + ia, p[1] + ib})
	}
	slices.Reverse(tail)
	return append(out, tail...)
}

// shortestEdit matches as many lines as can be matched in order (Myers, "An
// O(ND) difference algorithm").
func shortestEdit(a, b []string) [][2]int {
	n, m := len(a), len(b)
	if n == 0 || m == 0 {
		return nil
	}
	limit := min(n+m, maxEdits)
	at := make([]int, 2*limit+3) // furthest x on diagonal k, at[k+limit+1]
	var trace [][]int
	for d := 0; d <= limit; d++ {
		row := make([]int, 2*d+1)
		for k := -d; k <= d; k += 2 {
			i := k + limit + 1
			x := at[i-1] + 1
			if k == -d || k != d && at[i-1] < at[i+1] {
				x = at[i+1]
			}
			y := x - k
			for x < n && y >= 0 && y < m && a[x] == b[y] {
				x, y = x+1, y+1
			}
			at[i], row[k+d] = x, x
			if x >= n && y >= m {
				return backtrack(append(trace, row), n, m)
			}
		}
		trace = append(trace, row)
	}
	return nil
}

// backtrack follows the rows of shortestEdit from the end to the start and
// collects the diagonal steps.
func backtrack(trace [][]int, x, y int) [][2]int {
	var rev [][2]int
	for d := len(trace) - 1; d > 0; d-- {
		prev := trace[d-1]
		get := func(k int) int {
			if k < -(d-1) || k > d-1 {
				return -1
			}
			return prev[k+d-1]
		}
		k := x - y
		from := k - 1
		if k == -d || k != d && get(k-1) < get(k+1) {
			from = k + 1
		}
		px := get(from)
		py := px - from
		// One step right or down leads from (px, py) to the diagonal's start.
		sx, sy := px, py+1
		if from == k-1 {
			sx, sy = px+1, py
		}
		for x > sx && y > sy {
			x, y = x-1, y-1
			rev = append(rev, [2]int{x, y})
		}
		x, y = px, py
	}
	for x > 0 && y > 0 {
		x, y = x-1, y-1
		rev = append(rev, [2]int{x, y})
	}
	slices.Reverse(rev)
	return rev
}
