package syntax_test

import (
	"strings"
	"testing"

	"github.com/hacluster/hacluster/config/syntax"
)

// expand prints what a node sees of a text, and the mistakes.
func expand(text, node string) (string, string) {
	nodes, errs := syntax.Parse("f.conf", text).Expand(syntax.Options{Node: node})
	var msgs []string
	for _, e := range errs {
		msgs = append(msgs, e.Error())
	}
	return syntax.Print(nodes), strings.Join(msgs, "\n")
}

func TestExpandGivesWhatTheNodeSees(t *testing.T) {
	tests := []struct {
		name, text, node, want string
	}{{
		name: "comments end a line anywhere outside quotes",
		text: "a b # c\n! d\ne!f\ng \"#h !i\"\n",
		want: "a b\ne\ng \"#h !i\"\n",
	}, {
		name: "braces stand where they like",
		text: "a{\nb}\nc\n{ d { e f } }\n g { h\n} i",
		want: "a {\n    b\n}\n\nc {\n    d {\n        e f\n    }\n}\n\ng {\n    h\n}\ni\n",
	}, {
		name: "double quotes join words and are removed; nothing else is special",
		text: "s \"a b\" it's x\"y z\"w \"a\\x41\\\" 'c d' \\# \"!\"",
		want: "s \"a b\" \"it's\" \"xy zw\" \"a\\x41\\\" \"'c\" \"d'\" \"#\" \"!\"\n",
	}, {
		name: "commands have single quotes and escapes too",
		text: `script "a b" 'c "d"' x"y z"w "\"q\" \x41\101"`,
		want: "script \"a b\" \"c \\\"d\\\"\" \"xy zw\" \"\\\"q\\\" AA\"\n",
	}, {
		name: "single quotes do not keep a comment away",
		text: "notify \"a \\\"# b\" # c\nrouter_id 'a#b'\n",
		want: "notify \"a \\\"# b\"\nrouter_id \"'a\"\n",
	}, {
		name: "conditions keep lines for a node and for all others",
		text: "@a p 1\n@^a p 2\n  @b q\n",
		node: "a",
		want: "p 1\n",
	}, {
		name: "a definition is replaced when it is used",
		text: "$BASE=10.2.${SUB}\n$SUB=0\n${BASE}.100/32\n$SUB=10\n${BASE}.100/32 $BASE.1 $SUB x$SUB\n",
		want: "10.2.0.100/32\n10.2.10.100/32 \"$BASE.1\" 10 x10\n",
	}, {
		name: "a name that is not defined stays as it is",
		text: "s ${NO} $NO",
		want: "s \"${NO}\" \"$NO\"\n",
	}, {
		name: "a definition may be conditional or make a condition",
		text: "@a $P=1\n@b $P=2\n$IF=@b\n$IF only b\np $P\n",
		node: "b",
		want: "only b\np 2\n",
	}, {
		name: "a definition of several lines keeps its conditions and definitions",
		text: "$RS= \\\n  rs ${N} { \\\n @a w 1 \\\n @b w 2 \\\n }\n$VS= \\\n $N=1 \\\n $RS \\\n $N=2 \\\n $RS\n$VS\n",
		node: "b",
		want: "rs 1 {\n    w 2\n}\n\nrs 2 {\n    w 2\n}\n",
	}, {
		name: "sequences repeat their line",
		text: "~SEQ(A, 0, 2) x ${A}\n~SEQ(B,-2) y $B\n~SEQx(C, 0x90, 0x10, 0xa0) ~SEQ(D,3,-2,1) z ${C}:${D}\n",
		want: "x 0\nx 1\nx 2\ny -1\ny -2\nz 90:3\nz 90:1\nz a0:3\nz a0:1\n",
	}, {
		name: "lists repeat their line",
		text: "~LST(A, u, v) ${A}1\n~LST({A, B}, {10,1},{20,4}) i ${A}.${B}\n",
		want: "u1\nv1\ni 10.1\ni 20.4\n",
	}, {
		name: "predefined parameters",
		text: "p ${_PWD} ${_INSTANCE} a${_HASH}b${_BANG}",
		node: "n1",
		want: "p . n1 \"a#b!\"\n",
	}, {
		name: "a line may have many parameters",
		text: "$A=1\nx" + strings.Repeat(" ${A}", 100),
		want: "x" + strings.Repeat(" 1", 100) + "\n",
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, errs := expand(tt.text, tt.node)
			if errs != "" {
				t.Errorf("mistakes:\n%s", errs)
			}
			if got != tt.want {
				t.Errorf("tree:\n%s\nwant:\n%s", got, tt.want)
			}
			again, errs := expand(got, tt.node)
			if tt.name != "a name that is not defined stays as it is" && (again != got || errs != "") {
				t.Errorf("reading the printed tree gives:\n%s%s", again, errs)
			}
		})
	}
}

func TestExpandNamesThePlaceOfEachMistake(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"open block", "a {\n b {\n c\n", "f.conf:1:1: block a is not closed; add a }\nf.conf:2:2: block b is not closed; add a }"},
		{"closing brace too many", "a {\n}\n }", "f.conf:3:2: } closes nothing; remove it, or a { is missing above"},
		{"brace without a word", "\n { a }", "f.conf:2:2: { without a word before it"},
		{"open quote", `s "abc`, `f.conf:1:3: the quote " is not closed on this line`},
		{"two conditions", "@^a @^b p 1", "f.conf:1:5: @^b follows another condition; a line takes one"},
		{"include in a cluster document", "include x.conf", "f.conf:1:1: include cannot be used here: this document must be whole; put the lines of x.conf in its place"},
		{"random", "p ${_RANDOM 1 2}", "f.conf:1:3: ${_RANDOM} differs from one reading to the next; write the value itself"},
		{"sequence without a way", "~SEQ(A,1,-1,5) x", "f.conf:1:1: ~SEQ: no way from 1 to 5 in steps of -1"},
		{"tuple of the wrong size", "~LST({A,B},{1,2,3}) x", "f.conf:1:1: ~LST: {1,2,3} has 3 values for 2 names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := expand(tt.text, "n"); got != tt.want {
				t.Errorf("mistakes:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}

func TestExpansionIsBounded(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a definition that contains itself", "$A=x ${A}\n$A\n", "never end"},
		{"definitions that contain each other over lines", "$A= \\\n 1 \\\n $B\n$B= \\\n 2 \\\n $A\n$A\n", "deep"},
		{"doubling", "$A0=xxxxxxxxxx\n" + doubling(40) + "$A40\n", "bytes"},
		{"an endless sequence", "~SEQ(A,1,2000000000) ~SEQ(B,1,2000000000) x", "lines"},
		{"an endless sequence of nothing", "~SEQ(A,1,2000000000)", "lines"},
		{"nesting", strings.Repeat("a {\n", 100_000), "within each other"},
		{"mistakes", strings.Repeat("}\n", 100_000), "too many mistakes"},
	}
	limits := syntax.Limits{Lines: 20_000, Bytes: 1 << 20}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs := syntax.Parse("f.conf", tt.text).Expand(syntax.Options{Node: "n", Limits: limits})
			for _, e := range errs {
				if strings.Contains(e.Msg, tt.want) {
					return
				}
			}
			t.Errorf("mistakes %v, want one with %q", errs, tt.want)
		})
	}
}

// doubling defines A1 to An, each twice the one before.
func doubling(n int) string {
	var b strings.Builder
	for i := 1; i <= n; i++ {
		s := func(i int) string { return string(rune('0'+i/10)) + string(rune('0'+i%10)) }
		name := func(i int) string {
			if i < 10 {
				return "A" + s(i)[1:]
			}
			return "A" + s(i)
		}
		b.WriteString("$" + name(i) + "=${" + name(i-1) + "} ${" + name(i-1) + "}\n")
	}
	return b.String()
}
