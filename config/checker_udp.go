package config

import (
	"strconv"

	"github.com/hacluster/hacluster/config/syntax"
)

// udpWords compiles what UDP_CHECK has of its own.
func (c *compiler) udpWords(k *checkerBlock, s *syntax.Node) bool {
	to := k.to.UDP
	switch s.Word.Text {
	case "payload":
		if len(s.Args) == 0 {
			c.errorf(s.Word.Pos, "payload needs hexadecimal digits, as 12ab 0f")
			break
		}
		to.Payload, _ = c.hexBytes(s, false)
	case "require_reply":
		to.RequireReply = true
		to.Reply, to.ReplyMask = c.hexBytes(s, true)
	case "min_reply_length":
		c.int(s, &to.MinReply, 0, 65535)
	case "max_reply_length":
		c.int(s, &to.MaxReply, 0, 65535)
	default:
		return false
	}
	return true
}

// replyFits reports lengths that no reply has.
func (c *compiler) replyFits(k *checkerBlock) bool {
	if u := k.to.UDP; u.MinReply > u.MaxReply {
		c.errorf(placeOf(k.node, "min_reply_length"), "min_reply_length %d is above max_reply_length %d, so no reply is right", u.MinReply, u.MaxReply)
	}
	return true
}

// hexBytes reads the arguments as bytes: two digits each, and the last of an odd
// number by itself. With wildcards an x stands for any digit, and its bits are
// set in the mask.
func (c *compiler) hexBytes(s *syntax.Node, wildcards bool) (bytes, mask []byte) {
	for _, t := range s.Args {
		for text := t.Text; text != ""; {
			pair := text[:min(2, len(text))]
			text = text[len(pair):]
			var value, free byte
			for i := range len(pair) {
				digit, err := strconv.ParseUint(pair[i:i+1], 16, 8)
				wild := wildcards && (pair[i] == 'x' || pair[i] == 'X')
				if err != nil && !wild {
					want := "hexadecimal digits"
					if wildcards {
						want += ", and x for any"
					}
					c.errorf(t.Pos, "%s %s has other than %s", s.Word.Text, t.Text, want)
					return nil, nil
				}
				value, free = value<<4, free<<4
				if wild {
					free |= 0xf
				} else {
					value |= byte(digit)
				}
			}
			bytes, mask = append(bytes, value), append(mask, free)
		}
	}
	return bytes, mask
}
