package observed

import "strings"

// And lists names as a sentence does.
func And(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// Opposed says that some nodes say one thing and others another one: "lb02 alone
// sees it down". verb is that of one and of many; again is what the others say
// when both are named.
func Opposed(bad, good []string, verb [2]string, badly, well, again string) string {
	switch {
	case len(bad) == 1 && len(good) > 1:
		return bad[0] + " alone " + verb[0] + " " + badly
	case len(good) == 1 && len(bad) > 1:
		return good[0] + " alone " + verb[0] + " " + well
	}
	return And(bad) + " " + verb[min(len(bad), 2)-1] + " " + badly + ", " + And(good) + " " + verb[min(len(good), 2)-1] + " " + again
}
