package config

import "slices"

// maxEdits bounds the search for what two texts have in common; beyond it they
// count as different from the first difference to the last.
const maxEdits = 2000

// match returns pairs of indexes of equal lines, ascending in both, as many as
// there can be (Myers, "An O(ND) difference algorithm").
func match(a, b []string) [][2]int {
	var head, tail [][2]int
	lo := 0
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		head = append(head, [2]int{lo, lo})
		lo++
	}
	ea, eb := len(a), len(b)
	for ea > lo && eb > lo && a[ea-1] == b[eb-1] {
		ea, eb = ea-1, eb-1
	}
	for i := range len(a) - ea {
		tail = append(tail, [2]int{ea + i, eb + i})
	}
	for _, p := range shortestEdit(a[lo:ea], b[lo:eb]) {
		head = append(head, [2]int{p[0] + lo, p[1] + lo})
	}
	return append(head, tail...)
}

// shortestEdit is match for texts that share neither start nor end.
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
